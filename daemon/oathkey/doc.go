// Package oathkey finds security keys with an OATH application in the readers of pcscd, and uses one of them at a time,
// in short transactions: other programs, such as GnuPG's scdaemon and ykman, wait for the end of one, and go on
// working.
//
// Use a key in [Keys.Use], which finds it in whatever reader it is, makes sure that it is the one that is meant, and
// gives a session of package ykoath. Nothing is kept from one use to the next, so that a key may be taken out and put
// in, reset, or used by others in between, and pcscd may be restarted.
package oathkey
