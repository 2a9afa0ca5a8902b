// Package pcsc is a client of pcscd, pcsc-lite's daemon that owns the smart card readers of a machine. It speaks the
// protocol of pcscd's Unix socket itself, without libpcsclite and so without C.
//
// A [Client] is one connection and one resource manager context (PC/SC part 5). It lists the readers, watches them, and
// connects to a [Card]. Failures that pcscd names are an [Error], by pcsc-lite's names and codes.
//
// The protocol is pcsc-lite's own (src/winscard_msg.h): structures in the machine's byte order, of fixed sizes, each
// answered by the same structure with the fields filled in. This package speaks versions 4:4 and 4:5, which pcsc-lite
// has had since 1.8.24; later ones still understand 4:4.
package pcsc
