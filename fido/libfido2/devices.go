package libfido2

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	binding "github.com/keys-pub/go-libfido2"

	"fob/fido"
)

// maxName bounds a manufacturer's or a product's name, in runes.
const maxName = 64

// Devices lists the FIDO devices that are plugged in; their IDs are left empty.
func Devices() ([]fido.DeviceInfo, error) {
	locations, err := binding.DeviceLocations()
	if err != nil {
		return nil, fmt.Errorf("list FIDO devices: %w", err)
	}
	infos := make([]fido.DeviceInfo, len(locations))
	for i, l := range locations {
		infos[i] = fido.DeviceInfo{
			Path:         l.Path,
			VendorID:     uint16(l.VendorID), // the binding has it signed, as libfido2 does
			ProductID:    uint16(l.ProductID),
			Manufacturer: printable(l.Manufacturer),
			Product:      printable(l.Product),
		}
	}
	return infos, nil
}

// printable takes out what has no place in a name: the device chose it.
func printable(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || n == maxName {
			return -1
		}
		n++
		return r
	}, s)
}
