/* age(1), run as a process: what is written to it comes out encrypted or decrypted. The format is that of
 * https://c2sp.org/age (age-encryption.org/v1). Private to this room, but for the key. */
#pragma once
#include "base/error.h"
#include "base/proc.h"
#include "base/str.h"

#include <stdint.h>

#define AGE_SUFFIX ".age"

/* What opens encrypted sets, in memory for as long as it is kept. */
struct age_key {
	int fd; /* the identities in the clear, a file in memory */
	char *shown; /* what it was read from */
};
#define AGE_KEY_NONE     \
	{                \
		.fd = -1 \
	}
void age_key_free(struct age_key *k);
DEFINE_CLEANUP(age_key, struct age_key, age_key_free)
/* Reads a file of identities (age-keygen(1)), or an SSH key. One that has a passphrase is opened now: age asks for that on the
 * terminal. */
int age_key_load(const char *path, struct age_key *ret, struct error *e);
/* An identity that was typed: "AGE-SECRET-KEY-1...". */
int age_key_typed(const char *text, struct age_key *ret, struct error *e);

struct age {
	struct proc proc;
	int in, out, said; /* to it, from it, what it wrote to stderr */
};
#define AGE_NONE                                                   \
	{                                                          \
		.proc = PROC_NONE, .in = -1, .out = -1, .said = -1 \
	}
/* `recipients`: public keys and the absolute paths of files with such. */
int age_encrypt(const struct strlist *recipients, struct age *ret, struct error *e);
int age_decrypt(const struct age_key *key, struct age *ret, struct error *e);
/* Waits for its end; what it said is the error. */
int age_end(struct age *a, struct error *e);
void age_kill(struct age *a);
DEFINE_CLEANUP(age, struct age, age_kill)

/* Can be encrypted to all of them. */
int age_check_recipients(const struct strlist *recipients, struct error *e);

/* Bytes of the header that an encrypted file begins with; 0: it is none, or longer. */
size_t age_header_len(const char *data, size_t len);
/* Bytes of a file with such a header and `plain` bytes in it: a nonce, and 64 KiB pieces with a tag each. */
uint64_t age_file_size(size_t header, uint64_t plain);
