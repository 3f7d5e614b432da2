/* A dump's inodes and names, taken from its stream as it goes by, or, for what an incremental dump does not hold, from
 * the listing below it; then walked by path. About 150 bytes for each file. Private to this room. */
#pragma once
#include "backup/listing.h"
#include "backup/pull.h"

#include <sys/stat.h>

struct dump_tree;
struct dump_tree *dump_tree_new(void);
void dump_tree_free(struct dump_tree *t);
static inline void cleanup_dump_tree(struct dump_tree **t)
{
	dump_tree_free(*t);
}

/* Is what was read from it what was put there (base/spill.h)? */
int dump_tree_sound(const struct dump_tree *t, struct error *e);

/* The state that an incremental dump goes on from: a listing with its index, each place one link further down. */
void dump_tree_base(struct dump_tree *t, const struct listing *base);

/* Reads a whole dump. Folders that it holds replace those of the base, so do inodes. `ret_date`: seconds, what dump(8)
 * takes for its date. */
int dump_tree_read(struct dump_tree *t, const struct pull *in, int64_t *ret_date, struct error *e);

/* What the disk says of an inode, later: where its modification time is that of the dump, its nanoseconds are noted, and
 * its attributes (LISTING_XATTRS bytes, or NULL for none). False: the dump holds another state of it, or none. */
bool dump_tree_note(struct dump_tree *t, const struct stat *st, const unsigned char *xattrs);

/* Was it changed or made after the base, though the disk says that it was before (by its ctime), so that dump(8) left it out?
 * Then the clock was set back meanwhile. `since`: the base's date, in seconds. For before it is noted. */
bool dump_tree_missed(const struct dump_tree *t, const struct stat *st, int64_t since);

/* Calls `each` for every path in the listing's order. What is named by a folder but was not dumped is left out. The entry
 * is only lent. */
int dump_tree_walk(struct dump_tree *t, int (*each)(void *user, const struct listed *f, struct error *e),
		   void *user, struct error *e);
