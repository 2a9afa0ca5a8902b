// Package formats lists the formats of seed files.
package formats

import (
	"slices"
	"strings"

	"fob/hotp/seedfile"
	"fob/hotp/seedfile/apps"
	"fob/hotp/seedfile/pskc"
	"fob/hotp/seedfile/servers"
	"fob/hotp/seedfile/vendors"
)

// All are the formats, in the order of their names.
func All() []*seedfile.Format { return slices.Clone(all) }

var all = sorted(
	apps.All,
	[]*seedfile.Format{pskc.Format},
	servers.Formats(),
	vendors.Formats(),
)

func sorted(packages ...[]*seedfile.Format) []*seedfile.Format {
	list := slices.Concat(packages...)
	slices.SortFunc(list, func(a, b *seedfile.Format) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// ByName gives the format of a name, or nil.
func ByName(name string) *seedfile.Format {
	for _, f := range all {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Detect gives the formats that a file which begins with head may have: those that are as sure as the surest. Of
// several, a person has to choose: the file could be of each of them.
func Detect(head []byte) (found []*seedfile.Format) {
	sure := make(map[*seedfile.Format]int)
	for _, f := range all {
		if f.NewReader == nil {
			continue
		}
		if s := f.Detect(head[:min(len(head), seedfile.HeadSize)]); s > 0 {
			sure[f], found = s, append(found, f)
		}
	}
	surest := 0
	for _, f := range found {
		surest = max(surest, sure[f])
	}
	return slices.DeleteFunc(found, func(f *seedfile.Format) bool { return sure[f] < surest })
}
