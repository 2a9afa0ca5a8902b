// Package libfido2 drives security keys with the C library of that name, version 1.12 or later.
//
// Keys are found with github.com/keys-pub/go-libfido2. Ceremonies go through a small amount of C of our own, because
// that binding leaks PINs, gives the first assertion only, has no exclude lists and no cancel that is safe to call.
//
// libfido2 makes requests, does the cryptography and reads answers. The packets of CTAPHID are read and written in Go
// (fido/ctaphid), which also knows what libfido2 would hide: that a key waits for the person, is busy, or is gone. Only
// devices of the kernel's NFC are left to libfido2 altogether.
//
// What libfido2 has no word for, or does in its own way, is asked of the key in Go, too (fido/platform): the
// credentials on it and their large blobs, fingerprints, and some extensions.
//
// Only cmd/fob-fido-helper imports this package: the daemon never runs C.
package libfido2
