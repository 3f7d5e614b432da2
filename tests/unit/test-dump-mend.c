/* What dump(8) gets wrong is put right in its stream: blocks that were never written are zeros, those behind a file's end are
 * not there, its date is in each header. The file system is a real one, the stream one as dump writes it. */
#include "tap.h"

#include "backup/dump_format.h"
#include "backup/dump_mend.h"
#include "backup/dump_reader.h"
#include "base/fs.h"
#include "base/proc.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { of_file = 12 }; /* the first inode that mke2fs leaves free */

static struct error e;

struct lab {
	struct tempdir dir;
	struct unwritten *extents;
};

static void lab_remove(struct lab *l)
{
	unwritten_close(l->extents);
	tempdir_remove(&l->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_remove)

/* `debug`: what debugfs(8) does to a file "file" whose first 10,000 bytes were written. */
static void lab_make(struct lab *l, const char *features, unsigned block_size, const char *debug)
{
	_cleanup_(free) char *script = xasprintf("PATH=$PATH:/usr/sbin:/sbin\n"
						 "head -c 10000 /dev/zero | tr '\\0' w >file\n"
						 "truncate -s 20M disk; mke2fs -q -t %s -b %u disk\n"
						 "printf '%%s\\n' 'write file file' '%s' | debugfs -w disk",
						 features, block_size, debug);
	_cleanup_(free) char *path = NULL;
	const char *argv[] = { "sh", "-euc", script, NULL };
	struct proc_options o = { 0 };

	*l = (struct lab) { .dir = TEMPDIR_NONE };
	CHECK_OK(tempdir_make(&l->dir, &e));
	o.cwd = l->dir.path;
	CHECK_OK(proc_run(argv, &o, &e));
	path = xasprintf("%s/disk", l->dir.path);
	CHECK_OK(unwritten_open(path, &l->extents, &e));
	CHECK_INT(unwritten_block_size(l->extents), block_size);
}

/* ---- a dump ---- */

static void put32(char *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof(n));
}

static char *add_header(struct strbuf *b, uint32_t type, uint32_t ino, mode_t mode, uint64_t size)
{
	static const char none[DUMP_BLOCK];

	strbuf_add(b, none, sizeof(none));
	char *h = b->data + b->len - DUMP_BLOCK;

	put32(h + at_type, type);
	put32(h + at_date, 1700000000);
	put32(h + at_ino, ino);
	put32(h + at_magic, magic);
	put32(h + at_mode, mode);
	put32(h + at_size, (uint32_t)size);
	return h;
}

static void seal(char *h)
{
	put32(h + at_checksum, 0);
	put32(h + at_checksum, checksum - dump_header_sum(h));
}

/* A file with so many blocks, full of the letter, whatever its size is; without those from `hole` on, four of them. */
static void add_file(struct strbuf *b, uint32_t ino, uint64_t size, uint32_t blocks, uint32_t hole,
		     char letter)
{
	uint32_t done = 0;

	do {
		uint32_t n = blocks - done < blocks_max ? blocks - done : blocks_max;
		char *h = add_header(b, done ? ts_addr : ts_inode, ino, S_IFREG | 0644, size);
		char block[DUMP_BLOCK], map[blocks_max];

		put32(h + at_count, n);
		for (uint32_t i = 0; i < n; i++)
			map[i] = done + i < hole || done + i >= hole + 4;
		memcpy(h + at_map, map, n);
		seal(h);
		memset(block, letter, sizeof(block));
		for (uint32_t i = 0; i < n; i++)
			if (map[i])
				strbuf_add(b, block, sizeof(block));
		done += n;
	} while (done < blocks);
}

static void add_begin(struct strbuf *b)
{
	seal(add_header(b, ts_tape, 0, 0, 0));
}

static void add_end(struct strbuf *b)
{
	static const char rest[3 * DUMP_BLOCK];

	seal(add_header(b, ts_end, 0, 0, 0));
	strbuf_add(b, rest, sizeof(rest));
}

/* Mended, by pieces of so many blocks. */
static void mend(struct lab *l, const struct strbuf *in, size_t piece, int64_t date, struct strbuf *out)
{
	_cleanup_(dump_mend) struct dump_mend *m = dump_mend_new(l->extents, date);
	_cleanup_(free) char *data = xmalloc(piece * DUMP_BLOCK);

	for (size_t at = 0; at < in->len;) {
		size_t left = in->len - at, len = left < piece * DUMP_BLOCK ? left : piece * DUMP_BLOCK;

		memcpy(data, in->data + at, len);
		at += len;
		CHECK_OK(dump_mend(m, data, &len, &e));
		strbuf_add(out, data, len);
	}
	for (size_t n; (n = dump_mend_end(m, data, piece * DUMP_BLOCK)) > 0;)
		strbuf_add(out, data, n);
}

/* ---- what restore(8) would make of it ---- */

struct seen {
	const struct strbuf *in;
	bool given;
	struct strbuf content; /* a byte for each block: what it is full of, . for a hole */
};

static ssize_t give(void *user, const char **ret, struct error *e_)
{
	struct seen *s = user;

	(void)e_;
	if (s->given)
		return 0;
	s->given = true;
	*ret = s->in->data;
	return (ssize_t)s->in->len;
}

static int begin(void *user, const struct dump_inode *inode, struct error *e_)
{
	struct seen *s = user;

	(void)e_;
	strbuf_printf(&s->content, "%s%u:", s->content.len ? " " : "", inode->ino);
	return 0;
}

static int take(void *user, const char *data, size_t len, struct error *e_)
{
	struct seen *s = user;

	(void)e_;
	for (size_t i = 0; i < len; i += DUMP_BLOCK) {
		const char c[] = { !data ? '.' : data[i] ? data[i] : '0', '\0' };

		for (size_t k = i; data && k < len && k < i + DUMP_BLOCK; k++)
			CHECK_INT(data[k], data[i]);
		strbuf_puts(&s->content, c);
	}
	return 0;
}

static void check_read(const struct strbuf *in, const char *content)
{
	struct seen s = { .in = in };
	const struct pull pull = { .next = give, .user = &s };
	const struct dump_calls calls = { .begin = begin, .data = take, .user = &s };

	CHECK_OK(dump_read(&pull, &calls, NULL, &e));
	CHECK_STR(s.content.data, content);
	strbuf_free(&s.content);
}

/* The same, however it comes in pieces. */
static void check_mended(struct lab *l, const struct strbuf *in, size_t len, const char *content)
{
	for (size_t piece = 1; piece < 2000; piece = piece * 2 + 1) {
		_cleanup_(strbuf) struct strbuf out = { 0 };

		mend(l, in, piece, 0, &out);
		CHECK_INT(out.len / DUMP_BLOCK, len);
		check_read(&out, content);
	}
}

TEST(what_was_never_written_is_zeros)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 };

	/* 10 blocks written, then to 31 and from 40 to 49 not */
	lab_make(&l, "ext4", 1024,
		 "fallocate file 10 30\nfallocate file 40 48\nset_inode_field file size 50000");
	add_begin(&in);
	add_file(&in, of_file, 50000, 49, 31, 'x');
	add_file(&in, of_file + 1, 2000, 2, 9, 'y'); /* that is not in use any more */
	add_end(&in);
	check_mended(&l, &in, in.len / DUMP_BLOCK,
		     "12:xxxxxxxxxx000000000000000000000....xxxxx000000000 13:yy");
}

TEST(blocks_of_a_file_system_may_be_larger)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 };

	lab_make(&l, "ext4", 4096, "fallocate file 3 9\nset_inode_field file size 37000");
	add_begin(&in);
	add_file(&in, of_file, 37000, 40, 24, 'x');
	add_end(&in);
	check_mended(&l, &in, in.len / DUMP_BLOCK, "12:xxxxxxxxxxxx000000000000....000000000");
}

TEST(what_is_behind_the_end_is_left_out)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 };

	lab_make(&l, "ext4", 1024, "fallocate file 10 1999");
	add_begin(&in);
	add_file(&in, of_file, 9999, 2000, 4, 'x');
	add_file(&in, of_file + 1, 0, 600, 600, 'y');
	add_file(&in, of_file + 2, 1024, 2, 9, 'z');
	add_file(&in, of_file + 3, 600 * 1024, 700, 512, 'z');
	add_end(&in);
	_cleanup_(strbuf) struct strbuf wanted = { 0 };

	strbuf_puts(&wanted, "12:xxxx....xx 13: 14:z 15:");
	for (int i = 0; i < 600; i++)
		strbuf_puts(&wanted, i >= 512 && i < 516 ? "." : "z");
	/* restore(8) does not read on behind the block of its tape in which the end is, and somebody may be writing */
	check_mended(&l, &in, DUMP_TAPE_BLOCK / DUMP_BLOCK, wanted.data);
}

TEST(files_without_extents_stay)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 }, out = { 0 };

	lab_make(&l, "ext2", 1024, "stat file");
	add_begin(&in);
	add_file(&in, of_file, 10000, 10, 10, 'x');
	add_end(&in);
	mend(&l, &in, 3, 1700000000, &out);
	CHECK_INT(out.len, in.len);
	CHECK(memcmp(in.data, out.data, in.len) == 0);
}

/* restore(8) looks at the first block pointer only. */
TEST(large_numbers_of_devices_are_where_restore_looks)
{
	static const struct {
		uint32_t first, second, wanted;
	} cases[] = { { 0x0103, 0, 0x0103 }, { 0, 0x493103e0, 0x493103e0 }, { 0, 0, 0 } };
	_cleanup_(lab) struct lab l;

	lab_make(&l, "ext4", 1024, "stat file");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strbuf) struct strbuf in = { 0 }, out = { 0 };

		add_begin(&in);
		char *h = add_header(&in, ts_inode, of_file, S_IFBLK | 0600, 0);

		put32(h + at_device, cases[i].first);
		put32(h + at_device + 4, cases[i].second);
		seal(h);
		add_end(&in);
		mend(&l, &in, 2, 0, &out);
		CHECK_INT(le32_at(out.data + DUMP_BLOCK + at_device), cases[i].wanted);
		check_read(&out, "12:");
	}
}

/* Of a real dump: folders, links, attributes; but for a device with a large number. */
TEST(all_else_stays)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 }, out = { 0 };
	size_t changed = 0;

	lab_make(&l, "ext4", 1024, "rm file");
	CHECK_OK(read_file_at(AT_FDCWD, "tests/fuzz/corpus/dump/small", 1 << 20, &in.data, &in.len, &e));
	mend(&l, &in, 5, 0, &out);
	CHECK_INT(out.len, in.len);
	for (size_t at = 0; at < in.len; at += DUMP_BLOCK) {
		if (memcmp(in.data + at, out.data + at, DUMP_BLOCK) == 0)
			continue;
		changed++;
		CHECK(dump_is_header(out.data + at));
		CHECK(S_ISBLK(le16_at(in.data + at + at_mode)) && !le32_at(in.data + at + at_device));
	}
	CHECK_INT(changed, 1);
}

TEST(its_date_stands_in_each_header)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 };

	lab_make(&l, "ext4", 1024, "stat file");
	add_begin(&in);
	add_file(&in, of_file, 2048, 2, 2, 'x');
	add_end(&in);
	for (int i = 0; i < 2; i++) {
		const int64_t earlier = 1600000000, was = 1700000000;
		_cleanup_(strbuf) struct strbuf out = { 0 };

		mend(&l, &in, 100, i ? earlier : was + 1, &out);
		for (size_t k = 0; k < 5; k += k == 1 ? 3 : 1) {
			CHECK(dump_is_header(out.data + k * DUMP_BLOCK));
			CHECK_INT(le32_at(out.data + k * DUMP_BLOCK + at_date), i ? earlier : was);
		}
		check_read(&out, "12:xx");
	}
}

TEST(what_is_no_dump_is_not_touched)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 }, out = { 0 };

	lab_make(&l, "ext4", 1024, "stat file");
	add_begin(&in);
	put32(add_header(&in, ts_inode, of_file, S_IFREG, 1 << 20) + at_count, 1000); /* with a wrong sum */
	add_file(&in, of_file, 1, 100, 100, 'x');
	strbuf_puts(&in, "the end");
	mend(&l, &in, 7, 0, &out);
	CHECK_INT(out.len, in.len);
	CHECK(memcmp(in.data, out.data, in.len) == 0);
}

TEST(what_cannot_be_read_is_an_error)
{
	_cleanup_(lab) struct lab l;
	_cleanup_(strbuf) struct strbuf in = { 0 };
	_cleanup_(dump_mend) struct dump_mend *m = NULL;
	struct unwritten *none;

	lab_make(&l, "ext4", 1024, "fallocate file 10 30\nset_inode_field file block[0] 7");
	add_begin(&in);
	add_file(&in, of_file, 50000, 49, 31, 'x');
	m = dump_mend_new(l.extents, 0);
	_cleanup_(free) char *wanted = xasprintf("read the extents of inode 12 of %s/disk: ", l.dir.path);

	CHECK(dump_mend(m, in.data, &in.len, &e) < 0);
	const char *why = str_after(e.text, wanted);

	CHECK(why && !strstr(why, "Unknown code")); /* libext2fs has words for it */
	CHECK(unwritten_open("/dev/null", &none, &e) < 0);
	CHECK(str_after(e.text, "read the file system of /dev/null: "));
}

TAP_MAIN()
