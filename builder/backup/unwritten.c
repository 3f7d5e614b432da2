#include "backup/unwritten.h"

#include "base/str.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	tries_max = 5, /* of an inode that does not make sense: somebody may be changing it */
	wait_us = 20000,
};

struct unwritten {
	ext2_filsys fs;
	char *device;
	struct unwritten_range *items;
	size_t count, capacity;
};

void unwritten_close(struct unwritten *u)
{
	if (!u)
		return;
	if (u->fs)
		ext2fs_free(u->fs); /* opened for reading */
	free(u->device);
	free(u->items);
	free(u);
}

static int fail(const struct unwritten *u, errcode_t code, const char *what, struct error *e)
{
	return error_text(e, EIO, "read %s of %s: %s", what, u->device, error_message(code));
}

int unwritten_open(const char *device, struct unwritten **ret, struct error *e)
{
	/* Of what is mounted the checksums may be older than what they are of. */
	enum {
		flags = EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_SKIP_MMP |
			EXT2_FLAG_IGNORE_CSUM_ERRORS
	};
	struct unwritten *u = xcalloc(1, sizeof(*u));

	u->device = xstrdup(device);
	initialize_ext2_error_table(); /* for error_message() */
	errcode_t code = ext2fs_open(device, flags, 0, 0, unix_io_manager, &u->fs);

	/* What it had read before may be something else by now. */
	if (!code)
		code = io_channel_set_options(u->fs->io, "cache=off");
	if (code) {
		(void)fail(u, code, "the file system", e);
		unwritten_close(u);
		return -e->code;
	}
	*ret = u;
	return 0;
}

uint32_t unwritten_block_size(const struct unwritten *u)
{
	return u->fs->blocksize;
}

static void add(struct unwritten *u, const struct ext2fs_extent *x)
{
	uint64_t size = u->fs->blocksize, from = x->e_lblk * size;

	u->items = xgrow(u->items, u->count + 1, &u->capacity, sizeof(*u->items));
	u->items[u->count++] = (struct unwritten_range) { from, from + x->e_len * size };
}

static errcode_t read_extents(struct unwritten *u, uint32_t ino, struct ext2_inode *inode)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent x;
	errcode_t code = ext2fs_extent_open2(u->fs, ino, inode, &handle);

	if (code)
		return code;
	for (int op = EXT2_EXTENT_ROOT; !(code = ext2fs_extent_get(handle, op, &x)); op = EXT2_EXTENT_NEXT)
		if (x.e_flags & EXT2_EXTENT_FLAGS_LEAF && x.e_flags & EXT2_EXTENT_FLAGS_UNINIT)
			add(u, &x);
	ext2fs_extent_free(handle);
	return code == EXT2_ET_EXTENT_NO_NEXT ? 0 : code;
}

static errcode_t read_inode(struct unwritten *u, uint32_t ino)
{
	struct ext2_inode inode;

	u->count = 0;
	ext2fs_flush_icache(u->fs);
	errcode_t code = ext2fs_read_inode(u->fs, ino, &inode);

	if (code || !LINUX_S_ISREG(inode.i_mode) || !(inode.i_flags & EXT4_EXTENTS_FL))
		return code;
	return read_extents(u, ino, &inode);
}

int unwritten_find(struct unwritten *u, uint32_t ino, const struct unwritten_range **ret, size_t *ret_count,
		   struct error *e)
{
	errcode_t code = read_inode(u, ino);

	for (int i = 1; code && i < tries_max; i++) {
		(void)usleep(wait_us); /* cut short is as good */
		code = read_inode(u, ino);
	}
	if (code) {
		_cleanup_(free) char *what = xasprintf("the extents of inode %u", ino);

		return fail(u, code, what, e);
	}
	*ret = u->items;
	*ret_count = u->count;
	return 0;
}
