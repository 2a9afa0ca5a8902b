#include "manage.h"
#include "signals.h"

int fob_set_pin(fido_dev_t *dev, const char *pin, const char *old)
{
	sigset_t mask = block_signals();
	int r = fido_dev_set_pin(dev, pin, old);

	restore_signals(mask);
	return r;
}

int fob_toggle_always_uv(fido_dev_t *dev, const char *pin)
{
	sigset_t mask = block_signals();
	int r = fido_dev_toggle_always_uv(dev, pin);

	restore_signals(mask);
	return r;
}

int fob_enable_entattest(fido_dev_t *dev, const char *pin)
{
	sigset_t mask = block_signals();
	int r = fido_dev_enable_entattest(dev, pin);

	restore_signals(mask);
	return r;
}

int fob_force_pin_change(fido_dev_t *dev, const char *pin)
{
	sigset_t mask = block_signals();
	int r = fido_dev_force_pin_change(dev, pin);

	restore_signals(mask);
	return r;
}

int fob_set_pin_minlen(fido_dev_t *dev, size_t length, const char *pin)
{
	sigset_t mask = block_signals();
	int r = fido_dev_set_pin_minlen(dev, length, pin);

	restore_signals(mask);
	return r;
}

int fob_set_pin_minlen_rpid(fido_dev_t *dev, const char *const *rp_ids, size_t n, const char *pin)
{
	sigset_t mask = block_signals();
	int r = fido_dev_set_pin_minlen_rpid(dev, rp_ids, n, pin);

	restore_signals(mask);
	return r;
}

int fob_reset(fido_dev_t *dev)
{
	sigset_t mask = block_signals();
	int r = fido_dev_reset(dev);

	restore_signals(mask);
	return r;
}
