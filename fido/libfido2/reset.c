#include "reset.h"
#include "signals.h"

int fob_reset(fido_dev_t *dev)
{
	sigset_t mask = block_signals();
	int r = fido_dev_reset(dev);

	restore_signals(mask);
	return r;
}
