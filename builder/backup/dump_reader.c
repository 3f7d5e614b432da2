/* A dump is records of 1024 bytes: a header, then the data blocks that it counts. Types: 1 TS_TAPE the begin, 6 TS_CLRI
 * and 3 TS_BITS maps of inodes, 2 TS_INODE one inode and its first 512 blocks, 4 TS_ADDR 512 more of them, 5
 * TS_END. c_addr has a byte for each block: 0 is a hole, for which no block stands in the stream. Attributes are a TS_INODE
 * record of their own behind the file's, with DR_EXTATTRIBUTES. Numbers are those of the machine that dumped,
 * little-endian for us. */
#include "backup/dump_reader.h"

#include "base/number.h"
#include "base/str.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { ts_tape = 1, ts_inode, ts_bits, ts_addr, ts_end, ts_clri };
enum {
	magic = 60012,
	checksum = 84446,
	blocks_max = 512, /* of a header */
	flag_attributes = 0x8000, /* DR_EXTATTRIBUTES */
	flag_compressed = 0x80, /* DR_COMPRESSED */
	xattr_area = 3, /* EXT_XATTR */
	attributes_max = 64 << 10,
};
/* Offsets in a header; the inode (struct new_bsd_inode) is at 32. */
enum {
	at_type = 0,
	at_date = 4,
	at_since = 8,
	at_ino = 20,
	at_magic = 24,
	at_checksum = 28, /* makes the sum of all 32-bit words of the header what it has to be */
	at_mode = 32,
	at_nlink = 34,
	at_size = 40,
	at_mtime = 56,
	at_ctime = 64,
	at_device = 72, /* the first block pointers: as the kernel encodes it, old or new */
	at_flags = 132,
	at_uid = 144,
	at_gid = 148,
	at_count = 160,
	at_map = 164,
	at_level = 692,
	at_record_flags = 888,
	at_area = 900,
};

struct reader {
	const struct pull *in;
	const struct dump_calls *calls;
	const char *at; /* what is left of the last pull */
	size_t left;
	uint64_t offset; /* of `at` in the stream */
	char header[DUMP_BLOCK];
	struct dump_inode inode;
	bool open; /* an inode whose `end` was not yet called */
	uint64_t done; /* bytes of its content */
	struct dump_dates dates;
};

static int bad(const struct reader *r, const char *what, struct error *e)
{
	return error_text(e, EBADMSG, "byte %llu of the dump: %s", (unsigned long long)r->offset, what);
}

/* At most `want` bytes, at least one. 1, 0 at the end, or negative. */
static int some(struct reader *r, size_t want, const char **ret, size_t *ret_len, struct error *e)
{
	if (r->left == 0) {
		ssize_t n = r->in->next(r->in->user, &r->at, e);

		if (n <= 0)
			return (int)n;
		r->left = (size_t)n;
	}
	*ret = r->at;
	*ret_len = r->left < want ? r->left : want;
	r->at += *ret_len;
	r->left -= *ret_len;
	r->offset += *ret_len;
	return 1;
}

/* 1, or 0 where the stream ends before it. */
static int read_header(struct reader *r, struct error *e)
{
	const char *data = NULL;
	size_t len = 0;

	for (size_t have = 0; have < DUMP_BLOCK; have += len) {
		int n = some(r, DUMP_BLOCK - have, &data, &len, e);

		if (n <= 0)
			return n < 0 ? n : have == 0 ? 0 : bad(r, "it ends within a header", e);
		memcpy(r->header + have, data, len);
	}
	uint32_t sum = 0;

	for (size_t i = 0; i < DUMP_BLOCK; i += 4)
		sum += le32_at(r->header + i);
	if (le32_at(r->header + at_magic) != magic || sum != checksum)
		return bad(r, "no header of dump(8) before it", e);
	uint32_t type = le32_at(r->header + at_type);

	/* a map of inodes may be larger: its blocks have no bytes in c_addr */
	if ((type == ts_inode || type == ts_addr) && le32_at(r->header + at_count) > blocks_max)
		return bad(r, "a header with too many blocks before it", e);
	return 1;
}

/* Gives the next `len` bytes to `to`, or skips them. */
static int pass(struct reader *r, uint64_t len, int (*to)(void *, const char *, size_t, struct error *),
		struct error *e)
{
	while (len > 0) {
		const char *data = NULL;
		size_t n = 0;
		int code = some(r, len < SIZE_MAX ? (size_t)len : SIZE_MAX, &data, &n, e);

		if (code <= 0)
			return code < 0 ? code : bad(r, "it ends too early", e);
		if (to)
			code = to(r->calls->user, data, n, e);
		if (code < 0)
			return code;
		len -= n;
	}
	return 0;
}

/* A stretch of blocks that are all there or all holes; what is behind the file's size is padding. */
static int pass_blocks(struct reader *r, uint64_t blocks, bool there, struct error *e)
{
	uint64_t len = blocks * DUMP_BLOCK, left = r->inode.size - r->done;
	uint64_t useful = len < left ? len : left;
	int code = 0;

	if (there)
		code = pass(r, useful, r->calls->data, e);
	else if (r->calls->data && useful)
		code = r->calls->data(r->calls->user, NULL, (size_t)useful, e);
	r->done += useful;
	return code == 0 && there ? pass(r, len - useful, NULL, e) : code;
}

static int pass_content(struct reader *r, struct error *e)
{
	uint32_t count = le32_at(r->header + at_count), i = 0;
	char map[blocks_max];
	int code = 0;

	memcpy(map, r->header + at_map, sizeof(map));
	while (code == 0 && i < count) {
		uint32_t from = i;

		while (i < count && !map[i] == !map[from])
			i++;
		code = pass_blocks(r, i - from, map[from], e);
	}
	return code;
}

/* The attributes of the inode that is open, all blocks of which are there. */
static int pass_attributes(struct reader *r, struct error *e)
{
	uint64_t size = le64_at(r->header + at_size), len = 0;
	_cleanup_(strbuf) struct strbuf area = { 0 };
	uint64_t blocks = le32_at(r->header + at_count);

	if (size > attributes_max || size > blocks * DUMP_BLOCK)
		return bad(r, "attributes of a wrong size before it", e);
	while (len < blocks * DUMP_BLOCK) {
		const char *data = NULL;
		size_t n = 0;
		int code = some(r, (size_t)(blocks * DUMP_BLOCK - len), &data, &n, e);

		if (code <= 0)
			return code < 0 ? code : bad(r, "it ends too early", e);
		if (len < size)
			strbuf_add(&area, data, n < size - len ? n : (size_t)(size - len));
		len += n;
	}
	if (!r->calls->xattrs || !area.len || !r->open || le32_at(r->header + at_area) != xattr_area)
		return 0;
	return r->calls->xattrs(r->calls->user, area.data, area.len, e);
}

/* include/linux/kdev_t.h: old_decode_dev(), new_decode_dev() */
static dev_t decode_device(const char *header)
{
	uint32_t old = le32_at(header + at_device), new = le32_at(header + at_device + 4);

	return old ? makedev(old >> 8 & 0xff, old & 0xff)
		   : makedev((new & 0xfff00) >> 8, (new & 0xff) | (new >> 12 & 0xfff00));
}

static int end_inode(struct reader *r, uint64_t end, struct error *e)
{
	if (!r->open)
		return 0;
	r->open = false;
	if (S_ISREG(r->inode.mode) && r->done != r->inode.size)
		return bad(r, "a file that is shorter than its size before it", e);
	return r->calls->end ? r->calls->end(r->calls->user, &r->inode, end, e) : 0;
}

static int begin_inode(struct reader *r, struct error *e)
{
	const char *h = r->header;

	r->inode = (struct dump_inode) { .ino = le32_at(h + at_ino),
					 .mode = le16_at(h + at_mode),
					 .nlink = le16_at(h + at_nlink),
					 .uid = le32_at(h + at_uid),
					 .gid = le32_at(h + at_gid),
					 .flags = le32_at(h + at_flags),
					 .size = le64_at(h + at_size),
					 .mtime = (int32_t)le32_at(h + at_mtime),
					 .ctime = (int32_t)le32_at(h + at_ctime),
					 .start = r->offset - DUMP_BLOCK };
	if (S_ISBLK(r->inode.mode) || S_ISCHR(r->inode.mode))
		r->inode.device = decode_device(h);
	if (r->inode.size > INT64_MAX)
		return bad(r, "a file of an impossible size before it", e);
	r->open = true;
	r->done = 0;
	return r->calls->begin(r->calls->user, &r->inode, e);
}

static int take_inode(struct reader *r, struct error *e)
{
	if (le32_at(r->header + at_record_flags) & flag_attributes)
		return pass_attributes(r, e);
	int code = end_inode(r, r->offset - DUMP_BLOCK, e);

	if (code == 0)
		code = begin_inode(r, e);
	return code < 0 ? code : pass_content(r, e);
}

/* Records that stand between the inodes. */
static int take_other(struct reader *r, uint32_t type, struct error *e)
{
	if (type == ts_tape) {
		r->dates = (struct dump_dates) { .date = (int32_t)le32_at(r->header + at_date),
						 .since = (int32_t)le32_at(r->header + at_since),
						 .level = le32_at(r->header + at_level) };
		if (le32_at(r->header + at_record_flags) & flag_compressed)
			return bad(r, "dump's own compression, which this version does not read", e);
		return 0;
	}
	if (type == ts_clri || type == ts_bits)
		return pass(r, (uint64_t)le32_at(r->header + at_count) * DUMP_BLOCK, NULL, e);
	return bad(r, "a header of an unknown type before it", e);
}

static int read_all(struct reader *r, bool piece, struct error *e)
{
	int code = 0;

	for (bool first = true; code == 0; first = false) {
		int n = read_header(r, e);
		uint32_t type = le32_at(r->header + at_type);

		if (n < 0)
			return n;
		if (n == 0)
			return piece && !first ? end_inode(r, r->offset, e) : bad(r, "it ends too early", e);
		if (first && (type == ts_tape) == piece)
			return bad(r, "no begin of a dump before it", e);
		if (type == ts_end)
			return end_inode(r, r->offset - DUMP_BLOCK, e);
		if (type == ts_inode)
			code = take_inode(r, e);
		else if (type == ts_addr && r->open)
			code = pass_content(r, e);
		else
			code = take_other(r, type, e);
	}
	return code;
}

int dump_read(const struct pull *in, const struct dump_calls *calls, struct dump_dates *ret_dates,
	      struct error *e)
{
	struct reader r = { .in = in, .calls = calls };
	const char *rest;
	int code = read_all(&r, false, e);
	ssize_t n = 1;

	if (code < 0)
		return code;
	while (n > 0) /* what fills the last block */
		n = in->next(in->user, &rest, e);
	if (n < 0)
		return (int)n;
	if (ret_dates)
		*ret_dates = r.dates;
	return 0;
}

int dump_read_piece(const struct pull *in, const struct dump_calls *calls, struct error *e)
{
	struct reader r = { .in = in, .calls = calls };

	return read_all(&r, true, e);
}

static void put32(char *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof(n));
}

void dump_set_date(char *begin, size_t len, int64_t date)
{
	if (len < DUMP_BLOCK || le32_at(begin + at_type) != ts_tape || le32_at(begin + at_magic) != magic)
		return;
	int64_t old = (int32_t)le32_at(begin + at_date);

	if (date >= old || date <= 0)
		return;
	put32(begin + at_date, (uint32_t)date);
	put32(begin + at_checksum, le32_at(begin + at_checksum) + (uint32_t)(old - date));
}
