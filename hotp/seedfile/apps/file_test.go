package apps

import (
	"bytes"
	"testing"
)

// TestPosition: lines and columns are those of the file, and no byte is looked at again, which in a file of one long
// line would take the square of its length.
func TestPosition(t *testing.T) {
	file := []byte("ab\ncd\n\nefghijklmnop")
	var at position
	for _, want := range []struct{ offset, line, column int }{{0, 1, 1}, {1, 1, 2}, {3, 2, 1}, {4, 2, 2}, {4, 2, 2},
		{7, 4, 1}, {9, 4, 3}, {15, 4, 9}} {
		line, column := at.of(file, want.offset)
		if line != want.line || column != want.column {
			t.Errorf("%d is line %d, column %d, expected %v", want.offset, line, column, want)
		}
	}
	copy(file, bytes.Repeat([]byte("\n"), 15))
	if line, column := at.of(file, 18); line != 4 || column != 12 {
		t.Errorf("line %d, column %d: it has looked at bytes again", line, column)
	}
}
