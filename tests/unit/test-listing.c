/* Listings: what is written is read again, foreign lines are refused; a stream of dump(8) gives the files that were
 * dumped, and a damaged one an error. */
#include "tap.h"

#include "backup/dump_tree.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

/* Made by dump(8) of the file system that `small` below lists. */
#define SAMPLE "tests/fuzz/corpus/dump/small"

static void round_trip(const char *line)
{
	_cleanup_(strbuf) struct strbuf again = { 0 };
	_cleanup_(listed) struct listed f = { 0 };
	_cleanup_(free) char *text = xstrdup(line);
	struct error e = { 0 };

	CHECK_OK(listing_parse(text, &f, &e));
	listing_format(&again, &f);
	again.data[again.len - 1] = '\0';
	CHECK_STR(again.data, line);
}

TEST(lines_are_read_as_they_were_written)
{
	round_trip(". type=dir mode=0755 uid=0 gid=0 time=0.000000000 inode=2");
	round_trip("./a\\012b\\040\\134\\344\\075\\043 type=file mode=04755 uid=4294967295 gid=1 "
		   "size=9223372036854775807 time=-1.999999999 nlink=3 inode=18446744073709551615 "
		   "sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef "
		   "xattrs=0123456789abcdef0123456789abcdef");
	round_trip("./d/l type=link mode=0777 uid=0 gid=0 time=5.000000000 nlink=1 inode=9 link=../a\\040b");
	round_trip(
		"./null type=char mode=0666 uid=0 gid=0 time=5.000000000 nlink=1 inode=9 device=linux,1,3");
}

TEST(foreign_lines_are_refused)
{
	static const char *const bad[] = {
		"",
		".",
		"a type=dir",
		"/etc type=dir",
		"./.. type=dir",
		"./a/../b type=dir",
		"./a/. type=dir",
		"./a/ type=dir",
		"./a//b type=dir",
		"./ type=dir",
		"./a\\000b type=dir",
		"./a\\4 type=dir",
		"./a\\777 type=dir",
		"./a type=door",
		"./a mode=0755",
		"./a type=dir mode=0788",
		"./a type=dir mode=010000",
		"./a type=dir uid=-1",
		"./a type=dir uid=4294967296",
		"./a type=dir time=5",
		"./a type=dir time=5.1",
		"./a type=dir time=5.0000000000",
		"./a type=file size=x",
		"./a type=file size=9223372036854775808",
		"./a type=file sha256=01",
		"./a type=file sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
		"./a type=link",
		"./a type=link link=",
		"./a type=dir link=x",
		"./a type=char device=1,3",
		"./a type=char device=linux,1,3,4",
		"./a type=dir surprise=1",
		"./a type=dir surprise",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(free) char *text = xstrdup(bad[i]);
		struct listed f;
		struct error e = { 0 };

		if (listing_parse(text, &f, &e) != -EBADMSG)
			TAP_FAIL("taken: %s", bad[i]);
	}
}

TEST(paths_are_in_the_order_of_a_walk)
{
	static const char *const sorted[] = { ".",     "./a",   "./a/b", "./a/b/c", "./a/c",
					      "./a b", "./a-b", "./b",   "./\xe4" };

	for (size_t i = 1; i < sizeof(sorted) / sizeof(*sorted); i++) {
		CHECK(listing_compare_paths(sorted[i - 1], sorted[i]) < 0);
		CHECK(listing_compare_paths(sorted[i], sorted[i - 1]) > 0);
		CHECK_INT(listing_compare_paths(sorted[i], sorted[i]), 0);
	}
}

/* ---- dump(8) ---- */

struct input {
	const char *at;
	size_t left, piece;
};

static ssize_t next(void *user, const char **ret, struct error *e)
{
	struct input *in = user;
	size_t n = in->left < in->piece ? in->left : in->piece;

	(void)e;
	*ret = in->at;
	in->at += n;
	in->left -= n;
	return (ssize_t)n;
}

static int put_line(void *user, const struct listed *f, struct error *e)
{
	(void)e;
	listing_format(user, f);
	return 0;
}

/* The listing of a dump that comes in pieces of `piece` bytes, over a base (or NULL). */
static int list(const char *data, size_t size, size_t piece, const struct listing *base, struct strbuf *ret,
		struct error *e)
{
	_cleanup_(dump_tree) struct dump_tree *tree = dump_tree_new();
	struct input in = { .at = data, .left = size, .piece = piece };
	const struct pull pull = { .next = next, .user = &in };
	int64_t date = 0;

	if (base)
		dump_tree_base(tree, base);
	int r = dump_tree_read(tree, &pull, &date, e);

	if (r < 0)
		return r;
	CHECK_INT(date, 1323785716);
	return dump_tree_walk(tree, put_line, ret, e);
}

static char *sample(size_t *ret_size)
{
	struct error e = { 0 };
	char *data = NULL;

	CHECK_OK(read_file_at(AT_FDCWD, SAMPLE, 1 << 20, &data, ret_size, &e));
	return data;
}

static const char small[] =
	". type=dir mode=0755 uid=0 gid=0 time=1323785716.000000000 inode=2\n"
	"./d type=dir mode=0755 uid=0 gid=0 time=1323785716.000000000 inode=11\n"
	"./d/deep type=dir mode=0755 uid=0 gid=0 time=1323785716.000000000 inode=12\n"
	"./d/deep/again type=file mode=0644 uid=0 gid=0 size=5 time=1323785716.000000000 nlink=2 inode=13 "
	"sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n"
	"./d/hello type=file mode=0644 uid=0 gid=0 size=5 time=1323785716.000000000 nlink=2 inode=13 "
	"sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n"
	"./d/link type=link mode=0777 uid=0 gid=0 time=1323785716.000000000 nlink=1 inode=14 link=../hello\n"
	"./disk type=block mode=0644 uid=0 gid=0 time=1323785716.000000000 nlink=1 inode=16 "
	"device=linux,300,70000\n"
	"./fifo type=fifo mode=0644 uid=0 gid=0 time=1323785716.000000000 nlink=1 inode=17\n"
	"./hole type=file mode=0644 uid=0 gid=0 size=716800 time=1323785716.000000000 nlink=1 inode=18 "
	"sha256=c9e74f8dcf47f828316df0650ddd9157206f96887be2375faec8877356b252ef\n"
	"./latin1-\\344 type=file mode=0644 uid=0 gid=0 size=1 time=1323785716.000000000 nlink=1 inode=20 "
	"sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n"
	"./new\\012line type=file mode=0644 uid=0 gid=0 size=1 time=1323785716.000000000 nlink=1 inode=19 "
	"sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n"
	"./null type=char mode=0644 uid=0 gid=0 time=1323785716.000000000 nlink=1 inode=15 "
	"device=linux,1,3\n";

TEST(a_dump_is_listed)
{
	static const size_t pieces[] = { 1 << 20, 1024, 1000, 1 };
	struct error e = { 0 };
	size_t size;
	_cleanup_(free) char *data = sample(&size);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		_cleanup_(strbuf) struct strbuf text = { 0 };

		CHECK_OK(list(data, size, pieces[i], NULL, &text, &e));
		CHECK_STR(text.data, small);
	}
}

TEST(a_dump_that_is_cut_off_is_an_error)
{
	size_t size;
	_cleanup_(free) char *data = sample(&size);

	for (size_t len = 0; len < size; len += 256) {
		_cleanup_(strbuf) struct strbuf text = { 0 };
		struct error e = { 0 };

		/* behind the begin of the last record, which is the end's, nothing is missing but itself */
		if (list(data, len, 4096, NULL, &text, &e) != -EBADMSG)
			TAP_FAIL("%zu of %zu bytes are taken", len, size);
	}
}

TEST(a_flipped_bit_in_a_header_is_an_error)
{
	size_t size, checked = 0;
	_cleanup_(free) char *data = sample(&size);

	for (size_t at = 0; at < size; at += 1024) {
		static const char magic[] = { 0x6c, (char)0xea, 0, 0 };
		size_t bit = at * 7 % 8192;

		if (memcmp(data + at + 24, magic, sizeof(magic)) != 0)
			continue;
		_cleanup_(strbuf) struct strbuf text = { 0 };
		struct error e = { 0 };

		data[at + bit / 8] ^= (char)(1 << bit % 8);
		if (list(data, size, 4096, NULL, &text, &e) != -EBADMSG)
			TAP_FAIL("bit %zu of the header at %zu", bit, at);
		data[at + bit / 8] ^= (char)(1 << bit % 8);
		checked++;
	}
	CHECK(checked > 10);
}

TEST(a_dump_replaces_what_its_base_says_of_the_same_inodes)
{
	static const char *const lines[] = {
		". type=dir mode=0700 uid=0 gid=0 time=1.000000000 inode=2",
		"./gone type=file mode=0600 uid=0 gid=0 size=0 time=1.000000000 nlink=1 inode=50",
	};
	_cleanup_(listing) struct listing base = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	struct error e = { 0 };
	size_t size;
	_cleanup_(free) char *data = sample(&size);

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *line = xstrdup(lines[i]);
		struct listed f;

		CHECK_OK(listing_parse(line, &f, &e));
		listing_take(&base, &f);
	}
	CHECK_OK(list(data, size, 4096, &base, &text, &e));
	CHECK_STR(text.data, small); /* the root is in the dump, and no longer names it */
}

TAP_MAIN()
