#ifndef FOB_SIGNALS_H
#define FOB_SIGNALS_H

#include <pthread.h>
#include <signal.h>

static inline sigset_t block_signals(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	return old;
}

static inline void restore_signals(sigset_t old)
{
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

#endif
