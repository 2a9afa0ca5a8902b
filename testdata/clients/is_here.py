#!/usr/bin/env python3
"""Asks fobd whether somebody is here, and believes the JWT alone, which it verifies without fobd.

  is_here.py USER REALM KEYS <CODE
KEYS is a file with what 'fob mfa keys REALM' has printed once; nobody else may be able to change it. CODE is that of a
TOTP device of the user; fob.py shows how to use a security key instead. Needs python3-cryptography."""
import base64, json, os, secrets, socket, sys, time
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

def call(method, **parameters):
    """Calls a method of fobd."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ["XDG_RUNTIME_DIR"] + "/fob/fob.sock")
        s.sendall(json.dumps({"method": "fob.Account." + method, "parameters": parameters}).encode() + b"\0")
        received = b""
        while not received.endswith(b"\0"):
            received += s.recv(65536) or sys.exit("fobd hung up")
    reply = json.loads(received[:-1])
    if "error" in reply:
        sys.exit(f"{reply['error']} {json.dumps(reply.get('parameters', {}))}")
    return reply["parameters"]

def raw(text):
    """Decodes base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

def verified(jwt, keys):
    """Gives the claims of a JWT, or raises cryptography.exceptions.InvalidSignature."""
    head, claims, signature = jwt.split(".")
    signed, signature = (head + "." + claims).encode(), raw(signature)
    head = json.loads(raw(head))
    key = next(k for k in keys if k["kid"] == head["kid"] and k["alg"] == head["alg"])
    if key["alg"] == "EdDSA":
        ed25519.Ed25519PublicKey.from_public_bytes(raw(key["x"])).verify(signature, signed)
    else: # ES256
        x, y, r, s = (int.from_bytes(b, "big") for b in (raw(key["x"]), raw(key["y"]), signature[:32], signature[32:]))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    return json.loads(raw(claims))

if len(sys.argv) != 4:
    sys.exit(__doc__)
user, realm, path = sys.argv[1:]
with open(path) as f:
    known = json.load(f)["keys"]
nonce = secrets.token_hex(16)
begun = call("BeginSignIn", realm=realm, principal=user, nonce=nonce, audience="is_here.py")["challenge"]
done = call("FinishSignIn", id=begun["id"], code=sys.stdin.readline().strip())["signIn"]
is_so = verified(done["jwt"], known)
wanted = {"iss": "fob:" + realm, "sub": user, "aud": "is_here.py", "nonce": nonce}
if any(is_so.get(name) != value for name, value in wanted.items()) or is_so["exp"] <= time.time():
    sys.exit("the JWT is not for this")
print(f"{user} is here, by {is_so['device']} ({is_so['acr']})")
