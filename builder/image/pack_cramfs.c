/* The layout: superblock with the root's inode, then every folder's entries (an inode and a name each), then
 * the contents. An entry says where its content is, and a content is a table of where each of its
 * compressed blocks ends, and the blocks. The folders' sizes are known before any content is, so contents are
 * written behind the room for them, and that room last. */
#include "image/pack.h"

#include "base/fs.h"
#include "base/parallel.h"
#include "image/content.h"

#include <endian.h>
#include <sys/sysmacros.h>
#include <zlib.h>

enum {
	block = 4096, /* the page size of the kernels that read it */
	super_size = 64, /* without the root's inode */
	inode_size = 12,
	name_max = 63 * 4, /* the length has 6 bits and counts in fours */
	size_max = (1 << 24) - 1, /* of a file */
	blocks_max = (size_max + block) / block,
	bound = block + 64, /* what a block may grow to; zlib's own bound is 13 bytes more than its input */
	flag_version_2 = 1 << 0,
	flag_sorted_folders = 1 << 1,
	crc_at = 32,
};
static const uint32_t magic = 0x28cd3d45;
static const uint64_t offset_max = ((uint64_t)1 << 28) - 1; /* 26 bits, in fours */

/* What the inode of an entry will say. */
struct node {
	uint32_t offset; /* of the content, or of a folder's entries; 0: it has none */
	uint32_t size;
	uint32_t next; /* folders: where the next entry of it goes */
};

struct writer {
	const struct tree *tree;
	struct node *nodes; /* by the entries' index; the one behind them is the root's */
	unsigned char *head; /* superblock and folders */
	size_t head_len;
	uint64_t end; /* of what is written, in bytes */
	uint32_t crc; /* of the contents */
	uint32_t blocks;
	z_stream streams[PARALLEL_MAX]; /* each thread's own */
	unsigned stream_count;
	unsigned char *in, *out; /* one file's content; its table and its blocks */
	uint32_t *lens; /* of the compressed blocks; 0: zlib failed */
	size_t in_len;
	int fd;
	const char *shown;
	struct pack_totals totals;
	struct error *e;
};

static void writer_free(struct writer *w)
{
	for (unsigned i = 0; i < w->stream_count; i++)
		(void)deflateEnd(&w->streams[i]); /* between two streams there is nothing to complain about */
	free(w->nodes);
	free(w->head);
	free(w->in);
	free(w->out);
	free(w->lens);
}
DEFINE_CLEANUP(writer, struct writer, writer_free)

static uint32_t in_fours(size_t len)
{
	return (uint32_t)(len + 3) & ~3U;
}

/* The node of the folder that an entry is in. */
static struct node *parent_of(const struct writer *w, const struct entry *entry)
{
	const struct entry *parent = tree_parent(w->tree, entry);

	return &w->nodes[parent ? parent->index : w->tree->count];
}

/* --- the folders --- */

/* Where each folder's entries are. */
static int lay_out(struct writer *w)
{
	size_t at = super_size + inode_size;
	struct node *root = &w->nodes[w->tree->count];

	for (size_t i = 0; i < w->tree->count; i++) {
		const struct entry *entry = w->tree->entries[i];
		size_t len = strlen(entry_name(entry));

		if (len > name_max)
			return error_text(w->e, ENAMETOOLONG,
					  "write %s: the name of /%s has more than the %d bytes that cramfs "
					  "has room for",
					  w->shown, entry->path, name_max);
		parent_of(w, entry)->size += inode_size + in_fours(len);
	}
	for (size_t i = 0; i <= w->tree->count; i++) {
		/* The root's come first. */
		struct node *n = i == 0 ? root : &w->nodes[i - 1];

		if (!n->size)
			continue;
		n->offset = n->next = (uint32_t)at;
		at += n->size;
	}
	w->head_len = at;
	w->head = xcalloc(1, at);
	return 0;
}

static void put32(unsigned char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

/* Three words of bit fields: mode 16, uid 16; size 24, gid 8; length of the name 6, offset 26. */
static void put_inode(unsigned char *at, mode_t mode, const struct node *n, size_t name_len)
{
	put32(at, mode & 0xffff);
	put32(at + 4, n->size);
	put32(at + 8, in_fours(name_len) / 4 | n->offset / 4 << 6);
}

static void fill_folders(struct writer *w)
{
	for (size_t i = 0; i < w->tree->count; i++) {
		const struct entry *entry = w->tree->entries[i];
		const char *name = entry_name(entry);
		struct node *parent = parent_of(w, entry);
		const struct node *n = &w->nodes[entry->same_as ? entry->same_as->index : i];

		put_inode(w->head + parent->next, entry->mode, n, strlen(name));
		memcpy(w->head + parent->next + inode_size, name, strlen(name));
		parent->next += inode_size + in_fours(strlen(name));
	}
}

static void fill_super(struct writer *w)
{
	const uint32_t words[] = { magic, (uint32_t)w->end, flag_version_2 | flag_sorted_folders, 0 };
	const uint32_t fsid[] = { 0, 0, w->blocks, (uint32_t)w->tree->count + 1 }; /* crc, edition, … */

	for (size_t i = 0; i < 4; i++) {
		put32(w->head + i * 4, words[i]);
		put32(w->head + crc_at + i * 4, fsid[i]);
	}
	memcpy(w->head + 16, "Compressed ROMFS", 16);
	memcpy(w->head + 48, "lifeboat", 8);
	put_inode(w->head + super_size, S_IFDIR | 0755, &w->nodes[w->tree->count], 0);
	/* Over all of it, the crc itself taken as 0. */
	uLong crc = crc32(0, w->head, (uInt)w->head_len);

	put32(w->head + crc_at, (uint32_t)crc32_combine(crc, w->crc, (z_off_t)(w->end - w->head_len)));
}

/* --- the contents --- */

static void compress_block(void *user, size_t index, unsigned thread)
{
	struct writer *w = user;
	z_stream *z = &w->streams[thread];
	size_t left = w->in_len - index * block;

	z->next_in = w->in + index * block;
	z->avail_in = left < block ? (uInt)left : block;
	z->next_out = w->out + blocks_max * 4 + index * bound;
	z->avail_out = bound;
	w->lens[index] = deflate(z, Z_FINISH) == Z_STREAM_END ? (uint32_t)z->total_out : 0;
	if (deflateReset(z) != Z_OK)
		w->lens[index] = 0;
}

static int write_at_end(struct writer *w, const void *data, size_t len)
{
	int r = pwrite_all(w->fd, data, len, (off_t)w->end);

	if (r < 0)
		return error_errno(w->e, -r, "write %s", w->shown);
	w->crc = (uint32_t)crc32(w->crc, data, (uInt)len);
	w->end += len;
	return 0;
}

/* The content in w->in becomes that of a node. */
static int write_content(struct writer *w, const struct entry *entry)
{
	struct node *n = &w->nodes[entry->index];
	size_t count = (w->in_len + block - 1) / block, at = count * 4;

	n->size = (uint32_t)w->in_len;
	if (count == 0)
		return 0;
	if (w->end > offset_max)
		return error_text(w->e, EFBIG,
				  "write %s: cramfs holds 256 MiB, and /%s would begin behind them; "
				  "format = ext2 or cpio has no such limit",
				  w->shown, entry->path);
	n->offset = (uint32_t)w->end;
	parallel_run(count, compress_block, w);
	for (size_t i = 0; i < count; i++) {
		if (!w->lens[i])
			return error_text(w->e, EIO, "pack /%s: zlib refused its content", entry->path);
		memmove(w->out + at, w->out + blocks_max * 4 + i * bound, w->lens[i]);
		at += w->lens[i];
		put32(w->out + i * 4, (uint32_t)(w->end + at)); /* where the block ends */
	}
	memset(w->out + at, 0, in_fours(at) - at);
	w->blocks += (uint32_t)count;
	return write_at_end(w, w->out, in_fours(at));
}

static int pack_content(struct writer *w, const struct entry *entry)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	int r = content_open(entry, &c, w->e);

	if (r < 0)
		return r;
	if (c.size > size_max)
		return error_text(
			w->e, EFBIG,
			"pack /%s: it has %llu bytes, and cramfs holds files of less than 16 MiB only; "
			"use format = ext2 or cpio, or leave it out",
			entry->path, (unsigned long long)c.size);
	w->in_len = (size_t)c.size;
	r = content_read(&c, w->in, w->in_len, w->e);
	if (r == 0)
		r = content_check(&c, w->e);
	if (r == 0)
		pack_totals_add(&w->totals, entry, c.size);
	return r < 0 ? r : write_content(w, entry);
}

static int pack_entry(void *user, const struct entry *entry)
{
	struct writer *w = user;

	if ((S_ISREG(entry->mode) && !entry->same_as) || S_ISLNK(entry->mode))
		return pack_content(w, entry);
	/* Device numbers have the old form (Linux: old_decode_dev()). */
	if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode))
		w->nodes[entry->index].size = major(entry->rdev) << 8 | (minor(entry->rdev) & 0xff);
	pack_totals_add(&w->totals, entry, 0);
	return 0;
}

/* --- all of it --- */

static int start(struct writer *w)
{
	unsigned threads = parallel_threads();

	w->nodes = xcalloc(w->tree->count + 1, sizeof(*w->nodes));
	w->in = xmalloc(size_max);
	w->out = xmalloc(blocks_max * (4 + (size_t)bound));
	w->lens = xmalloc(blocks_max * sizeof(*w->lens));
	for (; w->stream_count < threads; w->stream_count++)
		if (deflateInit(&w->streams[w->stream_count], Z_BEST_COMPRESSION) != Z_OK)
			return error_errno(w->e, ENOMEM, "start zlib");
	return lay_out(w);
}

/* The superblock comes last: what was cut short is no file system. */
static int finish(struct writer *w)
{
	static const unsigned char zeros[block];
	size_t rest = (block - w->end % block) % block;
	int r = rest ? write_at_end(w, zeros, rest) : 0;

	if (r < 0)
		return r;
	fill_folders(w);
	fill_super(w);
	r = pwrite_all(w->fd, w->head, w->head_len, 0);
	return r < 0 ? error_errno(w->e, -r, "write %s", w->shown) : 0;
}

int pack_cramfs(const struct tree *tree, int fd, const char *shown, struct pack_totals *ret,
		struct report *report, struct error *e)
{
	_cleanup_(writer) struct writer w = { .tree = tree, .fd = fd, .shown = shown, .e = e };
	int r = start(&w);

	w.end = w.head_len;
	if (r == 0)
		r = pack_each(tree, pack_entry, &w, report);
	if (r == 0)
		r = finish(&w);
	if (r < 0)
		return r;
	*ret = w.totals;
	return 0;
}
