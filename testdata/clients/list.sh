#!/bin/sh
# Lists the keys that fobd has. A call is a line of JSON that ends with a NUL byte, and so is the reply. To carry them,
# anything will do that connects its standard input and output to a Unix socket; here it is Python.
set -eu
carry='
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
reply = b""
while not reply.endswith(b"\0"):
    reply += s.recv(65536) or sys.exit("fobd hung up")
sys.stdout.buffer.write(reply)'
printf '{"method": "fob.Device.List"}\0' | python3 -c "$carry" "$XDG_RUNTIME_DIR/fob/fob.sock" | tr '\0' '\n'
