/* A tree as a newc cpio archive (Linux: Documentation/driver-api/early-userspace/buffer-format.rst),
 * compressed, streamed into a file. The bytes depend on the tree alone: entries come in the tree's
 * order, everything belongs to root, times are `mtime`, inode numbers count up, and the compressor
 * gives the same with any number of threads. */
#pragma once
#include "base/report.h"
#include "image/tree.h"

#include <time.h>

struct pack_options {
	const char *compress; /* a compressor's name */
	unsigned level; /* 0: the compressor's default here */
	time_t mtime;
};

struct pack_totals {
	uint64_t content; /* bytes of file content */
	uint64_t memory; /* bytes of RAM that the unpacked tree takes in a tmpfs */
};

/* Fewer bytes than this a packed tree does not have: refuse early where there is no room for them. */
uint64_t pack_least_size(const struct tree *tree, const struct pack_options *options);

/* Writes to `fd`. `shown` names it in errors. Sizes of entries are those that the files have now. */
int pack_tree(const struct tree *tree, const struct pack_options *options, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e);
