"""Calls a Varlink service with nothing but a socket: raw_client.py SOCKET MORE_METHOD"""
import json, socket, sys

sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
stream = sock.makefile("rwb")

def call(method, **flags):
    stream.write(json.dumps({"method": method, **flags}).encode() + b"\0")
    stream.flush()
    reply = {"continues": True}
    while reply.get("continues"):
        message = b""
        while not message.endswith(b"\0"):
            message += stream.read(1) or sys.exit("the service hung up")
        reply = json.loads(message[:-1])
        print(json.dumps(reply, sort_keys=True))

call("org.varlink.service.GetInfo")
call(sys.argv[2], more=True)
