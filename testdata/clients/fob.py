#!/usr/bin/env python3
"""Uses a security key through fobd, with nothing but Python's standard library.

  fob.py                                    lists the keys
  fob.py Register OPTIONS.json ORIGIN       registers: WebAuthn's JSON in the file, its response on standard output
  fob.py SignIn OPTIONS.json ORIGIN         signs in, likewise
Events go to standard error. ipc/*.varlink in fob's source describes every method, event and error."""
import getpass, json, os, socket, sys

def call(method, parameters, more=False):
    """Calls a method of fobd, on a connection of its own; gives one reply, or with more each as it comes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ["XDG_RUNTIME_DIR"] + "/fob/fob.sock")
        s.sendall(json.dumps({"method": method, "parameters": parameters, "more": more}).encode() + b"\0")
        received, reply = b"", {"continues": True}
        while reply.get("continues"):
            while b"\0" not in received:
                received += s.recv(65536) or sys.exit("fobd hung up")
            message, _, received = received.partition(b"\0")
            reply = json.loads(message)
            if "error" in reply:
                sys.exit(f"{reply['error']} {json.dumps(reply.get('parameters', {}))}")
            yield reply["parameters"]

def answer(event):
    """Asks the person what the event asks for, and gives the parameters of fob.Prompt.Answer; None for nothing."""
    kind = event["kind"]
    if kind == "pin":
        given = {"pin": getpass.getpass(f"PIN of {event['product']}: ")}
        if event.get("reserved"): # of the last attempts
            given["spend"] = getpass.getpass("This is one of the last attempts. Type yes to spend it: ") == "yes"
        return given if given.get("spend", True) else {"decline": True}
    if kind == "newPin":
        return {"pin": getpass.getpass(f"New PIN, at least {event['minLength']} characters: ")}
    if kind == "consent":
        yes = input(f"{event['verb']} with {event['product']}? [y/N]: ") == "y"
        return {"choice": 0} if yes else {"decline": True}
    if kind == "choose":
        return {"choice": int(getpass.getpass("Account, from 0: "))}

if len(sys.argv) == 1:
    print(json.dumps(next(call("fob.Device.List", {}))["devices"], indent=2))
elif len(sys.argv) == 4:
    with open(sys.argv[2]) as f:
        asked = {"options": json.load(f), "origin": sys.argv[3]}
    for reply in call("fob.Ceremony." + sys.argv[1], asked, more=True):
        if event := reply.get("event"):
            print(json.dumps(event), file=sys.stderr, flush=True)
            if given := answer(event):
                list(call("fob.Prompt.Answer", {"token": event["token"], **given}))
        else:
            print(json.dumps(reply["response"]))
else:
    sys.exit(__doc__)
