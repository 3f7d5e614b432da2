#include "image/initrd.h"

#include "base/fs.h"
#include "base/number.h"
#include "image/compress.h"
#include "image/decompress.h"
#include "image/starter.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	piece = 1 << 20,
	/* Where the two file systems say what they are: cramfs_fs.h; ext2_fs.h, whose superblock is at 1024. */
	cramfs_magic = 0x28cd3d45,
	cramfs_size_at = 4,
	ext2_magic = 0xef53,
	ext2_magic_at = 1024 + 56,
	ext2_blocks_at = 1024 + 4,
	ext2_log_block_at = 1024 + 24,
	head_len = 2048,
};

/* --- writing --- */

/* An image that is not the initrd itself: without a name, beside it. */
static int pack_aside(struct image_draft *d, const struct outfile *out, struct outfile *ret,
		      struct pack_totals *totals, struct error *e)
{
	int r = outfile_open(AT_FDCWD, out->shown, 0600, ret, e);

	return r < 0 ? r
		     : format_pack(&d->choice, &d->tree, d->request->conf, d->mtime, ret->fd, out->shown,
				   totals, d->report, e);
}

/* Compresses all of `from`. Holes are read as what they are: zeros. */
static int compress_file(const struct recovery_conf *c, int from, struct outfile *out, struct error *e)
{
	_cleanup_(free) char *buf = xmalloc(piece);
	struct compress to;
	off_t at = 0;
	int r = compress_open(compressor_find(c->compress, NULL), c->level, out->fd, out->shown, &to, e);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = pread_full(from, buf, piece, at);

		if (n < 0)
			r = error_errno(e, (int)-n, "read the image for %s", out->shown);
		else if (n > 0)
			r = compress_write(&to, buf, (size_t)n);
		if (r < 0 || n <= 0)
			break;
		at += n;
	}
	if (r == 0)
		r = compress_end(&to);
	compress_close(&to);
	return r;
}

/* Whether the initrd is the image of a file system and nothing else. */
static bool is_image_itself(const struct image_draft *d)
{
	return d->choice.way == BOOT_CLASSIC &&
	       (!d->choice.compressed || streq(d->request->conf->compress, "none"));
}

static int write_classic(struct image_draft *d, struct outfile *out, struct pack_totals *ret, struct error *e)
{
	const struct recovery_conf *c = d->request->conf;
	_cleanup_(outfile) struct outfile aside = OUTFILE_NONE;

	if (is_image_itself(d))
		return format_pack(&d->choice, &d->tree, c, d->mtime, out->fd, out->shown, ret, d->report, e);
	int r = pack_aside(d, out, &aside, ret, e);

	return r < 0 ? r : compress_file(c, aside.fd, out, e);
}

static int write_started(struct image_draft *d, const struct outfile *out, struct pack_totals *ret,
			 struct error *e)
{
	_cleanup_(outfile) struct outfile aside = OUTFILE_NONE;
	int r = pack_aside(d, out, &aside, ret, e);

	return r < 0 ? r : starter_pack(d, aside.fd, out->fd, out->shown, e);
}

int initrd_write(struct image_draft *d, struct outfile *out, struct pack_totals *ret, struct error *e)
{
	const struct recovery_conf *c = d->request->conf;
	const struct pack_options options = { c->compress, c->level, d->mtime };

	switch (d->choice.way) {
	case BOOT_CLASSIC:
		return write_classic(d, out, ret, e);
	case BOOT_STARTER:
		return write_started(d, out, ret, e);
	case BOOT_CPIO:
		break;
	}
	return pack_tree(&d->tree, &options, out->fd, out->shown, ret, d->report, e);
}

uint64_t initrd_least_space(const struct image_draft *d)
{
	const struct recovery_conf *c = d->request->conf;
	const struct pack_options packed = { c->compress, c->level, d->mtime };
	const struct pack_options image = { d->choice.image_compressed ? "gzip" : "none", 0, d->mtime };
	uint64_t beside = d->choice.way == BOOT_CPIO ? 0 : pack_least_size(&d->tree, &image);

	return is_image_itself(d) ? beside : beside + pack_least_size(&d->tree, &packed);
}

/* --- reading --- */

struct head {
	unsigned char data[head_len];
	size_t len;
};

static int take_head(void *user, const void *data, size_t len)
{
	struct head *h = user;
	size_t n = len < head_len - h->len ? len : head_len - h->len;

	memcpy(h->data + h->len, data, n);
	h->len += n;
	return h->len == head_len;
}

/* The first bytes, unpacked where they are packed. */
static int read_head(const char *path, struct head *ret, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	if (st.st_size < head_len)
		return 0;
	size_t len = (size_t)st.st_size;
	void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED)
		return error_errno(e, errno, "read %s", path);
	int r = 0;

	if (decompress_format(data, len))
		r = decompress(data, len, path, take_head, ret, e);
	else
		(void)take_head(ret, data, len);
	(void)munmap(data, len); /* was mapped */
	return r < 0 ? r : 0;
}

int initrd_parameters(const char *path, char **ret, struct error *e)
{
	struct head h = { .len = 0 };
	uint64_t size = 0;
	int r = read_head(path, &h, e);

	if (r < 0)
		return r;
	if (h.len == head_len && le32_at(h.data) == cramfs_magic)
		size = le32_at(h.data + cramfs_size_at);
	else if (h.len == head_len && (le32_at(h.data + ext2_magic_at) & 0xffff) == ext2_magic &&
		 le32_at(h.data + ext2_log_block_at) <= 6)
		size = (uint64_t)le32_at(h.data + ext2_blocks_at)
		       << (10 + le32_at(h.data + ext2_log_block_at));
	*ret = size ? xasprintf("root=/dev/ram0 ramdisk_size=%llu ro init=/linuxrc",
				(unsigned long long)(size + 1023) / 1024)
		    : xstrdup("");
	return 0;
}
