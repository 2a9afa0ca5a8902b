"""Encrypts and decrypts the files of apps by what their formats say, without any of our code: the judge of the tests.

judge.py open|seal FORMAT PASSPHRASE, from standard input to standard output. What is opened is the JSON inside.
"""
import base64
import ctypes
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt


def pbkdf2(algorithm, passphrase, salt, iterations):
    return PBKDF2HMAC(algorithm=algorithm, length=32, salt=salt, iterations=iterations).derive(passphrase)


def argon2id(passphrase, salt, time=3, memory=1 << 16, threads=4):
    out = ctypes.create_string_buffer(32)
    library = ctypes.CDLL("libargon2.so.1")
    size = ctypes.c_size_t
    error = library.argon2id_hash_raw(time, memory, threads, passphrase, size(len(passphrase)), salt, size(len(salt)), out, size(32))
    if error != 0:
        raise RuntimeError(f"argon2id_hash_raw: {error}")
    return out.raw


def open_aegis(data, passphrase):
    vault = json.loads(data)
    for slot in vault["header"]["slots"]:
        key = Scrypt(salt=bytes.fromhex(slot["salt"]), length=32, n=slot["n"], r=slot["r"], p=slot["p"]).derive(passphrase)
        params = slot["key_params"]
        key = AESGCM(key).decrypt(bytes.fromhex(params["nonce"]), bytes.fromhex(slot["key"] + params["tag"]), None)
    params = vault["header"]["params"]
    sealed = base64.b64decode(vault["db"], validate=True) + bytes.fromhex(params["tag"])
    return AESGCM(key).decrypt(bytes.fromhex(params["nonce"]), sealed, None)


def aegis_slot(vault_key, passphrase, n):
    salt, nonce = os.urandom(32), os.urandom(12)
    key = Scrypt(salt=salt, length=32, n=n, r=8, p=1).derive(passphrase)
    sealed = AESGCM(key).encrypt(nonce, vault_key, None)
    return {"type": 1, "uuid": "01234567-89ab-4cde-8f01-23456789abcd", "key": sealed[:32].hex(),
            "key_params": {"nonce": nonce.hex(), "tag": sealed[32:].hex()}, "n": n, "r": 8, "p": 1, "salt": salt.hex()}


def seal_aegis(data, passphrase):
    key, nonce = os.urandom(32), os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, data, None)
    biometric = {"type": 2, "uuid": "11234567-89ab-4cde-8f01-23456789abcd", "key": "00" * 32,
                 "key_params": {"nonce": "00" * 12, "tag": "00" * 16}}
    slots = [biometric, aegis_slot(key, b"another passphrase", 1 << 10), aegis_slot(key, passphrase, 1 << 15)]
    header = {"slots": slots, "params": {"nonce": nonce.hex(), "tag": sealed[-16:].hex()}}
    vault = {"version": 1, "header": header, "db": base64.b64encode(sealed[:-16]).decode()}
    return json.dumps(vault, indent=4).replace("/", "\\/").encode()  # as Android's org.json does


def open_2fas(data, passphrase):
    backup = json.loads(data)
    parts = [base64.b64decode(part, validate=True) for part in backup["servicesEncrypted"].split(":")]
    reference = [base64.b64decode(part, validate=True) for part in backup["reference"].split(":")]
    if len(parts[1]) != 256 or reference[1] != parts[1] or reference[2] == parts[2] or backup["schemaVersion"] != 4:
        raise ValueError("not as 2FAS has it")
    key = pbkdf2(hashes.SHA256(), passphrase, parts[1], 10000)
    if not AESGCM(key).decrypt(reference[2], reference[0], None).startswith(b"tRViSsLKzd86Hprh4ceC2OP7xazn4rrt4xhf"):
        raise ValueError("another reference")
    return AESGCM(key).decrypt(parts[2], parts[0], None)


def seal_2fas(data, passphrase):
    salt, nonce = os.urandom(256), os.urandom(12)
    sealed = AESGCM(pbkdf2(hashes.SHA256(), passphrase, salt, 10000)).encrypt(nonce, data, None)
    text = ":".join(base64.b64encode(part).decode() for part in (sealed, salt, nonce))
    return json.dumps({"services": [], "groups": [], "schemaVersion": 4, "servicesEncrypted": text}).encode()


def open_andotp(data, passphrase):
    iterations, = struct.unpack(">I", data[:4])
    if not 140000 <= iterations <= 160000:
        raise ValueError("not as andOTP has it")
    return AESGCM(pbkdf2(hashes.SHA1(), passphrase, data[4:16], iterations)).decrypt(data[16:28], data[28:], None)


def seal_andotp(data, passphrase):
    salt, nonce = os.urandom(12), os.urandom(12)
    sealed = AESGCM(pbkdf2(hashes.SHA1(), passphrase, salt, 141234)).encrypt(nonce, data, None)
    return struct.pack(">I", 141234) + salt + nonce + sealed


def open_stratum(data, passphrase):
    if data[:16] != b"AUTHENTICATORPRO":
        raise ValueError("another magic")
    return AESGCM(argon2id(passphrase, data[16:32])).decrypt(data[32:44], data[44:], None)


def seal_stratum(data, passphrase):
    salt, nonce = os.urandom(16), os.urandom(12)
    return b"AUTHENTICATORPRO" + salt + nonce + AESGCM(argon2id(passphrase, salt)).encrypt(nonce, data, None)


def sodium(function, *arguments):
    if getattr(ctypes.CDLL("libsodium.so.23"), "crypto_secretstream_xchacha20poly1305_" + function)(*arguments) != 0:
        raise RuntimeError(f"{function} failed")


def open_ente(data, passphrase):
    export = json.loads(data)
    kdf = export["kdfParams"]
    key = argon2id(passphrase, base64.b64decode(kdf["salt"]), kdf["opsLimit"], kdf["memLimit"] // 1024, 1)
    sealed = base64.b64decode(export["encryptedData"])
    state, out, tag = (ctypes.create_string_buffer(n) for n in (52, len(sealed) - 17, 1))
    sodium("init_pull", state, base64.b64decode(export["encryptionNonce"]), key)
    sodium("pull", state, out, None, tag, sealed, ctypes.c_ulonglong(len(sealed)), None, ctypes.c_ulonglong(0))
    if tag.raw != b"\x03":
        raise ValueError("not the final message")
    return out.raw


def seal_ente(data, passphrase):
    salt = os.urandom(16)
    state, header, out = (ctypes.create_string_buffer(n) for n in (52, 24, len(data) + 17))
    sodium("init_push", state, header, argon2id(passphrase, salt, 2, 1 << 16, 1))
    size = ctypes.c_ulonglong
    sodium("push", state, out, None, data, size(len(data)), None, size(0), ctypes.c_ubyte(3))
    salt, out, header = (base64.b64encode(part).decode() for part in (salt, out.raw, header.raw))
    return json.dumps({"version": 1, "kdfParams": {"memLimit": 1 << 26, "opsLimit": 2, "salt": salt},
                       "encryptedData": out, "encryptionNonce": header}).encode()


judge = globals()[sys.argv[1] + "_" + sys.argv[2]]
sys.stdout.buffer.write(judge(sys.stdin.buffer.read(), sys.argv[3].encode()))
