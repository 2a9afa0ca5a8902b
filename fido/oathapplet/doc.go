// Package oathapplet is the OATH application of a security key in software: that of a YubiKey 5 (YKOATH Protocol
// Specification, developers.yubico.com/OATH). Like the emulator it stands in for hardware in tests and CI, and protects
// nothing.
//
// An [Applet] is one of the Applets of a ctapnfc.Card. It shares no code with the client of package hotp/ykoath, so
// that each can find the other's mistakes.
package oathapplet
