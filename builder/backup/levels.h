/* set.conf of a set: its level, the set below it that it goes on from, and for each stream from when on a later level has to
 * save. It lies with the set, not on the machine, so that neither a lost machine nor another target misleads. Private to
 * this room.
 *
 *     [set]
 *     level = 1
 *     base = 20260101T000000Z-0        none for what stands alone
 *     base-sums = HEX                  the SHA-256 of its SHA256SUMS
 *     [stream root]
 *     method = dump
 *     date = 1700000000                seconds; what changed since is not in it for sure
 *     since = 1690000000               the date of this stream in the base; none: this stream is whole
 *     identity = ...                   of the file system, by the method
 *     exclude = /var/cache .ccache     patterns of what was left out; none: nothing was */
#pragma once
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

#define LEVELS_FILE "set.conf"

struct stream_record {
	char *name, *method, *identity, *exclude; /* the last two may be NULL */
	int64_t date, since; /* seconds; since 0: whole */
};
struct levels {
	unsigned level;
	char *base; /* a set's name; NULL: none */
	char base_sums[DIGEST_HEX_SIZE];
	struct stream_record *streams;
	size_t count, capacity;
};
void levels_free(struct levels *l);
DEFINE_CLEANUP(levels, struct levels, levels_free)
/* Owns what is in `*r` from here on. */
void levels_add(struct levels *l, struct stream_record *r);
const struct stream_record *levels_find(const struct levels *l, const char *name); /* NULL: none */
/* What was left out of all its streams. */
void levels_exclusions(const struct levels *l, struct strlist *ret);
int levels_format(const struct levels *l, struct strbuf *ret, struct error *e);
int levels_parse(const char *shown, const char *text, struct levels *ret, struct error *e);
