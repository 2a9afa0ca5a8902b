//go:build manual

package main

import "fob/packaging/manual"

// With the tag "manual", the program writes its man pages and completions and does nothing else.
func init() { manual.Program((&app{}).command, 1) }
