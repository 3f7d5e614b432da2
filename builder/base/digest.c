#include "base/digest.h"

#include "base/fs.h"
#include "base/str.h"

#include <openssl/evp.h>

struct digest {
	EVP_MD_CTX *context;
};

static void must(bool ok)
{
	if (!ok) {
		(void)fputs("lifeboat: libcrypto has no SHA-256\n", stderr);
		abort();
	}
}

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	d->context = EVP_MD_CTX_new();
	must(d->context && EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) == 1);
	return d;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	must(EVP_DigestUpdate(d->context, data, len) == 1);
}

void digest_bytes(struct digest *d, unsigned char ret[DIGEST_SIZE])
{
	unsigned len = 0;

	must(EVP_DigestFinal_ex(d->context, ret, &len) == 1 && len == DIGEST_SIZE);
}

void digest_hex(struct digest *d, char ret_hex[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[DIGEST_SIZE];

	digest_bytes(d, raw);
	for (unsigned i = 0; i < DIGEST_SIZE; i++) {
		ret_hex[2 * i] = digits[raw[i] >> 4];
		ret_hex[2 * i + 1] = digits[raw[i] & 15];
	}
	ret_hex[2 * DIGEST_SIZE] = '\0';
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->context);
	free(d);
}

static int add_fd(struct digest *d, int fd, const char *shown, uint64_t *ret_len, struct error *e)
{
	enum { block = 1 << 20 };
	_cleanup_(free) char *buf = xmalloc(block);

	for (;;) {
		ssize_t n = read_full(fd, buf, block);

		if (n < 0)
			return error_errno(e, (int)-n, "read %s", shown);
		if (n == 0)
			return 0;
		digest_add(d, buf, (size_t)n);
		*ret_len += (uint64_t)n;
	}
}

int digest_fd_bytes(int fd, const char *shown, unsigned char ret[DIGEST_SIZE], struct error *e)
{
	_cleanup_(digest) struct digest *d = digest_new();
	uint64_t len = 0;
	int r = add_fd(d, fd, shown, &len, e);

	if (r == 0)
		digest_bytes(d, ret);
	return r;
}

int digest_fd(int fd, const char *shown, char ret_hex[DIGEST_HEX_SIZE], uint64_t *ret_len, struct error *e)
{
	_cleanup_(digest) struct digest *d = digest_new();
	uint64_t len = 0;
	int r = add_fd(d, fd, shown, &len, e);

	if (r < 0)
		return r;
	digest_hex(d, ret_hex);
	if (ret_len)
		*ret_len = len;
	return 0;
}
