#define _DEFAULT_SOURCE // explicit_bzero

#include "fob.h"
#include "_cgo_export.h"
#include "signals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int fob_open(fido_dev_t *dev, const char *path, int timeout_ms)
{
	sigset_t old = block_signals();
	int r;

	// The flag belongs to the thread. Without it a FIDO2 key that is busy would be taken for a U2F key.
	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	if ((r = fido_dev_set_timeout(dev, timeout_ms)) == FIDO_OK)
		r = fido_dev_open(dev, path);
	restore_signals(old);
	return r;
}

// What libfido2 calls a path is the link's handle here, in decimal.
static void *open_link(const char *path)
{
	return (void *)(uintptr_t)strtoull(path, NULL, 10);
}

static void close_link(void *link)
{
	(void)link; // its owner closes it
}

// Packets are none of libfido2's business.
static int no_read(void *link, unsigned char *report, size_t len, int ms)
{
	(void)link, (void)report, (void)len, (void)ms;
	return -1;
}

static int no_write(void *link, const unsigned char *report, size_t len)
{
	(void)link, (void)report, (void)len;
	return -1;
}

static int send_message(fido_dev_t *dev, uint8_t cmd, const unsigned char *message, size_t len)
{
	return fobSend((uintptr_t)fido_dev_io_handle(dev), cmd, (unsigned char *)message, len);
}

// The time is up when the operation's context ends, which Go knows.
static int receive_message(fido_dev_t *dev, uint8_t cmd, unsigned char *message, size_t room, int ms)
{
	(void)cmd, (void)ms;
	return fobReceive((uintptr_t)fido_dev_io_handle(dev), message, room);
}

int fob_open_link(fido_dev_t *dev, uintptr_t link)
{
	static const fido_dev_io_t io = {open_link, close_link, no_read, no_write};
	static const fido_dev_transport_t transport = {receive_message, send_message};
	char path[24];
	sigset_t old = block_signals();
	int r;

	fido_init(FIDO_DISABLE_U2F_FALLBACK);
	snprintf(path, sizeof(path), "%" PRIuPTR, link);
	if ((r = fido_dev_set_io_functions(dev, &io)) == FIDO_OK &&
	    (r = fido_dev_set_transport_functions(dev, &transport)) == FIDO_OK)
		r = fido_dev_open(dev, path);
	restore_signals(old);
	return r;
}

void fob_close(fido_dev_t *dev)
{
	sigset_t old = block_signals();

	fido_dev_close(dev);
	fido_dev_free(&dev);
	restore_signals(old);
}

int fob_cancel(fido_dev_t *dev)
{
	sigset_t old = block_signals();
	int r = fido_dev_cancel(dev);

	restore_signals(old);
	return r;
}

int fob_get_info(fido_dev_t *dev, fido_cbor_info_t *info)
{
	sigset_t old = block_signals();
	int r = fido_dev_get_cbor_info(dev, info);

	restore_signals(old);
	return r;
}

int fob_get_retries(fido_dev_t *dev, int *retries)
{
	sigset_t old = block_signals();
	int r = fido_dev_get_retry_count(dev, retries);

	restore_signals(old);
	return r;
}

int fob_select(fido_dev_t *dev, int timeout_ms)
{
	sigset_t old = block_signals();
	int touched = 0;
	int r;

	if ((r = fido_dev_get_touch_begin(dev)) == FIDO_OK)
		r = fido_dev_get_touch_status(dev, &touched, timeout_ms);
	restore_signals(old);
	if (r == FIDO_OK && !touched)
		return FIDO_ERR_ACTION_TIMEOUT;
	return r;
}

int fob_make_cred(fido_dev_t *dev, fido_cred_t *cred, const char *pin)
{
	sigset_t old = block_signals();
	int r = fido_dev_make_cred(dev, cred, pin);

	restore_signals(old);
	return r;
}

int fob_get_assert(fido_dev_t *dev, fido_assert_t *assertion, const char *pin)
{
	sigset_t old = block_signals();
	int r = fido_dev_get_assert(dev, assertion, pin);

	restore_signals(old);
	return r;
}

char *fob_pin_new(void)
{
	char *pin = calloc(1, FOB_PIN_SIZE);

	if (pin != NULL)
		(void)mlock(pin, FOB_PIN_SIZE); // RLIMIT_MEMLOCK may forbid it
	return pin;
}

void fob_pin_free(char *pin)
{
	if (pin == NULL)
		return;
	explicit_bzero(pin, FOB_PIN_SIZE);
	(void)munlock(pin, FOB_PIN_SIZE);
	free(pin);
}
