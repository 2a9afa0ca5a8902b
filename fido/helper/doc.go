// Package helper runs libfido2 in a process of its own and speaks with it. C code parses what an untrusted USB device
// sends; a crash, a hang or a leak there costs one ceremony and never the daemon.
//
// Source is the daemon's side: it starts a helper process for every key that it opens, and a short-lived one to list
// the keys; with Keep, one waits for each key that is plugged in. Serve is the helper's side: it answers for a Driver
// until the daemon closes the connection.
//
// # Protocol
//
// The two talk over a Unix socket pair of type SOCK_STREAM, which is file descriptor 3 in the helper. Everything is a
// frame: its length as a 32-bit big-endian number, then as many bytes. A frame to the helper has at most 64 KiB, a
// frame back at most 1 MiB. What is inside is CBOR in the CTAP2 canonical encoding form.
//
// Both sides begin with a hello, {1: protocol version}, and go no further when the versions differ. Then the
// daemon sends requests, one at a time, and the helper sends one reply to each:
//
//	request  n (1 byte)  PIN (n bytes)  m (1 byte)  new PIN (m bytes)  {1: id, 2: operation, 3: body}
//	reply    {1: id, 2: kind of error, 3: CTAP status, 4: text of the error, 5: body}
//
// The PINs stand in front of the CBOR so that no encoder ever has a copy of them. Bodies are byte strings that hold
// CTAP's own messages where there is one, so that they nest as deep as CTAP allows. A cancel request names the request
// that it cancels and has no reply of its own; one that comes too late is ignored.
//
// Before its reply, a request has an event when the key begins to wait for the person, once at most: {1: id, 2:
// "waiting"}.
//
// The first request decides what the process is for, listing keys or one key, and the helper confines itself to that
// before it does it; a confine request opens nothing, so that the helper can wait for the key to be needed, and goes
// through a ceremony with a key that is only played. The reply to it says how well it is confined, {1: version of
// Landlock, 2: seccomp, 3: what is missing}; the one to an open request, {1: the same, 2: authenticatorGetInfo}.
package helper

// protocolVersion changes whenever the two sides would misunderstand each other.
const protocolVersion = 7
