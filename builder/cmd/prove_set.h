/* The set as a disk for the guest of a proof. */
#pragma once
#include "backup/set.h"

struct prove_set {
	char *image, *url; /* disk://UUID */
	uint64_t bytes; /* of the set, with those it goes on from */
	char sha256[65]; /* of its SHA256SUMS */
};
void prove_set_free(struct prove_set *s);
DEFINE_CLEANUP(prove_set, struct prove_set, prove_set_free)

/* How large it will be. */
int prove_set_measure(const struct target *target, struct set *set, struct prove_set *ret, struct error *e);
/* A file system, ext4 without a journal, with a copy of the set and those that it goes on from, as `image` in the folder: every
 * rescue system can read that, whatever servers it was made for, and the guest needs no way to this machine. Needs no right and
 * mounts nothing. What is copied wrongly is found by the recovery, which verifies the set. */
int prove_set_make(const struct target *target, struct set *set, const char *folder, struct prove_set *s,
		   struct error *e);
