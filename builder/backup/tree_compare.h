/* Are the files of a mounted file system the ones that a set's listing says: type, mode, owner, size, time to the
 * nanosecond, links, targets, devices, attributes (ACLs, capabilities) and content. */
#pragma once
#include "backup/set.h"

#include <stdbool.h>

/* One attribute of one file. `path` is below the file system's root, "." for the root. `expected`, `found`: NULL where
 * there is none. They are lent. */
struct tree_difference {
	const char *path, *attribute, *expected, *found;
};

struct tree_compare_options {
	bool no_owners; /* the file system keeps neither owners nor modes nor exact times (vfat): not compared */
	double share; /* 0 to 1: so many files have their content compared, chosen by `seed`; 1: all */
	uint64_t seed;
	/* Why that may be so, in words; NULL: it must not. */
	const char *(*excuse)(void *user, const struct tree_difference *d);
	void (*differs)(void *user, const struct tree_difference *d, const char *reason);
	void *user;
};

struct tree_counts {
	uint64_t listed; /* paths that the set has */
	uint64_t equal, explained, different; /* paths: each counts once */
	uint64_t sampled_out; /* nothing but their content was not compared */
};

/* Compares what is mounted at `folder`, which is left as it is, with the set's listing of the stream. Paths that are there and not
 * listed differ, too, but for lost+found. Adds to `counts`. A set without listings is -ENOENT. */
int set_compare_tree(struct set *s, const char *name, const char *folder,
		     const struct tree_compare_options *options, struct tree_counts *counts,
		     struct report *report, struct error *e);
