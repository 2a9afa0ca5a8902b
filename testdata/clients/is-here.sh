#!/bin/bash
# Asks whether somebody is here, and believes the JWT alone, which it verifies with OpenSSL and jq, without fobd.
#
#   is-here.sh USER REALM KEYS [ARGUMENT OF 'fob mfa sign-in']...
#
# KEYS is a file with what 'fob mfa keys REALM' has printed once, of a realm of the algorithm EdDSA; nobody else may be
# able to change it.
set -euo pipefail
user=$1 realm=$2 keys=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# raw decodes base64url without padding (RFC 7515, section 2).
raw() {
	local text
	text=$(tr '_-' '/+')
	while ((${#text} % 4)); do text+='='; done
	base64 -d <<<"$text"
}

nonce=$(openssl rand -hex 16)
IFS=. read -r head claims signature < <(fob mfa sign-in "$user@$realm" --nonce "$nonce" --audience is-here "$@")
kid=$(raw <<<"$head" | jq -er 'select(.alg == "EdDSA") | .kid')
{
	printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00' # SubjectPublicKeyInfo of Ed25519 (RFC 8410, section 4)
	jq -er --arg kid "$kid" '.keys[] | select(.kid == $kid and .crv == "Ed25519") | .x' "$keys" | raw
} >"$dir/key"
printf '%s.%s' "$head" "$claims" >"$dir/signed"
raw <<<"$signature" >"$dir/signature"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$dir/key" -rawin -in "$dir/signed" -sigfile "$dir/signature" >/dev/null
raw <<<"$claims" | jq -er --arg iss "fob:$realm" --arg sub "$user" --arg nonce "$nonce" --argjson now "$(date +%s)" '
	select(.iss == $iss and .sub == $sub and .aud == "is-here" and .nonce == $nonce and .exp > $now)
	| "\(.sub) is here, by \(.device) (\(.acr))"'
