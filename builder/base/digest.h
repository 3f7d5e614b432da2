/* SHA-256 (FIPS 180-4) through libcrypto. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 /* 64 hexadecimal digits and the NUL */

/* A running hash. Allocation failure ends the program, as in str.h. */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t len);
/* Ends the hash; the object can then only be freed. */
void digest_hex(struct digest *d, char ret_hex[DIGEST_HEX_SIZE]);
void digest_bytes(struct digest *d, unsigned char ret[DIGEST_SIZE]);
void digest_free(struct digest *d);
static inline void cleanup_digest(struct digest **d)
{
	digest_free(*d);
}

/* The hash of what `fd` still holds, from its present offset. `shown` names it in errors. */
int digest_fd(int fd, const char *shown, char ret_hex[DIGEST_HEX_SIZE], uint64_t *ret_len, struct error *e);
/* The same, as bytes. */
int digest_fd_bytes(int fd, const char *shown, unsigned char ret[DIGEST_SIZE], struct error *e);
