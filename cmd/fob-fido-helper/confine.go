package main

/*
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// A PIN must not end in a core file or under somebody's debugger, and nothing may give us more rights. This runs
// before the Go runtime: "no new privileges" is a property of a thread, and now there is only one.
__attribute__((constructor)) static void confine(void)
{
	const struct rlimit none = {0, 0};

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
