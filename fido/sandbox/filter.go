//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule allows a system call when all its checks hold.
type rule struct {
	call   uint32
	checks []check
}

// check compares 32 bits at an offset in struct seccomp_data (linux/seccomp.h).
type check struct {
	offset uint32
	test   bpf.JumpTest
	value  uint32
}

// Offsets in struct seccomp_data. Both processors have the lower half of an argument first.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

func when(call uint32, conditions ...[]check) rule { return rule{call, slices.Concat(conditions...)} }

// is compares all 64 bits of an argument.
func is(argument uint32, value uint64) []check {
	low := offsetArgs + 8*argument
	return []check{{low, bpf.JumpEqual, uint32(value)}, {low + 4, bpf.JumpEqual, uint32(value >> 32)}}
}

// with and without look at flags, which are in the lower half.
func with(argument, flag uint32) []check {
	return []check{{offsetArgs + 8*argument, bpf.JumpBitsSet, flag}}
}

func without(argument, flags uint32) []check {
	return []check{{offsetArgs + 8*argument, bpf.JumpBitsNotSet, flags}}
}

// Results of a filter.
var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	refuse = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	lack   = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
	kill   = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

// program gives the filter. With nfc, sockets for that are allowed. Straight down, without far jumps: the kernel
// remembers which system calls are always allowed, and does not run the filter for them.
func program(nfc bool) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		kill, // another processor's table of system calls, as i386's on amd64
		bpf.LoadAbsolute{Off: offsetCall, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Bit, SkipTrue: 1},
		lack,
	}
	calls, rules := slices.Concat(allowed, processorsAllowed), slices.Concat(conditional(), processorsConditional)
	if nfc {
		calls, rules = append(calls, nfcCalls...), append(rules, nfcSockets...)
	}
	p = appendResult(p, allow, calls)
	for _, r := range rules {
		p = r.append(p)
	}
	p = appendResult(p, lack, absent)
	p = appendResult(p, kill, slices.Concat(deadly, processorsDeadly))
	return append(p, refuse)
}

// x32Bit marks the numbers of a third table on amd64 (linux/unistd.h, __X32_SYSCALL_BIT).
const x32Bit = 0x40000000

func appendResult(p []bpf.Instruction, result bpf.RetConstant, calls []uint32) []bpf.Instruction {
	for _, call := range calls {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 1}, result)
	}
	return p
}

// append adds a rule. When it does not hold, what follows finds the number of the call where it was before.
func (r rule) append(p []bpf.Instruction) []bpf.Instruction {
	const each = 2 // instructions of a check
	left := uint8(each * len(r.checks))
	p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: left + 2})
	for _, c := range r.checks {
		left -= each
		p = append(p, bpf.LoadAbsolute{Off: c.offset, Size: 4}, bpf.JumpIf{Cond: c.test, Val: c.value, SkipFalse: left + 1})
	}
	return append(p, allow, bpf.LoadAbsolute{Off: offsetCall, Size: 4})
}

// filter lets the kernel check every system call of every thread from now on.
func filter(nfc bool) error {
	raw, err := bpf.Assemble(program(nfc))
	if err != nil {
		return err
	}
	return load(raw)
}

func load(raw []bpf.RawInstruction) error {
	f := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		f[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// "No new privileges" belongs to the thread that loads the filter, and goes to the others with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("not in this kernel, or not allowed here (%w)", errno)
	case thread != 0:
		return errors.New("a thread of the process can't be given the filter")
	}
	return nil
}
