// Calls into libfido2 that manage a device. As those of fob.h they block all signals in their thread.

#ifndef FOB_MANAGE_H
#define FOB_MANAGE_H

#include <fido.h>
#include <fido/config.h>

// fob_set_pin sets a PIN, or changes it where old is not NULL.
int fob_set_pin(fido_dev_t *dev, const char *pin, const char *old);

int fob_toggle_always_uv(fido_dev_t *dev, const char *pin);
int fob_enable_entattest(fido_dev_t *dev, const char *pin);
int fob_force_pin_change(fido_dev_t *dev, const char *pin);
int fob_set_pin_minlen(fido_dev_t *dev, size_t length, const char *pin);
int fob_set_pin_minlen_rpid(fido_dev_t *dev, const char *const *rp_ids, size_t n, const char *pin);
int fob_reset(fido_dev_t *dev);

#endif
