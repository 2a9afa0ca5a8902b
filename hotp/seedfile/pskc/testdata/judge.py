"""Prints the keys of a PSKC file as JSON, as python-pskc decrypts them and checks their MACs. It reads the name of the
file, "key", "passphrase" or "plain", and the secret in hex, each on a line of its standard input."""
import json
import sys

from pskc import PSKC

name, lock, secret = (line.rstrip("\n") for line in sys.stdin)
file = PSKC(name)
if lock == "passphrase":
    file.encryption.derive_key(bytes.fromhex(secret))
elif lock == "key":
    file.encryption.key = bytes.fromhex(secret)


def date(d):
    return d and d.strftime("%Y-%m-%dT%H:%M:%SZ")


json.dump([{
    "Serial": k.serial, "ID": k.id, "Algorithm": k.algorithm, "Suite": k.algorithm_suite, "Digits": k.response_length,
    "Encoding": k.response_encoding, "Seed": k.secret.hex(), "Counter": k.counter, "Period": k.time_interval,
    "Drift": k.time_drift, "Manufacturer": k.manufacturer, "Model": k.model, "Issuer": k.issuer,
    "Account": k.key_userid, "FriendlyName": k.friendly_name, "User": k.device_userid,
    "Start": date(k.start_date), "Expiry": date(k.expiry_date),
    "Checked": bool(k.check()), "MAC": file.mac.algorithm, "KeyName": file.encryption.key_name,
} for k in file.keys], sys.stdout)
