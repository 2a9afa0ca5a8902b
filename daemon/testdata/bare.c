// The least that a program needs to sign in with libfido2: the baseline of a benchmark. It is called with the key's
// device, the RP ID and a credential ID in hexadecimal. For each byte on standard input it opens the key, gets an
// assertion, closes the key, and writes a byte.
#include <fido.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int sign_in(const char *path, const char *rp, const unsigned char *id, size_t id_len)
{
	static const unsigned char hash[32];
	fido_dev_t *dev = fido_dev_new();
	fido_assert_t *assert = fido_assert_new();
	int r;

	if (dev == NULL || assert == NULL)
		return FIDO_ERR_INTERNAL;
	if ((r = fido_dev_open(dev, path)) == FIDO_OK &&
	    (r = fido_assert_set_clientdata_hash(assert, hash, sizeof(hash))) == FIDO_OK &&
	    (r = fido_assert_set_rp(assert, rp)) == FIDO_OK &&
	    (r = fido_assert_allow_cred(assert, id, id_len)) == FIDO_OK)
		r = fido_dev_get_assert(dev, assert, NULL);
	fido_assert_free(&assert);
	fido_dev_close(dev);
	fido_dev_free(&dev);
	return r;
}

int main(int argc, char **argv)
{
	unsigned char id[1024];
	size_t n = 0;
	char c;

	if (argc != 4)
		return 64;
	for (const char *p = argv[3]; n < sizeof(id) && sscanf(p, "%2hhx", &id[n]) == 1; p += 2)
		n++;
	fido_init(0);
	while (read(STDIN_FILENO, &c, 1) == 1) {
		int r = sign_in(argv[1], argv[2], id, n);

		if (r != FIDO_OK) {
			fprintf(stderr, "%s\n", fido_strerr(r));
			return 1;
		}
		if (write(STDOUT_FILENO, &c, 1) != 1)
			return 1;
	}
	return 0;
}
