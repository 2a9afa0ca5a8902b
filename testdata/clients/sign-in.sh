#!/bin/bash
# Signs in with a security key through fobd, by varlinkctl (systemd 257 or later) and jq: asks for the PIN when the key
# wants it, says when to touch the key, and prints the response, for the relying party that made the options.
#
#   sign-in.sh OPTIONS.json ORIGIN
#
# VARLINKCTL names another varlinkctl. A PIN goes through pipes, and never into arguments, which everybody can read.
set -euo pipefail
varlinkctl=${VARLINKCTL:-varlinkctl}
socket=$XDG_RUNTIME_DIR/fob/fob.sock
exec 3<&0 # the person

# ask prints what the person types, which a terminal does not show.
ask() {
	printf '%s: ' "$1" >&2
	IFS= read -rsu 3 typed || return
	echo >&2
	printf '%s' "$typed"
}

# answer answers the prompt of $event with what jq makes of the text $1.
answer() {
	printf '%s' "$1" | jq -Rsc --argjson event "$event" "$2 + {token: \$event.token}" |
		"$varlinkctl" call --quiet "$socket" fob.Prompt.Answer
}

parameters=$(jq -c --arg origin "$2" '{options: ., origin: $origin}' "$1")
exec 4< <(exec "$varlinkctl" call --more --json=short --timeout=infinity "$socket" fob.Ceremony.SignIn <<<"$parameters")
ceremony=$!
trap 'kill "$ceremony" 2>/dev/null || true' EXIT # to hang up cancels it

while IFS= read -r reply; do
	reply=${reply#$'\x1e'} # begins each of several JSON texts (RFC 7464)
	event=$(jq -c '.event // {}' <<<"$reply")
	product=$(jq -r .product <<<"$event")
	case $(jq -r .kind <<<"$event") in
	pin)
		left=$(jq -r .retries <<<"$event")
		if ! pin=$(ask "PIN of $product, $left attempts left"); then
			answer '' '{decline: true}'
		elif [ "$(jq .reserved <<<"$event")" != true ]; then
			answer "$pin" '{pin: .}'
		elif [ "$(ask "one of the last attempts: type yes to spend it")" = yes ]; then
			answer "$pin" '{pin: ., spend: true}'
		else
			answer '' '{decline: true}'
		fi
		;;
	touch) echo "touch $product" >&2 ;;
	choose)
		jq -r '.accounts | to_entries[] | "\(.key) \(.value.name)"' <<<"$event" >&2
		answer "$(ask "number of the account")" '{choice: tonumber}'
		;;
	newPin) answer '' '{decline: true}' ;; # 'fob key pin set' is for that
	null) jq -c '.response // empty' <<<"$reply" ;;
	esac
done <&4
wait "$ceremony"
