//go:build race

package main

// The race detector reserves more memory than the helper may have.

// #cgo CFLAGS: -DFOB_RACE_DETECTOR
import "C"
