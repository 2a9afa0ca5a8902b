package main

/*
#define _GNU_SOURCE // close_range
#include <limits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ours = 3 }; // the last file descriptor that fobd gives us

// Files of fobd's that were not closed on exec are none of ours. This runs before the Go runtime opens files.
static void close_inherited(void)
{
	if (close_range(ours + 1, UINT_MAX, 0) == 0) // Linux 5.9
		return;
	for (int fd = ours + 1; fd < 4096; fd++)
		close(fd);
}

// A PIN must not end in a core file or under somebody's debugger, and nothing may give us more rights. This runs
// before the Go runtime: "no new privileges" is a property of a thread, and now there is only one.
__attribute__((constructor)) static void confine(void)
{
	const struct rlimit none = {0, 0};

	close_inherited();
#ifndef FOB_RACE_DETECTOR
	// libfido2 allocates as many assertions as a key says that it has.
	const struct rlimit memory = {256 << 20, 256 << 20};

	if (setrlimit(RLIMIT_DATA, &memory) != 0)
		_exit(71); // EX_OSERR of sysexits.h
#endif
	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		_exit(71);
}
*/
import "C"
