/* Extents of ext4 that are allocated and were never written (fallocate(2)): they read as zeros, whatever lies there on the
 * device. Private to this room. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct unwritten;

struct unwritten_range {
	uint64_t from, to; /* bytes of the file, whole blocks; may be behind its end */
};

/* Of an ext2, ext3 or ext4, which may be mounted. */
int unwritten_open(const char *device, struct unwritten **ret, struct error *e);
void unwritten_close(struct unwritten *u);
static inline void cleanup_unwritten(struct unwritten **u)
{
	unwritten_close(*u);
}

uint32_t unwritten_block_size(const struct unwritten *u);

/* Those of an inode, ascending, as it is at this moment; valid until the next call. One that is no regular file with extents,
 * or not in use any more, has none. */
int unwritten_find(struct unwritten *u, uint32_t ino, const struct unwritten_range **ret, size_t *ret_count,
		   struct error *e);
