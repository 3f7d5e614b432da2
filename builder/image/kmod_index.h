/* The binary indexes that modprobe looks names up in (modules.dep.bin, modules.alias.bin …): a trie, each key with
 * values in the order of their priorities. Format: kmod, libkmod/libkmod-index.c, version 2.1; what is written
 * here is what depmod(8) writes, byte for byte. */
#pragma once
#include "base/str.h"

struct kmod_index {
	struct kmod_index_entry {
		char *key; /* owned */
		const char *value; /* caller's, as long as the index lives */
		uint32_t priority; /* the smaller, the earlier */
	} * entries;
	size_t count, capacity;
};
void kmod_index_free(struct kmod_index *x);
DEFINE_CLEANUP(kmod_index, struct kmod_index, kmod_index_free)

/* Takes over `key`. Keys that the format cannot hold (beyond ASCII, or very long) are passed over,
 * as no look-up can ask for them. */
void kmod_index_add(struct kmod_index *x, char *key, const char *value, uint32_t priority);

/* Sorts the entries and puts the file's bytes behind what `ret` holds. */
void kmod_index_write(struct kmod_index *x, struct strbuf *ret);
