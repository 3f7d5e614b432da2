/* A tree as a file that a kernel takes for its root: a cpio archive, or the image of a file system. Nothing
 * is mounted, and no root is needed: owners, modes and device nodes are written as they should be. The
 * bytes depend on the tree and the options alone: entries come in the tree's order, everything belongs to
 * root, times are `mtime`, and what several cores do together does not show. */
#pragma once
#include "base/report.h"
#include "image/tree.h"

#include <time.h>

struct pack_totals {
	uint64_t content; /* bytes of file content */
	uint64_t memory; /* bytes of RAM that the unpacked tree takes in a tmpfs */
};
/* Counts an entry whose content, as far as it is written here, has `size` bytes. */
void pack_totals_add(struct pack_totals *t, const struct entry *entry, uint64_t size);

struct pack_options {
	const char *compress; /* a compressor's name */
	unsigned level; /* 0: the compressor's default here */
	time_t mtime;
};

/* Fewer bytes than this a packed tree does not have: refuse early where there is no room for them. */
uint64_t pack_least_size(const struct tree *tree, const struct pack_options *options);

/* Hands every entry to `pack`, in order, with the files read ahead and the progress told. Ends with the first that
 * fails. */
int pack_each(const struct tree *tree, int (*pack)(void *user, const struct entry *entry), void *user,
	      struct report *report);

/* All three write a sorted tree to `fd`, an empty file. `shown` names it in errors. Sizes of entries are those that
 * the files have now. `ret` and `report` may not be NULL. */

/* newc cpio (Linux: Documentation/driver-api/early-userspace/buffer-format.rst), compressed. */
int pack_tree(const struct tree *tree, const struct pack_options *options, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e);

/* cramfs (Linux: fs/cramfs/README, include/uapi/linux/cramfs_fs.h), its blocks compressed by zlib. It has
 * no times, no files of 16 MiB or more, and no more than 256 MiB in all: -EFBIG says which file. */
int pack_cramfs(const struct tree *tree, int fd, const char *shown, struct pack_totals *ret,
		struct report *report, struct error *e);

/* ext2 (Linux: Documentation/filesystems/ext2.rst) through libext2fs, as large as its content needs and
 * `margin` free bytes more; not compressed, and sparse where nothing is. */
int pack_ext2(const struct tree *tree, uint64_t margin, time_t mtime, int fd, const char *shown,
	      struct pack_totals *ret, struct report *report, struct error *e);
