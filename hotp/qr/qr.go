// Package qr draws QR codes (ISO/IEC 18004) for a phone to scan: in a terminal, and as PNG.
//
// Codes come from github.com/boombuler/barcode, which is part of fob anyway through github.com/pquerna/otp, and
// chooses the mask as the standard says, so that scanners have it easy. What is drawn is as secret as its text. The
// library's own copies of it stay in memory until they are collected.
package qr

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"unsafe"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// MaxText is how long a text may be, in bytes (ISO/IEC 18004 §6.4.10: version 40, level L).
const MaxText = 2953

const (
	quietZone = 4 // light modules on each side (ISO/IEC 18004 §6.3.8)
	scale     = 8 // pixels of a module in a PNG
)

// TooLongError says that a text does not fit into a QR code.
type TooLongError struct{ Length int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("a QR code holds %d bytes, and these are %d", MaxText, e.Length)
}

// code is the modules of a QR code, with its quiet zone.
type code struct{ modules barcode.Barcode }

// encode makes a code with the least error correction, level L: no dirt comes upon a screen, and fewer modules are
// easier to scan.
func encode(text []byte) (code, error) {
	if len(text) > MaxText {
		return code{}, &TooLongError{len(text)}
	}
	modules, err := qr.Encode(unsafe.String(unsafe.SliceData(text), len(text)), qr.L, qr.Unicode)
	return code{modules}, err
}

// size is how many modules each side has.
func (c code) size() int { return c.modules.Bounds().Dx() + 2*quietZone }

// dark tells of a module; all outside of the code are light.
func (c code) dark(x, y int) bool {
	at := image.Pt(x-quietZone, y-quietZone)
	return at.In(c.modules.Bounds()) && c.modules.At(at.X, at.Y) == color.Black
}

// Columns is how wide Terminal draws a text, in characters. Half as many lines, rounded up, are its height.
func Columns(text []byte) (int, error) {
	c, err := encode(text)
	if err != nil {
		return 0, err
	}
	return c.size(), nil
}

// Black on white, of the fixed part of a terminal's 256 colors: a theme can change the first 16 alone. Thus a code is
// right in dark and in light terminals.
const (
	colors = "\x1b[38;5;16;48;5;231m"
	reset  = "\x1b[0m"
)

// Terminal draws the QR code of a text for a terminal of UTF-8. Each character has two modules, one above the other.
func Terminal(w io.Writer, text []byte) error {
	c, err := encode(text)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for y := 0; y < c.size(); y += 2 {
		out.WriteString(colors)
		for x := range c.size() {
			out.WriteRune(block(c.dark(x, y), c.dark(x, y+1)))
		}
		out.WriteString(reset + "\n")
	}
	return out.Flush()
}

func block(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	}
	return ' '
}

// PNG draws the QR code of a text as a PNG image of two colors.
func PNG(w io.Writer, text []byte) error {
	c, err := encode(text)
	if err != nil {
		return err
	}
	picture := image.NewPaletted(image.Rect(0, 0, c.size()*scale, c.size()*scale), color.Palette{color.White, color.Black})
	defer clear(picture.Pix)
	for i := range picture.Pix {
		if c.dark(i%picture.Stride/scale, i/picture.Stride/scale) {
			picture.Pix[i] = 1
		}
	}
	return png.Encode(w, picture)
}
