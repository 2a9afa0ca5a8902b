#!/bin/bash
# Lists the keys that fobd has, with bash and nc alone (netcat-openbsd; 'socat - UNIX-CONNECT:PATH' will do as well).
# A call is a line of JSON that ends with a NUL byte, and so is the reply. The connection stays open until the reply is
# there: to hang up cancels a call.
set -eu
coproc nc -U "$XDG_RUNTIME_DIR/fob/fob.sock"
trap 'kill "$COPROC_PID"' EXIT
printf '{"method": "fob.Device.List"}\0' >&"${COPROC[1]}"
IFS= read -r -d '' reply <&"${COPROC[0]}"
printf '%s\n' "$reply"
