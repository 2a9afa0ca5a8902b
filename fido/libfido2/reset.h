#ifndef FOB_RESET_H
#define FOB_RESET_H

#include <fido.h>

// fob_reset blocks all signals in its thread, as the calls of fob.h.
int fob_reset(fido_dev_t *dev);

#endif
