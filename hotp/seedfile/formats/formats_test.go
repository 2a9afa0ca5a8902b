package formats_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fob/hotp/seedfile/formats"
)

// TestDetectSamples: each sample of a phone app, and of PSKC, is of one format.
func TestDetectSamples(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/seedfile/*/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		want := strings.TrimSuffix(name, filepath.Ext(name))
		switch {
		case name == "README.md":
			continue
		case filepath.Base(filepath.Dir(path)) == "pskc":
			want = "pskc"
		}
		head, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := detected(head); got != want {
			t.Errorf("%s: %s, expected %s", path, got, want)
		}
	}
}

// TestFormats: what the list says of a format is whole, and names are in order.
func TestFormats(t *testing.T) {
	last := ""
	for _, f := range formats.All() {
		if f.Name <= last || f.Title == "" || f.Extension == "" || f.Source == "" || f.Detect == nil {
			t.Errorf("%s: something is missing, or it is not in order", f.Name)
		}
		if (f.Reads != 0) != (f.NewReader != nil) || (f.Writes != 0) != (f.NewWriter != nil) {
			t.Errorf("%s: it says that it reads and writes what it does not", f.Name)
		}
		if formats.ByName(f.Name) != f {
			t.Errorf("%s is not found", f.Name)
		}
		last = f.Name
	}
	if formats.ByName("nothing") != nil {
		t.Error("nothing is a format")
	}
}
