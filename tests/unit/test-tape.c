/* A raw device written like a tape, here a file in its place: what is written comes back, by us and by tar; what is not
 * blank is left alone; whatever is left half done is not there. */
#include "sample.h"
#include "tap.h"

#include "backup/set_private.h"
#include "backup/tape.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

enum { chunk = 64 << 10 };

static struct report quiet;

struct lab {
	struct tempdir dir;
	char *path, *url;
};

static void lab_remove(struct lab *l)
{
	tempdir_remove(&l->dir);
	free(l->path);
	free(l->url);
}
DEFINE_CLEANUP(lab, struct lab, lab_remove)

static void run_in(const struct lab *l, const char *script)
{
	struct error e = { 0 };
	_cleanup_(free) char *all = xasprintf("PATH=$PATH:/usr/sbin:/sbin\n%s", script);
	const char *argv[] = { "sh", "-euc", all, NULL };
	struct proc_options o = { .cwd = l->dir.path };

	CHECK_OK(proc_run(argv, &o, &e));
}

/* A file "tape" that the script makes. */
static void lab_make(struct lab *l, const char *script)
{
	struct error e = { 0 };

	*l = (struct lab) { .dir = TEMPDIR_NONE };
	(void)signal(SIGPIPE, SIG_IGN);
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&l->dir, &e));
	l->path = xasprintf("%s/tape", l->dir.path);
	l->url = xasprintf("dev://%s", l->path);
	run_in(l, script);
}

static int open_tape(struct lab *l, bool write, bool overwrite, struct target *ret, struct error *e)
{
	struct target_options o = { .write = write, .overwrite = overwrite };

	return target_open(l->url, &o, ret, &quiet, e);
}

/* Begins a set and writes all but its end. */
static int begin_set(struct target *t, size_t len, struct set_writer **ret, struct error *e)
{
	_cleanup_(fd) int root = sample(len, 1);
	int r = set_begin(t, "box", 0, chunk, ret, &quiet, e);

	if (r == 0)
		r = set_add_file(*ret, "machine.conf", "[machine]\n", 10, e);
	if (r == 0)
		r = set_add_stream(*ret, "root", "dump", root, 0, &quiet, e);
	return r < 0 ? r : set_add_file(*ret, "RECOVER.txt", "by hand\n", 8, e);
}

static int write_set(struct lab *l, size_t len, char **ret_name, struct error *e)
{
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(set_writer) struct set_writer *w = NULL;
	int r = open_tape(l, true, false, &t, e);

	if (r == 0)
		r = begin_set(&t, len, &w, e);
	return r < 0 ? r : set_commit(w, ret_name, e);
}

static size_t count_sets(struct lab *l)
{
	struct error e = { 0 };
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(set_list) struct set_list list = { 0 };

	CHECK_OK(open_tape(l, false, false, &t, &e));
	CHECK_OK(set_list(&t, &list, &e));
	return list.count;
}

static int verify(struct lab *l, struct error *e)
{
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(set) struct set *s = NULL;
	int r = open_tape(l, false, false, &t, e);

	if (r == 0)
		r = set_open(&t, NULL, NULL, &s, &quiet, e);
	return r < 0 ? r : set_verify(s, &quiet, e);
}

TEST(what_is_written_comes_back)
{
	for (size_t len = 0; len <= 2000000; len = len * 3 + 511) {
		struct error e = { 0 };
		_cleanup_(lab) struct lab l;
		_cleanup_(free) char *name = NULL;
		_cleanup_(fd) int want = sample(len, 1);
		_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);
		_cleanup_(target) struct target t = { .dirfd = -1 };
		_cleanup_(set) struct set *s = NULL;
		char x[DIGEST_HEX_SIZE], y[DIGEST_HEX_SIZE];

		lab_make(&l, "truncate -s 8M tape");
		CHECK_OK(write_set(&l, len, &name, &e));
		CHECK_OK(verify(&l, &e));
		CHECK_OK(open_tape(&l, false, false, &t, &e));
		CHECK_OK(set_open(&t, "box", name, &s, &quiet, &e));
		CHECK_OK(set_read_stream(s, "root", "dump", got, &quiet, &e));
		CHECK(lseek(got, 0, SEEK_SET) == 0);
		CHECK_OK(digest_fd(want, "want", x, NULL, &e));
		CHECK_OK(digest_fd(got, "got", y, NULL, &e));
		CHECK_STR(x, y);
	}
}

TEST(tar_reads_it)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(free) char *first = NULL, *second = NULL;

	lab_make(&l, "truncate -s 8M tape");
	CHECK_OK(write_set(&l, 1000000, &first, &e));
	CHECK_OK(write_set(&l, 300000, &second, &e));
	CHECK_INT(count_sets(&l), 2);
	_cleanup_(free) char *script = xasprintf(
		"tar -tf tape >list; head -n 1 list | grep -qx LIFEBOAT.txt; grep -qx box/%s/SHA256SUMS list;"
		"mkdir out; tar -xf tape -C out; for s in %s %s; do (cd out/box/$s; sha256sum --quiet -c "
		"SHA256SUMS); done;"
		"tar -xOf tape --wildcards 'box/%s/root.dump.zst.*' | zstd -dq >stream;"
		"cat out/box/%s/root.dump.zst.* | zstd -dq | cmp - stream;"
		"! command -v busybox >/dev/null || busybox tar -tf tape | tail -n 1 | grep -qx "
		"box/%s/SHA256SUMS",
		second, first, second, first, first, second);

	run_in(&l, script);
}

/* What is not blank, and what is said of it. */
static const struct {
	const char *script, *what;
} others[] = {
	{ "truncate -s 8M tape; mke2fs -qF -L keep -t ext4 tape", "it holds ext4 'keep'" },
	{ "truncate -s 8M tape; echo ',,L' | sfdisk -q tape", "it holds a partition table (dos)" },
	{ "truncate -s 8M tape; echo ',,L' | sfdisk -q -X gpt tape", "it holds a partition table (gpt)" },
	{ "truncate -s 8M tape; mkswap -q tape", "it holds swap" },
	{ "truncate -s 8M tape; printf x | dd of=tape conv=notrunc bs=1 seek=5000 status=none", "not zeros" },
	{ "truncate -s 8M tape; printf x | dd of=tape conv=notrunc bs=1 seek=8388607 status=none",
	  "not zeros" },
	{ "head -c 8M /dev/urandom >tape", "not zeros" },
	{ "echo hello >hello; tar -cf tape hello; truncate -s 8M tape", "not zeros" },
};

TEST(what_is_not_blank_is_left_alone)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct error e = { 0 };
		_cleanup_(lab) struct lab l;
		_cleanup_(target) struct target t = { .dirfd = -1 };
		_cleanup_(free) char *content = NULL, *name = NULL;

		lab_make(&l, others[i].script);
		run_in(&l, "cp tape before");
		CHECK_INT(open_tape(&l, true, false, &t, &e), -EEXIST);
		if (!strstr(e.text, others[i].what) || !strstr(e.text, "--overwrite"))
			TAP_FAIL("%s: '%s', expected '%s'", others[i].script, e.text, others[i].what);
		CHECK_INT(open_tape(&l, false, false, &t, &e), -EMEDIUMTYPE);
		run_in(&l, "cmp tape before");
		CHECK_OK(target_content(l.url, &content, &e));
		CHECK(content != NULL);
		/* told to */
		CHECK_OK(open_tape(&l, true, true, &t, &e));
		target_close(&t);
		CHECK_INT(count_sets(&l), 0);
		CHECK_OK(write_set(&l, 1000, &name, &e));
		run_in(&l, "! blkid -p tape");
	}
}

TEST(a_blank_one_is_blank_until_it_is_written)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(free) char *content = NULL;

	lab_make(&l, "truncate -s 8M tape; cp tape before");
	CHECK_OK(target_content(l.url, &content, &e));
	CHECK(content == NULL);
	CHECK_INT(open_tape(&l, false, false, &t, &e), -EMEDIUMTYPE);
	run_in(&l, "cmp tape before");
}

TEST(what_was_not_committed_is_not_there)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(free) char *first = NULL, *second = NULL;

	lab_make(&l, "truncate -s 8M tape");
	for (int i = 0; i < 2; i++) { /* on a new tape, and behind a set */
		_cleanup_(target) struct target t = { .dirfd = -1 };
		struct set_writer *w = NULL;

		CHECK_OK(open_tape(&l, true, false, &t, &e));
		CHECK_OK(begin_set(&t, 2000000, &w, &e));
		set_abort(w);
		target_close(&t);
		CHECK_INT(count_sets(&l), i);
		run_in(&l, "tar -tf tape 2>said; ! grep . said");
		if (i == 0)
			CHECK_OK(write_set(&l, 300000, &first, &e));
		CHECK_OK(verify(&l, &e));
	}
	CHECK_OK(write_set(&l, 1000, &second, &e));
	CHECK_INT(count_sets(&l), 2);
	CHECK_OK(verify(&l, &e));
}

TEST(a_level_goes_on_from_what_is_on_it)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(target) struct target t = { .dirfd = -1 };
	_cleanup_(set_writer) struct set_writer *w = NULL, *none = NULL;
	_cleanup_(free) char *full = NULL, *name = NULL;
	_cleanup_(set) struct set *s = NULL;

	lab_make(&l, "truncate -s 8M tape");
	CHECK_OK(write_set(&l, 50000, &full, &e));
	CHECK_OK(open_tape(&l, true, false, &t, &e));
	CHECK_INT(set_begin(&t, "barge", 1, chunk, &none, &quiet, &e), -ENOENT); /* of another host */
	CHECK_OK(set_begin(&t, "box", 1, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	CHECK_OK(set_commit(w, &name, &e));
	target_close(&t);
	CHECK_OK(open_tape(&l, false, false, &t, &e));
	CHECK_OK(set_open(&t, "box", NULL, &s, &quiet, &e));
	CHECK_INT(set_level(s), 1);
	CHECK(set_base(s) && str_ends(set_shown(set_base(s)), full));
}

TEST(a_full_one_keeps_what_it_has)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(free) char *first = NULL, *second = NULL;

	lab_make(&l, "truncate -s 2M tape");
	CHECK_OK(write_set(&l, 1000000, &first, &e));
	CHECK_INT(write_set(&l, 8000000, &second, &e), -ENOSPC);
	CHECK(strstr(e.text, "the device is full"));
	CHECK_INT(count_sets(&l), 1);
	CHECK_OK(verify(&l, &e));
	run_in(&l, "tar -tf tape >/dev/null; test $(stat -c %s tape) = 2097152");
}

TEST(every_flipped_byte_is_found)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(free) char *name = NULL;
	_cleanup_(tape) struct tape t = { 0 };

	lab_make(&l, "truncate -s 2M tape");
	CHECK_OK(write_set(&l, 200000, &name, &e));
	_cleanup_(fd) int fd = open(l.path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_OK(tape_scan(fd, "tape", &t, &e));
	for (uint64_t at = 0; at < t.end; at += 97) {
		bool padding = true, about = at < t.files[0].at + 2 * 512 + t.files[0].size / 512 * 512;
		char byte;

		for (size_t i = 0; i < t.count; i++)
			if (at + 512 >= t.files[i].at && at < t.files[i].at + t.files[i].size)
				padding = false;
		CHECK(pread(fd, &byte, 1, (off_t)at) == 1);
		byte ^= 0x10;
		CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
		if (verify(&l, &e) == 0 && !padding && !about)
			TAP_FAIL("byte %llu was flipped, and nobody saw it", (unsigned long long)at);
		byte ^= 0x10;
		CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
	}
	CHECK_OK(verify(&l, &e));
}

TEST(two_writers_do_not_meet)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(target) struct target first = { .dirfd = -1 }, second = { .dirfd = -1 };

	lab_make(&l, "truncate -s 2M tape");
	CHECK_OK(open_tape(&l, true, false, &first, &e));
	CHECK_INT(open_tape(&l, true, false, &second, &e), -EBUSY);
}

TEST(nonsense_is_refused)
{
	struct error e = { 0 };
	_cleanup_(lab) struct lab l;
	_cleanup_(target) struct target t = { .dirfd = -1 };

	lab_make(&l, "truncate -s 1000 tape");
	CHECK_INT(open_tape(&l, true, false, &t, &e), -ENOSPC);
	CHECK_INT(open_tape(&l, true, true, &t, &e), -ENOSPC);
	run_in(&l, "rm tape; mkdir tape");
	CHECK(open_tape(&l, true, true, &t, &e) < 0);
	run_in(&l, "rmdir tape; mkfifo tape");
	CHECK(open_tape(&l, false, false, &t, &e) < 0);
	run_in(&l, "rm tape");
	CHECK_INT(open_tape(&l, true, false, &t, &e), -ENOENT);
	CHECK_INT(target_open("dev:///dev/null", &(struct target_options) { .write = true }, &t, &quiet, &e),
		  -ENOTBLK);
}

TAP_MAIN()
