#include "backup/dump_mend.h"

#include "backup/dump_format.h"
#include "base/str.h"

#include <stdlib.h>
#include <sys/stat.h>

/* What becomes of a block. */
enum { keep_block, zero_block, drop_block };

struct dump_mend {
	struct unwritten *extents;
	int64_t date;
	bool over; /* nothing that follows is looked at: it ended, or is no dump */
	bool ended;
	bool shorter; /* than it was */
	uint64_t len; /* of it, so far, in bytes */
	/* of the file, in blocks of a dump */
	bool is_file; /* a regular one */
	uint64_t blocks; /* that belong to it, by its size */
	uint64_t next; /* the number of the next one */
	const struct unwritten_range *ranges; /* those that may still come */
	size_t range_count;
	/* of the header that was last */
	uint64_t left; /* of its blocks in the stream */
	bool any; /* not all of them are kept: what becomes of each, and how many of these were seen */
	unsigned char fate[blocks_max];
	size_t at;
};

struct dump_mend *dump_mend_new(struct unwritten *extents, int64_t date)
{
	struct dump_mend *m = xcalloc(1, sizeof(*m));

	m->extents = extents;
	m->date = date;
	return m;
}

void dump_mend_free(struct dump_mend *m)
{
	free(m);
}

/* ---- headers ---- */

static void put32(char *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof(n));
}

/* Its sum is right again. */
static void seal(char *h)
{
	put32(h + at_checksum, 0);
	put32(h + at_checksum, checksum - dump_header_sum(h));
}

static int begin_file(struct dump_mend *m, char *h, struct error *e)
{
	bool is_device = S_ISBLK(le16_at(h + at_mode)) || S_ISCHR(le16_at(h + at_mode));

	if (is_device && !le32_at(h + at_device))
		put32(h + at_device, le32_at(h + at_device + 4));
	m->is_file = S_ISREG(le16_at(h + at_mode));
	m->next = 0;
	m->range_count = 0;
	if (!m->is_file)
		return 0;
	/* it has the whole of its last block */
	m->blocks = round_up(le64_at(h + at_size), unwritten_block_size(m->extents)) / DUMP_BLOCK;
	return le32_at(h + at_count)
		       ? unwritten_find(m->extents, le32_at(h + at_ino), &m->ranges, &m->range_count, e)
		       : 0;
}

/* Blocks are asked for in their order. */
static bool is_unwritten(struct dump_mend *m, uint64_t block)
{
	while (m->range_count && m->ranges->to <= block * DUMP_BLOCK) {
		m->ranges++;
		m->range_count--;
	}
	return m->range_count && m->ranges->from <= block * DUMP_BLOCK;
}

/* Sets what becomes of each block behind a header of a file. Returns how many the header counts then. */
static uint32_t decide(struct dump_mend *m, const char *h)
{
	uint32_t count = le32_at(h + at_count);
	uint64_t rest = m->next < m->blocks ? m->blocks - m->next : 0;

	for (uint32_t i = 0; i < count; i++) {
		int fate = i >= rest ? drop_block : is_unwritten(m, m->next + i) ? zero_block : keep_block;

		if (!h[at_map + i])
			continue;
		m->any |= fate != keep_block;
		m->fate[m->left++] = (unsigned char)fate;
	}
	m->next += count;
	return rest < count ? (uint32_t)rest : count;
}

static void count_blocks(struct dump_mend *m, const char *h, bool mapped)
{
	uint32_t count = le32_at(h + at_count);

	m->left = mapped ? 0 : count;
	for (uint32_t i = 0; mapped && i < count; i++)
		m->left += h[at_map + i] != 0;
}

/* `*ret_kept`: false where nothing that it counts is kept. */
static int take_blocks(struct dump_mend *m, char *h, bool *ret_kept, struct error *e)
{
	uint32_t type = le32_at(h + at_type), count = le32_at(h + at_count), kept;
	bool attributes = le32_at(h + at_record_flags) & flag_attributes;
	bool of_inode = type == ts_inode || type == ts_addr;
	int r = type == ts_inode && !attributes ? begin_file(m, h, e) : 0;

	if (r < 0)
		return r;
	if (!of_inode || attributes || !m->is_file) {
		count_blocks(m, h, of_inode && !attributes);
		return 0;
	}
	kept = decide(m, h);
	if (kept == count)
		return 0;
	put32(h + at_count, kept);
	memset(h + at_map + kept, 0, count - kept);
	*ret_kept = kept || type == ts_inode;
	return 0;
}

/* `*ret_kept` as it was, or false: it is left out. */
static int take_header(struct dump_mend *m, char *h, bool *ret_kept, struct error *e)
{
	uint32_t type = le32_at(h + at_type);
	int r = 0;

	m->left = m->at = 0;
	m->any = false;
	if (!dump_is_header(h)) {
		m->over = true;
		return 0;
	}
	if (m->date > 0 && m->date < (int32_t)le32_at(h + at_date))
		put32(h + at_date, (uint32_t)m->date);
	if (type == ts_end)
		m->over = m->ended = true;
	else if (type != ts_tape)
		r = take_blocks(m, h, ret_kept, e);
	seal(h);
	return r;
}

/* ---- the stream ---- */

/* The next blocks that share their fate: at most `max` of them, at least one. */
static size_t take_data(struct dump_mend *m, char *data, size_t max, bool *ret_kept)
{
	size_t n = m->left < max ? (size_t)m->left : max;

	if (m->any) {
		unsigned char fate = m->fate[m->at];

		n = 1;
		m->at++;
		if (fate == zero_block)
			memset(data, 0, DUMP_BLOCK);
		*ret_kept = fate != drop_block;
	}
	m->left -= n;
	return n;
}

int dump_mend(struct dump_mend *m, char *data, size_t *len, struct error *e)
{
	char *to = data;
	size_t n;

	for (char *from = data, *end = data + *len; from < end; from += n) {
		bool kept = true;
		int r = 0;

		n = (size_t)(end - from);
		if (m->over || n < DUMP_BLOCK) {
			kept = !m->ended || !m->shorter; /* zeros, of which there may be too many now */
			m->over = true;
		} else if (m->left) {
			n = take_data(m, from, n / DUMP_BLOCK, &kept) * DUMP_BLOCK;
		} else {
			n = DUMP_BLOCK;
			r = take_header(m, from, &kept, e);
		}
		if (r < 0)
			return r;
		m->shorter |= !kept;
		if (!kept)
			continue;
		if (to != from)
			memmove(to, from, n);
		to += n;
	}
	*len = (size_t)(to - data);
	m->len += *len;
	return 0;
}

size_t dump_mend_end(struct dump_mend *m, char *data, size_t room)
{
	uint64_t missing = m->ended && m->shorter ? round_up(m->len, DUMP_TAPE_BLOCK) - m->len : 0;
	size_t n = missing < room ? (size_t)missing : room;

	if (n)
		memset(data, 0, n);
	m->len += n;
	return n;
}
