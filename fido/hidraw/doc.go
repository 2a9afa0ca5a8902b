// Package hidraw finds the FIDO keys among the kernel's hidraw devices, names them, and tells when they come and go and
// are opened.
//
// It reads sysfs and listens to the kernel and to udev, and neither opens a device nor needs any rights.
package hidraw

import "path/filepath"

// Tree is where the files of a system are. The zero value is this system.
type Tree struct {
	Root string // what stands for /; tests play a system below it
}

// Path is where a file of the system is; name is absolute.
func (t Tree) Path(name string) string { return filepath.Join("/", t.Root, name) }
