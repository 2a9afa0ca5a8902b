// Package vendors reads and writes the seed files that makers of tokens deliver, and that their programs make. Feitian
// delivers PSKC, and Token2 what Microsoft Entra ID imports.
package vendors

import (
	"fob/hotp"
	"fob/hotp/seedfile"
)

// Formats are the formats of this package, in the order of their names.
func Formats() []*seedfile.Format {
	return []*seedfile.Format{DeepnetXML, SafeNetXML, YubicoFlat, YubicoTraditional}
}

var sha1 = []hotp.Algorithm{hotp.SHA1}

// How sure a format is of files that begin like its own.
const (
	sureShape  = 80
	sureHeader = 95
)
