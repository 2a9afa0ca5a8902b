// Calls into libfido2 that wait for a device. Each blocks all signals in its thread for as long as it lasts: libfido2
// takes an interrupted ppoll, read or nanosleep for a failure of the device, and the Go runtime sends signals to its
// threads all the time.

#ifndef FOB_H
#define FOB_H

#include <fido.h>
#include <stdint.h>

// fob_open sets libfido2's per-thread flags and opens a device of the kernel's NFC, waiting timeout_ms at most.
int fob_open(fido_dev_t *dev, const char *path, int timeout_ms);
// fob_open_link is fob_open for a device that is open already: libfido2's messages go through the link of that handle,
// to fobSend and fobReceive in Go.
int fob_open_link(fido_dev_t *dev, uintptr_t link);
void fob_close(fido_dev_t *dev);

// fob_cancel sends CTAPHID_CANCEL. It may be called while another thread is in one of the calls below.
int fob_cancel(fido_dev_t *dev);

int fob_get_info(fido_dev_t *dev, fido_cbor_info_t *info);
int fob_get_retries(fido_dev_t *dev, int *retries);
// fob_select waits timeout_ms for a touch, by which a person chooses the key.
int fob_select(fido_dev_t *dev, int timeout_ms);
int fob_make_cred(fido_dev_t *dev, fido_cred_t *cred, const char *pin);
int fob_get_assert(fido_dev_t *dev, fido_assert_t *assertion, const char *pin);

enum { FOB_PIN_SIZE = 64 }; // 63 bytes and a NUL

// fob_pin_new gives FOB_PIN_SIZE zero bytes that are kept out of swap where the system allows it, or NULL.
char *fob_pin_new(void);
void fob_pin_free(char *pin);

#endif
