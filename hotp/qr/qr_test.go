package qr_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fob/hotp/qr"
)

// texts are of all sizes, with the bytes that URIs have.
func texts() []string {
	uri := "otpauth://totp/ACME%20Co:alice@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=ACME%20Co" +
		"&algorithm=SHA1&digits=6&period=30"
	migration := "otpauth-migration://offline?data=" +
		strings.Repeat("CiEKFDEyMzQ1Njc4OTAxMjM0NTY3ODkwEgNib2IgAigCMAE4rAI%3D", 40)
	return []string{"1", "A", uri, migration[:500], migration[:1000], migration[:2000]}
}

// scan has zbarimg read a picture.
func scan(t *testing.T, picture image.Image) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "code.png")
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("zbarimg", "--quiet", "--raw", "--oneshot", "-Sdisable", "-Sqr.enable", file).Output()
	if err != nil {
		t.Fatalf("zbarimg: %v", err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

// surround puts a picture onto a larger one of one color, as a terminal or a desktop does.
func surround(picture image.Image, c color.Color) image.Image {
	const margin = 40
	size := picture.Bounds().Size()
	out := image.NewGray(image.Rect(0, 0, size.X+2*margin, size.Y+2*margin))
	draw.Draw(out, out.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	draw.Draw(out, picture.Bounds().Add(image.Pt(margin, margin)), picture, image.Point{}, draw.Src)
	return out
}

// screen draws what a terminal would: the blocks of each line in the colors that the line begins with.
func screen(t *testing.T, text string) image.Image {
	t.Helper()
	const pixels = 6
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	picture := image.NewGray(image.Rect(0, 0, len(characters(t, lines[0]))*pixels, 2*len(lines)*pixels))
	for y, line := range lines {
		for x, c := range characters(t, line) {
			upper, found := map[rune]bool{'█': true, '▀': true, '▄': false, ' ': false}[c]
			if !found {
				t.Fatalf("line %d has %q", y, c)
			}
			lower := c == '█' || c == '▄'
			for i, dark := range []bool{upper, lower} {
				area := image.Rect(x, 2*y+i, x+1, 2*y+i+1)
				area = image.Rectangle{area.Min.Mul(pixels), area.Max.Mul(pixels)}
				draw.Draw(picture, area, image.NewUniform(color.Gray{map[bool]uint8{true: 0, false: 255}[dark]}),
					image.Point{}, draw.Src)
			}
		}
	}
	return picture
}

// characters gives those of a line that is black on white, whatever the terminal's own colors are.
func characters(t *testing.T, line string) []rune {
	t.Helper()
	line, begins := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
	line, ends := strings.CutSuffix(line, "\x1b[0m")
	if !begins || !ends {
		t.Fatalf("the colors of %q are not set and reset", line)
	}
	return []rune(line)
}

func TestTerminal(t *testing.T) {
	for _, want := range texts() {
		var out strings.Builder
		if err := qr.Terminal(&out, []byte(want)); err != nil {
			t.Fatal(err)
		}
		picture := screen(t, out.String())
		if got := scan(t, surround(picture, color.Black)); got != want {
			t.Errorf("%d bytes, dark terminal: got %q, want %q", len(want), got, want)
		}
		if got := scan(t, surround(picture, color.White)); got != want {
			t.Errorf("%d bytes, light terminal: got %q, want %q", len(want), got, want)
		}
		columns, err := qr.Columns([]byte(want))
		first, _, _ := strings.Cut(out.String(), "\n")
		if err != nil || columns != len(characters(t, first)) || strings.Count(out.String(), "\n") != (columns+1)/2 {
			t.Errorf("%d bytes: %d columns, %v", len(want), columns, err)
		}
	}
}

func TestPNG(t *testing.T) {
	for _, want := range texts() {
		var out bytes.Buffer
		if err := qr.PNG(&out, []byte(want)); err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, surround(picture, color.Black)); got != want {
			t.Errorf("%d bytes: got %q, want %q", len(want), got, want)
		}
	}
}

func TestTooLong(t *testing.T) {
	text := bytes.Repeat([]byte("a"), qr.MaxText+1)
	var out bytes.Buffer
	if err := qr.PNG(&out, text[1:]); err != nil || out.Len() == 0 {
		t.Errorf("%d bytes: %v", len(text)-1, err)
	}
	out.Reset()
	_, err := qr.Columns(text)
	for _, err := range []error{qr.PNG(&out, text), qr.Terminal(&out, text), err} {
		var long *qr.TooLongError
		if !errors.As(err, &long) || long.Length != len(text) || out.Len() != 0 {
			t.Errorf("got %v and %d bytes", err, out.Len())
		}
	}
}
