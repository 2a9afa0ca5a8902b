"""Verifies a JWT by a JWKS, with OpenSSL by way of python3-cryptography: verify.py KEYS JWT"""
import base64
import json
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


def raw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(raw(text), "big")


keys = {key["kid"]: key for key in json.load(open(sys.argv[1]))["keys"]}
head, claims, signature = open(sys.argv[2]).read().strip().split(".")
key = keys[json.loads(raw(head))["kid"]]
signed = (head + "." + claims).encode()
signature = raw(signature)
if key["kty"] == "OKP":
    ed25519.Ed25519PublicKey.from_public_bytes(raw(key["x"])).verify(signature, signed)
else:
    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
