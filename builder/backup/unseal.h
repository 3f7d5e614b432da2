/* An encrypted chunk, from its first byte on. Private to this room. */
#pragma once
#include "backup/set_private.h"

struct unseal;
/* The set has to have a key. It is read by the thread that opens it. */
int unseal_open(struct set *s, const struct sum *chunk, struct report *report, struct unseal **ret,
		struct error *e);
/* Up to `len` bytes in the clear; fewer only at the end, which is not reached unless file and age agree that it is whole. */
ssize_t unseal_read(struct unseal *u, char *data, size_t len, struct error *e);
void unseal_close(struct unseal *u);
static inline void cleanup_unseal(struct unseal **u)
{
	unseal_close(*u);
}
