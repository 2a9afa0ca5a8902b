"""A client made with python-fido2: ceremonies at a key, checked here and printed as one JSON object.

usage: ceremony.py KEY info
       ceremony.py KEY register [PROTOCOL PIN]   both ceremonies; PROTOCOL is 1 or 2
       ceremony.py KEY block PIN                 three wrong PINs, then the right one after the key has lost power
       ceremony.py KEY reset

KEY is the path of a node that behaves like hidraw, or the name of a PC/SC reader; "extended:" before that name has it
sent extended APDUs.
"""

import hashlib
import json
import os
import sys

try:
    from fido2.attestation import Attestation
    from fido2.cose import CoseKey
    from fido2.ctap import CtapError
    from fido2.ctap2 import ClientPin, Ctap2, PinProtocolV1, PinProtocolV2
    from fido2.hid import CtapHidDevice, open_connection
    from fido2.hid.base import HidDescriptor
    from fido2.pcsc import CtapPcscDevice
    from smartcard.CardRequest import CardRequest
    from smartcard.CardType import AnyCardType
    from smartcard.System import readers
except ImportError as e:
    sys.exit("%s: install the packages python3-fido2 and python3-pyscard" % e)

RP = "example.org"


def open_key(key):
    if key.startswith("/dev/"):
        descriptor = HidDescriptor(key, 0, 0, 64, 64)
        return CtapHidDevice(descriptor, open_connection(descriptor))
    name = key[len("extended:"):] if key.startswith("extended:") else key
    matching = [r for r in readers() if r.name == name]
    if len(matching) != 1:
        sys.exit("readers: %s" % readers())
    CardRequest(timeout=30, readers=matching, cardType=AnyCardType()).waitforcard()
    device = CtapPcscDevice(matching[0].createConnection(), name)
    device.use_ext_apdu = key != name
    return device


def token(ctap, protocol, pin, permission, client_data_hash):
    if not protocol:
        return None
    client_pin = ClientPin(ctap, protocol)
    return protocol.authenticate(client_pin.get_pin_token(pin, permission, RP), client_data_hash)


def flags(auth_data):
    return {"up": bool(auth_data.flags & 1), "uv": bool(auth_data.flags & 4)}


def register(ctap, protocol=None, pin=None):
    """Registers with a long user name and display name, so that the request needs several short APDUs, and signs in."""
    protocol = {None: None, "1": PinProtocolV1(), "2": PinProtocolV2()}[protocol]
    version = protocol.VERSION if protocol else None
    client_data_hash = hashlib.sha256(b"register").digest()
    user = {"id": os.urandom(64), "name": "alice@" + 50 * "x", "displayName": "Alice " + 50 * "y"}
    keepalives = []
    result = ctap.make_credential(
        client_data_hash,
        {"id": RP, "name": "Example"},
        user,
        [{"type": "public-key", "alg": -8}, {"type": "public-key", "alg": -7}],
        options={"rk": True},
        pin_uv_param=token(ctap, protocol, pin, ClientPin.PERMISSION.MAKE_CREDENTIAL, client_data_hash),
        pin_uv_protocol=version,
        on_keepalive=keepalives.append,
    )
    Attestation.for_type(result.fmt)().verify(result.att_statement, result.auth_data, client_data_hash)
    credential = result.auth_data.credential_data
    assert result.auth_data.rp_id_hash == hashlib.sha256(RP.encode()).digest()

    challenge = os.urandom(32)
    assertion = ctap.get_assertion(
        RP,
        challenge,
        allow_list=[{"type": "public-key", "id": credential.credential_id}],
        pin_uv_param=token(ctap, protocol, pin, ClientPin.PERMISSION.GET_ASSERTION, challenge),
        pin_uv_protocol=version,
    )
    assertion.verify(challenge, CoseKey.parse(credential.public_key))
    assert assertion.auth_data.counter > result.auth_data.counter
    assert assertion.credential["id"] == credential.credential_id
    return {
        "fmt": result.fmt,
        "alg": credential.public_key[3],
        "registered": flags(result.auth_data),
        "signedIn": flags(assertion.auth_data),
    }


def block(key, ctap, pin):
    """The PIN is blocked until the card has lost power: the reader takes it away when the connection is closed."""
    said = []

    def attempt(pin):
        try:
            ClientPin(ctap).get_pin_token(pin, ClientPin.PERMISSION.GET_ASSERTION, RP)
            said.append("OK")
        except CtapError as e:
            said.append(e.code.name)

    for _ in range(3):
        attempt("wrong")
    attempt(pin)
    ctap.device.close()
    ctap = Ctap2(open_key(key))
    attempt(pin)
    return {"said": said, "retries": ClientPin(ctap).get_pin_retries()[0]}


def main(key, command, *args):
    ctap = Ctap2(open_key(key))
    if command == "info":
        i = ctap.info
        out = {"versions": i.versions, "transports": i.transports, "protocols": i.pin_uv_protocols, "msg": i.max_msg_size}
    elif command == "register":
        out = register(ctap, *args)
    elif command == "block":
        out = block(key, ctap, *args)
    elif command == "reset":
        ctap.reset()
        out = {}
    else:
        sys.exit(__doc__)
    print(json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
