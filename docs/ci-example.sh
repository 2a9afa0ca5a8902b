#!/bin/sh
# A job of CI that registers a security key and signs in with it, without hardware, root or kernel modules. It is for the
# image of packaging/container/Dockerfile, or wherever fob is installed.
set -eu
work=$(mktemp -d)
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$work}"

fobd --emulator --emulator-pin 1234 --no-discovery >"$work/ready" 2>"$work/log" &
fobd=$!
trap 'kill "$fobd"; wait "$fobd"; rm -rf "$work"' EXIT
tail -f -n +1 --pid="$fobd" "$work/ready" | grep -q socket # it says so when it is ready

printf 1234 >"$work/pin"
fob devices
fob register --rp example.com --user alice --pin-fd 3 --save "$work/alice.json" 3<"$work/pin"
fob sign-in "$work/alice.json" --pin-fd 3 3<"$work/pin"
