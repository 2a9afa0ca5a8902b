"""A client made with python-fido2 that administers a key: what the commands answer is checked here, and printed as one
JSON object.

usage: administer.py KEY PROTOCOL PIN manage       credentialManagement, of three credentials at two RPs
       administer.py KEY PROTOCOL PIN blobs        largeBlobs, and largeBlobKey
       administer.py KEY PROTOCOL PIN look         lists what another program has put on the key
       administer.py KEY PROTOCOL PIN extensions   the other extensions
       administer.py KEY PROTOCOL PIN config       authenticatorConfig, and minPinLength; changes the PIN to PIN + "99"
       administer.py KEY PROTOCOL PIN fingers      bioEnrollment, and user verification by finger
       administer.py KEY PROTOCOL PIN u2f          CTAP1/U2F, and selection

KEY is as for ceremony.py. PROTOCOL, of PIN and tokens, is 1 or 2.
"""

import hashlib
import json
import os
import sys
import zlib

from ceremony import open_key

from fido2.cose import CoseKey
from fido2.ctap import CtapError
from fido2.ctap1 import ApduError, Ctap1
from fido2.ctap2 import ClientPin, Config, CredentialManagement, Ctap2, LargeBlobs, PinProtocolV1, PinProtocolV2
from fido2.ctap2.bio import CaptureError, FPBioEnrollment
from fido2.ctap2.blob import _lb_unpack

HERE, ELSEWHERE = "example.org", "example.net"
PERMISSION = ClientPin.PERMISSION


def sha256(data):
    return hashlib.sha256(data).digest()


class Client:
    def __init__(self, key, protocol, pin):
        self.ctap = Ctap2(open_key(key))
        self.protocol = {"1": PinProtocolV1, "2": PinProtocolV2}[protocol]()
        self.client_pin = ClientPin(self.ctap, self.protocol)
        self.pin = pin

    def token(self, permission, rp=None):
        return self.client_pin.get_pin_token(self.pin, permission, rp)

    def verified(self, token, client_data_hash):
        if token is None:
            return {}
        return {
            "pin_uv_param": self.protocol.authenticate(token, client_data_hash),
            "pin_uv_protocol": self.protocol.VERSION,
        }

    def register(self, user, rp=HERE, rk=True, verify=True, **extensions):
        client_data_hash = os.urandom(32)
        token = self.token(PERMISSION.MAKE_CREDENTIAL, rp) if verify else None
        return self.ctap.make_credential(
            client_data_hash,
            {"id": rp, "name": rp.upper()},
            {"id": user.encode(), "name": user, "displayName": user.title()},
            [{"type": "public-key", "alg": -7}],
            extensions={name.replace("_", "-"): value for name, value in extensions.items()} or None,
            options={"rk": True} if rk else None,
            **self.verified(token, client_data_hash)
        )

    def sign_in(self, made, rp=HERE, verify=True, options=None, token=None, **extensions):
        client_data_hash = os.urandom(32)
        credential = made.auth_data.credential_data
        if verify and token is None:
            token = self.token(PERMISSION.GET_ASSERTION, rp)
        signed = self.ctap.get_assertion(
            rp,
            client_data_hash,
            allow_list=[{"type": "public-key", "id": credential.credential_id}],
            extensions={name.replace("_", "-"): value for name, value in extensions.items()} or None,
            options=options,
            **self.verified(token, client_data_hash)
        )
        signed.verify(client_data_hash, CoseKey.parse(credential.public_key))
        return signed

    def salts(self, *salts):
        """The input of hmac-secret, and what decrypts the output."""
        key_agreement, secret = self.client_pin._get_shared_secret()
        enc = self.protocol.encrypt(secret, b"".join(salts))
        data = {1: key_agreement, 2: enc, 3: self.protocol.authenticate(secret, enc), 4: self.protocol.VERSION}
        return data, lambda output: self.protocol.decrypt(secret, output)


def refused(f, *args, **kwargs):
    """The name of the error that the key answers."""
    try:
        f(*args, **kwargs)
    except CtapError as e:
        return "PUAT_REQUIRED" if e.code == 0x36 else e.code.name  # which CTAP 2.0 called PIN_REQUIRED
    return "OK"


def manage(c):
    RESULT = CredentialManagement.RESULT
    made = [c.register("alice"), c.register("bob", credProtect=3), c.register("carol", rp=ELSEWHERE, largeBlobKey=True)]
    credman = CredentialManagement(c.ctap, c.protocol, c.token(PERMISSION.CREDENTIAL_MGMT))
    metadata = credman.get_metadata()
    rps = credman.enumerate_rps()
    assert [rp[RESULT.RP_ID_HASH] for rp in rps] == [sha256(rp[RESULT.RP]["id"].encode()) for rp in rps]
    credentials = {rp[RESULT.RP]["id"]: credman.enumerate_creds(rp[RESULT.RP_ID_HASH]) for rp in rps}
    for known, listed in zip(made, credentials[HERE] + credentials[ELSEWHERE]):
        data = known.auth_data.credential_data
        assert listed[RESULT.CREDENTIAL_ID]["id"] == data.credential_id
        assert listed[RESULT.PUBLIC_KEY] == data.public_key
        assert listed.get(RESULT.LARGE_BLOB_KEY) == known.large_blob_key
    bob = credentials[HERE][1]
    name = {"id": b"bob", "name": "robert", "displayName": "Robert"}
    credman.update_user_info(bob[RESULT.CREDENTIAL_ID], name)
    renamed = credman.enumerate_creds(sha256(HERE.encode()))[1][RESULT.USER]
    said = [
        refused(credman.update_user_info, bob[RESULT.CREDENTIAL_ID], dict(name, id=b"mallory")),
        refused(credman.delete_cred, bob[RESULT.CREDENTIAL_ID]),
        refused(credman.delete_cred, bob[RESULT.CREDENTIAL_ID]),
        refused(credman.delete_cred, credentials[ELSEWHERE][0][RESULT.CREDENTIAL_ID]),
    ]
    assert credman.enumerate_creds(sha256(ELSEWHERE.encode())) == []
    bound = CredentialManagement(c.ctap, c.protocol, c.token(PERMISSION.CREDENTIAL_MGMT, HERE))
    wrong = CredentialManagement(c.ctap, c.protocol, c.token(PERMISSION.GET_ASSERTION, HERE))
    said += [refused(wrong.get_metadata), refused(credman.get_metadata), refused(bound.enumerate_rps_next)]
    return {
        "existing": metadata[RESULT.EXISTING_CRED_COUNT],
        "remaining": metadata[RESULT.MAX_REMAINING_COUNT],
        "users": {rp: [x[RESULT.USER]["name"] for x in listed] for rp, listed in credentials.items()},
        "protected": [x[RESULT.CRED_PROTECT] for x in credentials[HERE]],
        "renamed": [renamed["name"], renamed["displayName"]],
        "said": said,
    }


def blobs(c):
    made = c.register("alice", largeBlobKey=True)
    key = made.large_blob_key
    assert len(key) == 32 and made.auth_data.extensions is None
    assert c.sign_in(made, largeBlobKey=True).large_blob_key == key
    assert c.sign_in(made).large_blob_key is None
    assert LargeBlobs(c.ctap).read_blob_array() == []
    said = [refused(LargeBlobs(c.ctap).put_blob, key, b"x")]
    said.append(refused(LargeBlobs(c.ctap, c.protocol, c.token(PERMISSION.CREDENTIAL_MGMT)).put_blob, key, b"x"))
    store = LargeBlobs(c.ctap, c.protocol, c.token(PERMISSION.LARGE_BLOB_WRITE))
    other, blob = os.urandom(32), os.urandom(1500)
    store.put_blob(key, blob)
    store.put_blob(other, b"another")
    store.put_blob(key, blob + blob)
    assert store.get_blob(key) == blob + blob and store.get_blob(other) == b"another"
    assert store.get_blob(os.urandom(32)) is None
    store.delete_blob(key)
    assert store.get_blob(key) is None and store.get_blob(other) == b"another"
    return {"said": said, "left": len(store.read_blob_array())}


def look(c):
    # reads what another program has put on the key
    RESULT = CredentialManagement.RESULT
    credman = CredentialManagement(c.ctap, c.protocol, c.token(PERMISSION.CREDENTIAL_MGMT))
    blobs = LargeBlobs(c.ctap).read_blob_array()
    found = {}
    for rp in credman.enumerate_rps():
        for x in credman.enumerate_creds(rp[RESULT.RP_ID_HASH]):
            name = x[RESULT.USER].get("name", "") + "@" + rp[RESULT.RP]["id"]
            found[name] = opened(blobs, x.get(RESULT.LARGE_BLOB_KEY))
    return {"found": found, "blobs": len(blobs)}


def opened(blobs, key):
    # this python-fido2 expects the header of RFC 1950, which the specification has not
    for entry in blobs:
        try:
            compressed, size = _lb_unpack(key, entry)
        except ValueError:
            continue
        blob = zlib.decompress(compressed, wbits=-zlib.MAX_WBITS)
        assert len(blob) == size
        return blob.decode()


def extensions(c):
    salt1, salt2 = os.urandom(32), os.urandom(32)
    data, open_output = c.salts(salt1, salt2)
    blob = os.urandom(c.ctap.info.max_cred_blob_length)
    made = c.register(
        "alice",
        credBlob=blob,
        credProtect=2,
        hmac_secret=True,
        hmac_secret_mc=data,
        minPinLength=True,
        thirdPartyPayment=True,
    )
    outputs = dict(made.auth_data.extensions)
    at_creation = open_output(outputs.pop("hmac-secret-mc"))

    def secrets(verify, *salts):
        data, open_output = c.salts(*salts)
        return open_output(c.sign_in(made, verify=verify, hmac_secret=data).auth_data.extensions["hmac-secret"])

    verified, unverified = secrets(True, salt1, salt2), secrets(False, salt1, salt2)
    assert verified == at_creation and len(verified) == 64
    assert secrets(True, salt2) == verified[32:] and secrets(True, salt1) == verified[:32]
    assert not {verified[:32], verified[32:]} & {unverified[:32], unverified[32:]}

    signed = c.sign_in(made, credBlob=True, thirdPartyPayment=True).auth_data.extensions
    assert signed == {"credBlob": blob, "thirdPartyPayment": True}
    other = c.register("bob", credBlob=blob + b"x")
    signed = c.sign_in(other, credBlob=True, thirdPartyPayment=True).auth_data.extensions
    assert signed == {"credBlob": b"", "thirdPartyPayment": False}
    assert c.sign_in(made).auth_data.extensions is None

    data, _ = c.salts(salt1)
    forged = dict(data)
    forged[3] = bytes(len(data[3]))
    short, _ = c.salts(salt1[:16])
    return {
        "outputs": outputs,
        "other": other.auth_data.extensions,
        "said": [
            refused(c.sign_in, made, hmac_secret=forged),
            refused(c.sign_in, made, hmac_secret=short),
            refused(c.sign_in, made, options={"up": False}, hmac_secret=data),
            refused(c.register, "eve", hmac_secret_mc=data),
            refused(c.register, "eve", rk=False, largeBlobKey=True),
            refused(c.ctap.get_assertion, HERE, bytes(32)),  # credProtect hides alice, and shows bob
            refused(c.ctap.get_assertion, ELSEWHERE, bytes(32)),
        ],
    }


def config(c):
    said = [refused(Config(c.ctap).toggle_always_uv)]

    def configure(f, *args, **kwargs):
        authorized = Config(c.ctap, c.protocol, c.token(PERMISSION.AUTHENTICATOR_CFG))
        said.append(refused(getattr(authorized, f), *args, **kwargs))

    configure("toggle_always_uv")
    always = c.ctap.get_info()
    said.append(refused(c.register, "alice", rk=False, verify=False))
    configure("toggle_always_uv")
    configure("set_min_pin_length", 3)
    configure("set_min_pin_length", None, [HERE])
    assert c.register("alice", minPinLength=True).auth_data.extensions == {"minPinLength": 4}
    assert c.register("alice", rp=ELSEWHERE, minPinLength=True).auth_data.extensions is None
    configure("set_min_pin_length", 6)
    due = c.ctap.get_info()
    said.append(refused(c.token, PERMISSION.AUTHENTICATOR_CFG))
    said.append(refused(c.client_pin.change_pin, c.pin, c.pin + "9"))
    c.client_pin.change_pin(c.pin, c.pin + "99")
    c.pin += "99"
    configure("set_min_pin_length", force_change_pin=True)
    forced = c.ctap.get_info()
    return {
        "said": said,
        "always": [always.options["alwaysUv"], always.options["makeCredUvNotRqd"], "U2F_V2" in always.versions],
        "due": [due.min_pin_length, due.force_pin_change],
        "forced": [forced.min_pin_length, forced.force_pin_change],
    }


def fingers(c):
    bio = FPBioEnrollment(c.ctap, c.protocol, c.token(PERMISSION.BIO_ENROLL))
    sensor = FPBioEnrollment(c.ctap, None, None).get_fingerprint_sensor_info()
    assert bio.enumerate_enrollments() == {}
    enrollment, template, samples = bio.enroll(), None, []
    while template is None:
        try:
            template = enrollment.capture()
            samples.append("good")
        except CaptureError as e:
            samples.append(e.code.name)
    bio.set_name(template, "thumb")
    assert bio.enumerate_enrollments() == {template: "thumb"}
    begun = bio.enroll()
    begun.capture()
    begun.cancel()
    assert bio.enumerate_enrollments() == {template: "thumb"}
    said = [refused(bio.set_name, template, 65 * "x"), refused(bio.remove_enrollment, b"x")]

    made = c.register("alice", verify=False, rk=False)
    token = c.client_pin.get_uv_token(PERMISSION.GET_ASSERTION, HERE)
    flags = c.sign_in(made, token=token).auth_data.flags
    optional = c.sign_in(made, verify=False, options={"uv": True}).auth_data.flags
    bio = FPBioEnrollment(c.ctap, c.protocol, c.token(PERMISSION.BIO_ENROLL))
    bio.remove_enrollment(template)
    said.append(refused(c.client_pin.get_uv_token, PERMISSION.GET_ASSERTION, HERE))
    left = len(bio.enumerate_enrollments())
    return {"sensor": sensor, "samples": samples, "said": said, "flags": [flags, optional], "left": left}


def u2f(c):
    ctap1 = Ctap1(c.ctap.device)
    assert ctap1.get_version() == "U2F_V2"
    app, challenge = sha256(HERE.encode()), os.urandom(32)
    made = ctap1.register(challenge, app)
    made.verify(app, challenge)
    said, counters = [], []
    known, unknown = made.key_handle, b"unknown"
    for handle, check_only in ((known, True), (known, False), (unknown, True), (unknown, False)):
        try:
            signed = ctap1.authenticate(challenge, app, handle, check_only=check_only)
            signed.verify(app, challenge, made.public_key)
            counters.append(signed.counter)
            said.append("OK")
        except ApduError as e:
            said.append("%04X" % e.code)
    signed = c.ctap.get_assertion(HERE, challenge, allow_list=[{"type": "public-key", "id": made.key_handle}])
    counters.append(signed.auth_data.counter)
    protected = c.register("alice", credProtect=3).auth_data.credential_data.credential_id
    try:
        ctap1.authenticate(challenge, app, protected)
        said.append("OK")
    except ApduError as e:
        said.append("%04X" % e.code)
    said.append(refused(c.ctap.selection))
    return {"said": said, "counters": counters}


def main(key, protocol, pin, command):
    commands = {f.__name__: f for f in (manage, blobs, look, extensions, config, fingers, u2f)}
    if command not in commands:
        sys.exit(__doc__)
    print(json.dumps(commands[command](Client(key, protocol, pin))))


if __name__ == "__main__":
    main(*sys.argv[1:])
