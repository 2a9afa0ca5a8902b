package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// System calls that arm64 has under another name than amd64.
var (
	processorsAllowed     = []uint32{unix.SYS_FSTATAT, unix.SYS_GETRLIMIT}
	processorsConditional []rule
	processorsDeadly      []uint32
)
