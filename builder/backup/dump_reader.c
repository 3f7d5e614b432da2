#include "backup/dump_reader.h"

#include "backup/dump_format.h"
#include "base/str.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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
	if (!dump_is_header(r->header))
		return bad(r, "no header of dump(8) before it", e);
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

	return new ? makedev((new & 0xfff00) >> 8, (new & 0xff) | (new >> 12 & 0xfff00))
		   : makedev(old >> 8 & 0xff, old & 0xff);
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
