#!/usr/bin/env python3
"""Plays the person who uses the keys of 'fob emulate --control --touch never': touches them for anything but signing in,
which it declines, and says what it did. It needs nothing but Python's standard library; ipc/fob.Emulator.varlink in
fob's source describes every method and event.

  emulator.py [SOCKET]"""
import json, os, socket, sys

path = sys.argv[1] if len(sys.argv) > 1 else os.environ["XDG_RUNTIME_DIR"] + "/fob/emulator.sock"

def call(method, parameters={}, more=False):
    """Calls a method on a connection of its own; gives one reply, or with more each as it comes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(json.dumps({"method": "fob.Emulator." + method, "parameters": parameters, "more": more}).encode() + b"\0")
        received, reply = b"", {"continues": True}
        while reply.get("continues"):
            while b"\0" not in received:
                received += s.recv(65536) or sys.exit("the emulator hung up")
            message, _, received = received.partition(b"\0")
            reply = json.loads(message)
            if "error" in reply:
                yield {"error": reply["error"]}
                return
            yield reply["parameters"]

def answer(key, question):
    method = "Deny" if question["command"] == "getAssertion" else "Touch"
    for reply in call(method, {"key": key}):
        if "error" not in reply: # else somebody was faster
            print(method, key, question["command"], question.get("rpId", ""), flush=True)

for reply in call("Watch", more=True):
    if "error" in reply:
        sys.exit(0 if reply["error"] == "fob.Emulator.Ended" else reply["error"])
    event = reply["event"]
    if event["kind"] == "watching": # what waits since before that
        for piece in call("List", more=True):
            for key in piece["keys"]:
                if "waiting" in key:
                    answer(key["id"], key["waiting"])
    elif event["kind"] == "waiting":
        answer(event["key"], event["question"])
