"""Prints the vectors of TestPINProtocolVectors; needs Debian's python3-fido2 (python-fido2 by Yubico)."""
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2

a, b = (ec.derive_private_key(n, ec.SECP256R1()) for n in (1, 2))
z = a.exchange(ec.ECDH(), b.public_key())
for p in (PinProtocolV1(), PinProtocolV2()):
    print(p.VERSION, p.authenticate(p.kdf(z), b"message").hex())
