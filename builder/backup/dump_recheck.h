/* What the disk says of each file once dump(8) has read it: what a dump drops (nanoseconds, attributes), and what has changed
 * meanwhile. Private to this room. */
#pragma once
#include "backup/dump_tree.h"
#include "backup/set.h"

#include <pthread.h>
#include <stdatomic.h>

struct dump_recheck {
	/* given */
	const struct set_source *source;
	struct dump_tree *tree; /* whole; what is found is noted there */
	struct timespec begun; /* a file that is newer may have changed while it was read */
	int64_t since; /* the date of the set below; 0: there is none */
	struct report *report;
	/* found */
	uint64_t bytes; /* of all files */
	struct strbuf xattrs; /* records of xattrs.h */
	struct strlist changed; /* paths of files that changed while they were read */
	struct strlist missed; /* paths of what changed since the set below, and is not in the dump */
	/* private */
	const atomic_bool *unwanted;
	pthread_mutex_t lock; /* of all that was found, and of the tree */
};
void dump_recheck_free(struct dump_recheck *c);

/* Shows its own progress. Walks the file system on all cores (backup/walk.h); by then dump has brought all inodes into memory in the order of the
 * disk. What restore(8) cannot bring back is an error: a name of 255 bytes or too long a path -ENAMETOOLONG, a device -EOVERFLOW, a file in the place
 * of its own table -EEXIST. -ECANCELED when `unwanted` turns true. What of the set below was missed is dump_recheck_missed()'s to tell. */
int dump_recheck(struct dump_recheck *c, const atomic_bool *unwanted, struct error *e);

/* -ESTALE: the clock was set back, so that dump left something out. */
int dump_recheck_missed(const struct dump_recheck *c, struct error *e);
