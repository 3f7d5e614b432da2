/* Sets: what is written comes back, by us and by hand; whatever is damaged is found; what a killed writer
 * leaves is only .partial. */
#include "tap.h"

#include "backup/set_private.h"
#include "base/fs.h"
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum { chunk = 64 << 10 };

static struct report quiet;

struct place {
	struct tempdir dir;
	struct target target;
};

static void place_remove(struct place *p)
{
	target_close(&p->target);
	tempdir_remove(&p->dir);
}
DEFINE_CLEANUP(place, struct place, place_remove)
#define PLACE                                                 \
	{                                                     \
		.dir = TEMPDIR_NONE, .target = {.dirfd = -1 } \
	}

static void place_make(struct place *p)
{
	struct error e = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&p->dir, &e));
	_cleanup_(free) char *url = xasprintf("file://%s", p->dir.path);

	CHECK_OK(target_open(url, NULL, &p->target, &quiet, &e));
}

/* A temporary file with `len` bytes that compress by about half. */
static int sample(size_t len, unsigned seed)
{
	_cleanup_(free) char *data = xmalloc(len);
	int fd = memfd_create("sample", MFD_CLOEXEC);

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (char)(seed >> 28);
	}
	CHECK(fd >= 0 && write_all(fd, data, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static char *write_set(struct place *p, size_t len)
{
	struct error e = { 0 };
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(len, 1);
	_cleanup_(fd) int home = sample(len / 3, 2);
	char *name = NULL;

	CHECK_OK(set_begin(&p->target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	CHECK_OK(set_add_stream(w, "root", "dump", root, 0, &quiet, &e));
	CHECK_OK(set_add_stream(w, "home", "dump", home, 0, &quiet, &e));
	CHECK_OK(set_add_file(w, "RECOVER.txt", "by hand\n", 8, &e));
	CHECK_OK(set_commit(w, &name, &e));
	return name;
}

static void same_files(int a, int b)
{
	struct error e = { 0 };
	char x[DIGEST_HEX_SIZE], y[DIGEST_HEX_SIZE];

	CHECK(lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0);
	CHECK_OK(digest_fd(a, "a", x, NULL, &e));
	CHECK_OK(digest_fd(b, "b", y, NULL, &e));
	CHECK_STR(x, y);
}

static int verify(struct place *p, struct error *e)
{
	_cleanup_(set) struct set *s = NULL;
	int r = set_open(&p->target, NULL, NULL, &s, &quiet, e);

	return r < 0 ? r : set_verify(s, &quiet, e);
}

/* 0 when the stream of the newest set could be read to its end. */
static int read_back(struct place *p, const char *name, int out, struct error *e)
{
	_cleanup_(set) struct set *s = NULL;
	int r = set_open(&p->target, "box", NULL, &s, &quiet, e);

	return r < 0 ? r : set_read_stream(s, name, "dump", out, &quiet, e);
}

static void round_trip(size_t len)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(fd) int want = sample(len, 1);
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	place_make(&p);
	_cleanup_(free) char *name = write_set(&p, len);
	_cleanup_(set_list) struct set_list l = { 0 };

	CHECK_OK(set_list(&p.target, &l, &e));
	CHECK_INT(l.count, 1);
	CHECK_STR(l.items[0].name, name);
	CHECK(l.items[0].complete);
	CHECK_OK(verify(&p, &e));
	CHECK_OK(read_back(&p, "root", got, &e));
	same_files(want, got);
}

TEST(what_is_written_comes_back)
{
	round_trip(0);
	round_trip(1);
	round_trip(1 << 20);
	round_trip(chunk / 2 * 8);
	round_trip((5 << 20) + 12345);
}

static void run_in(const char *folder, const char *script)
{
	struct error e = { 0 };
	const char *argv[] = { "sh", "-euc", script, NULL };
	struct proc_options o = { .cwd = folder };

	CHECK_OK(proc_run(argv, &o, &e));
}

TEST(standard_tools_read_it)
{
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(fd) int want = sample(1 << 20, 1);

	place_make(&p);
	_cleanup_(free) char *name = write_set(&p, 1 << 20);
	_cleanup_(free) char *folder = xasprintf("%s/box/%s", p.dir.path, name);
	_cleanup_(free) char *plain = xasprintf("%s/../plain", folder);

	run_in(folder, "sha256sum --quiet --strict -c SHA256SUMS");
	run_in(folder, "test -f root.dump.zst.003");
	run_in(folder, "cat root.dump.zst.* | zstd -d >../plain");
	run_in(folder, "for c in *.zst.*; do zstd -q -d <$c >/dev/null; done");
	run_in(folder, "for c in *.zst.*; do test $(stat -c %s $c) -le 65536; done");
	_cleanup_(fd) int got = open(plain, O_RDONLY);

	same_files(want, got);
}

/* ---- damage ---- */

static unsigned random_seed(void)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);

	printf("# SEED=%u\n", seed);
	return seed;
}

static void flip(const char *path, off_t at, unsigned char bits)
{
	_cleanup_(fd) int fd = open(path, O_RDWR);
	unsigned char c;

	CHECK(pread(fd, &c, 1, at) == 1);
	c ^= bits;
	CHECK(pwrite(fd, &c, 1, at) == 1);
}

TEST(every_flipped_byte_is_found)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	unsigned seed = random_seed();

	place_make(&p);
	_cleanup_(free) char *name = write_set(&p, 200000);
	_cleanup_(strlist) struct strlist files = { 0 };
	_cleanup_(fd) int null = open("/dev/null", O_WRONLY);

	strlist_add_words(&files, "SHA256SUMS machine.conf RECOVER.txt root.dump.zst.000 root.dump.zst.001 "
				  "home.dump.zst.000");
	for (unsigned i = 0; i < 300; i++) {
		const char *file = files.items[rand_r(&seed) % files.count];
		_cleanup_(free) char *path = xasprintf("%s/box/%s/%s", p.dir.path, name, file);
		struct stat st;

		CHECK_INT(stat(path, &st), 0);
		off_t at = rand_r(&seed) % st.st_size;
		unsigned char bits = (unsigned char)(1u << rand_r(&seed) % 8);

		flip(path, at, bits);
		if (verify(&p, &e) == 0)
			TAP_FAIL("byte %lld of %s", (long long)at, file);
		if (!streq(file, SUMS_FILE) && !strstr(e.text, file))
			TAP_FAIL("byte %lld of %s: '%s'", (long long)at, file, e.text);
		if (str_after(file, "root.") && read_back(&p, "root", null, &e) == 0)
			TAP_FAIL("byte %lld of %s, while reading", (long long)at, file);
		flip(path, at, bits);
	}
	CHECK_OK(verify(&p, &e));
}

/* What happens to whole files; numbers stand for chunks of the stream. */
static const char *const accidents[] = {
	"truncate -s $3 root.dump.zst.00$1", /* shorter, or longer by zeros */
	"rm root.dump.zst.00$1",
	"mv root.dump.zst.00$1 x; mv root.dump.zst.00$2 root.dump.zst.00$1; mv x root.dump.zst.00$2",
	"cp root.dump.zst.00$1 root.dump.zst.00$2",
	"cp root.dump.zst.00$1 root.dump.zst.00$((10 + $2))",
	"cp root.dump.zst.00$1 home.dump.zst.000",
	"dd if=/dev/zero of=root.dump.zst.00$1 bs=512 count=1 seek=$(($3 / 512)) conv=notrunc status=none",
};

TEST(every_lost_or_exchanged_chunk_is_found)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	unsigned seed = random_seed();

	place_make(&p);
	_cleanup_(free) char *name = write_set(&p, 500000);
	_cleanup_(free) char *folder = xasprintf("%s/box/%s", p.dir.path, name);
	_cleanup_(fd) int null = open("/dev/null", O_WRONLY);

	run_in(folder, "test -f root.dump.zst.003; cp -R . ../../kept");
	for (unsigned i = 0; i < 100; i++) {
		const char *accident = accidents[rand_r(&seed) % (sizeof(accidents) / sizeof(*accidents))];
		unsigned one = (unsigned)rand_r(&seed) % 4,
			 other = (one + 1 + (unsigned)rand_r(&seed) % 3) % 4;
		_cleanup_(free) char *script = xasprintf("set -- %u %u %u; %s", one, other,
							 (unsigned)rand_r(&seed) % 32000, accident);

		run_in(folder, script);
		if (verify(&p, &e) == 0 || !strstr(e.text, ".dump.zst.0"))
			TAP_FAIL("%s: '%s'", script, e.text);
		/* whoever did not verify before sees at the latest at the end what has come of the stream itself */
		if (!strstr(accident, "home") && !strstr(accident, "10 +") &&
		    read_back(&p, "root", null, &e) == 0)
			TAP_FAIL("%s, while reading", script);
		run_in(folder, "rm *; cp ../../kept/* .");
	}
	CHECK_OK(verify(&p, &e));
}

static const struct {
	const char *script, *error;
} damages[] = {
	{ "rm root.dump.zst.001", "root.dump.zst.001: missing" },
	{ "rm root.dump.zst.003", "root.dump.zst.003: missing" },
	{ "rm machine.conf", "machine.conf: missing" },
	{ "truncate -s -1 root.dump.zst.002", "root.dump.zst.002: damaged" },
	{ "truncate -s 0 root.dump.zst.000", "root.dump.zst.000: damaged" },
	{ "echo >>home.dump.zst.000", "home.dump.zst.000: damaged" },
	{ "mv root.dump.zst.001 t; mv root.dump.zst.002 root.dump.zst.001; mv t root.dump.zst.002",
	  "root.dump.zst.001: damaged" },
	{ "cp root.dump.zst.000 root.dump.zst.001", "root.dump.zst.001: damaged" },
	{ "cp root.dump.zst.000 root.dump.zst.999", "root.dump.zst.999: not listed in SHA256SUMS" },
	{ "cp root.dump.zst.000 var.dump.zst.000", "var.dump.zst.000: not listed in SHA256SUMS" },
	{ "sed -i /root.dump.zst.001/d SHA256SUMS", "root.dump.zst.001: not listed in SHA256SUMS" },
	{ "sed -i /RECOVER/d SHA256SUMS", "RECOVER.txt: not listed in SHA256SUMS" },
	{ "sed -i /machine.conf/d SHA256SUMS; rm machine.conf", "machine.conf: not listed in SHA256SUMS" },
	{ "truncate -s -5 SHA256SUMS", "damaged; expected a SHA-256 and a file name" },
	{ "rm SHA256SUMS", "SHA256SUMS: No such file" },
	{ "ln -sf /etc/passwd machine.conf", "machine.conf: open: Too many levels" },
	{ "sed -i 's,machine.conf,../x,' SHA256SUMS", "damaged; expected a SHA-256 and a file name" },
};

TEST(damage_is_named)
{
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct error e = { 0 };
		_cleanup_(place) struct place p = PLACE;

		place_make(&p);
		_cleanup_(free) char *name = write_set(&p, 500000);
		_cleanup_(free) char *folder = xasprintf("%s/box/%s", p.dir.path, name);

		run_in(folder, damages[i].script);
		if (verify(&p, &e) == 0 || !strstr(e.text, damages[i].error))
			TAP_FAIL("%s: '%s', expected '%s'", damages[i].script, e.text, damages[i].error);
	}
}

/* ---- replicas ---- */

/* The same set in two places; the second is the first's replica. */
struct pair {
	struct place a, b;
	char *name, *first, *second; /* the set, and its folders */
};

static void pair_remove(struct pair *p)
{
	place_remove(&p->a); /* closes the replica */
	p->b.target = (struct target) { .dirfd = -1 };
	place_remove(&p->b);
	free(p->name);
	free(p->first);
	free(p->second);
}
DEFINE_CLEANUP(pair, struct pair, pair_remove)

static void pair_make(struct pair *p, size_t len)
{
	*p = (struct pair) { .a = PLACE, .b = PLACE };
	place_make(&p->a);
	p->name = write_set(&p->a, len);
	place_make(&p->b);
	_cleanup_(free) char *copy = xasprintf("cp -a box %s/", p->b.dir.path);

	run_in(p->a.dir.path, copy);
	p->first = xasprintf("%s/box/%s", p->a.dir.path, p->name);
	p->second = xasprintf("%s/box/%s", p->b.dir.path, p->name);
	p->a.target.replica = xmalloc(sizeof(p->b.target));
	*p->a.target.replica = p->b.target;
}

/* What does harm to one place; the set is whole all the same. */
static const char *const harms[] = {
	"printf X | dd of=root.dump.zst.000 bs=1 seek=100 conv=notrunc status=none",
	"truncate -s -1 root.dump.zst.001",
	"truncate -s 0 home.dump.zst.000",
	"rm root.dump.zst.000",
	"mv root.dump.zst.000 x; mv root.dump.zst.001 root.dump.zst.000; mv x root.dump.zst.001",
	"echo x >> machine.conf",
	"rm machine.conf",
	"rm SHA256SUMS",
	"truncate -s -5 SHA256SUMS",
	"sed -i 's/^./f/' SHA256SUMS; echo x >> machine.conf",
	"touch foreign.dump.zst.000",
	"rm *",
	"cd ..; rm -r *",
};

TEST(what_is_bad_in_one_place_is_taken_from_another)
{
	for (size_t i = 0; i < 2 * sizeof(harms) / sizeof(*harms); i++) {
		/* of two lists of sums that differ, the first counts */
		if (strstr(harms[i / 2], "sed") && i % 2 == 0)
			continue;
		struct error e = { 0 };
		_cleanup_(pair) struct pair p;
		_cleanup_(fd) int want = sample(500000, 1);
		_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);
		_cleanup_(free) char *conf = NULL;
		_cleanup_(set) struct set *s = NULL;

		pair_make(&p, 500000);
		run_in(i % 2 ? p.second : p.first, harms[i / 2]);
		CHECK_OK(verify(&p.a, &e));
		CHECK_OK(read_back(&p.a, "root", got, &e)); /* not verified before */
		same_files(want, got);
		CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
		CHECK_OK(set_machine_conf(s, &conf, &quiet, &e));
		CHECK_STR(conf, "[machine]\n");
	}
}

/* Both places, empty. */
static void pair_make_empty(struct pair *p)
{
	*p = (struct pair) { .a = PLACE, .b = PLACE };
	place_make(&p->a);
	place_make(&p->b);
	p->a.target.replica = xmalloc(sizeof(p->b.target));
	*p->a.target.replica = p->b.target;
}

TEST(a_backup_is_written_to_each_place)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;

	pair_make_empty(&p);
	p.name = write_set(&p.a, 500000);
	_cleanup_(free) char *compare = xasprintf("diff -r . %s", p.b.dir.path);

	run_in(p.a.dir.path, "rm box/.lock");
	run_in(p.b.dir.path, "rm box/.lock");
	run_in(p.a.dir.path, compare);
	CHECK_OK(verify(&p.b, &e));
}

/* What keeps a place from being written, before and while it is. */
static void write_with_harm(const char *before, const char *between, bool second)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(500000, 1);
	char *folder;

	pair_make_empty(&p);
	folder = second ? p.b.dir.path : p.a.dir.path;
	run_in(folder, before);
	CHECK_OK(set_begin(&p.a.target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	run_in(folder, between);
	CHECK_OK(set_add_stream(w, "root", "dump", root, 0, &quiet, &e));
	CHECK_OK(set_commit(w, &p.name, &e));
	CHECK_INT(set_writer_failed(w), 1);
	CHECK_OK(verify(second ? &p.a : &p.b, &e));
	CHECK_INT(verify(second ? &p.b : &p.a, &e), second ? -ENOENT : 0); /* that of the first asks both */
	run_in(folder, "! ls -d box/2*");
}

TEST(a_place_that_fails_is_given_up_and_the_other_goes_on)
{
	for (int second = 0; second < 2; second++) {
		write_with_harm("touch box", "true", second); /* no folder there */
		write_with_harm("true", "rm -r box/*.partial", second);
	}
}

TEST(no_place_left_is_an_error)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(500000, 1);

	pair_make_empty(&p);
	CHECK_OK(set_begin(&p.a.target, "box", 0, chunk, &w, &quiet, &e));
	run_in(p.a.dir.path, "rm -r box/*.partial");
	run_in(p.b.dir.path, "rm -r box/*.partial");
	CHECK_INT(set_add_stream(w, "root", "dump", root, 0, &quiet, &e), -ENOENT);
}

TEST(what_is_bad_in_both_places_is_damage)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	pair_make(&p, 500000);
	run_in(p.first, harms[0]);
	run_in(p.second, harms[3]);
	CHECK_INT(verify(&p.a, &e), -EBADMSG);
	CHECK(strstr(e.text, "root.dump.zst.000: damaged"));
	CHECK_INT(read_back(&p.a, "root", got, &e), -EBADMSG);
}

TEST(each_chunk_may_be_bad_in_another_place)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(fd) int want = sample(500000, 1);
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	pair_make(&p, 500000);
	run_in(p.first, "for f in *.zst.*[02468]; do echo x >>$f; done");
	run_in(p.second, "for f in *.zst.*[13579]; do rm $f; done");
	CHECK_OK(verify(&p.a, &e));
	CHECK_OK(read_back(&p.a, "root", got, &e));
	same_files(want, got);
}

TEST(the_newest_set_of_all_places_is_meant)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(set) struct set *s = NULL;

	pair_make(&p, 1000);
	run_in(p.b.dir.path, "cd box; cp -a * 20991231T000000Z-0");
	CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
	CHECK_STR(set_shown(s), "box/20991231T000000Z-0");
	CHECK_OK(set_verify(s, &quiet, &e));
}

TEST(sets_that_only_share_their_name_are_not_mixed)
{
	struct error e = { 0 };
	_cleanup_(pair) struct pair p;
	_cleanup_(set) struct set *s = NULL;

	pair_make(&p, 1000);
	run_in(p.second, "echo other >machine.conf; sha256sum m* *.zst.* >SHA256SUMS");
	run_in(p.first, "rm machine.conf");
	CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
	CHECK_INT(set_verify(s, &quiet, &e), -ENOENT);
}

/* ---- writers that end early ---- */

TEST(streams_that_cannot_be_restored_are_known_beforehand)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(free) char *name = NULL, *missing = NULL;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	name = write_set(&p, 1 << 20);
	missing = xasprintf("box/%s: it holds no stream var.dump", name);
	CHECK_OK(set_open(&p.target, NULL, NULL, &s, &quiet, &e));
	CHECK_OK(set_check_stream(s, "root", "dump", &e));
	CHECK_ERROR(set_check_stream(s, "var", "dump", &e), missing);
	CHECK_ERROR(set_check_stream(s, "root", "tape", &e),
		    "backup method 'tape' is unknown to this version");
}

TEST(zeros_at_the_end_of_the_sums_are_damage)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(free) char *name = NULL, *sums = NULL, *wanted = NULL, *text = NULL;
	_cleanup_(set) struct set *s = NULL;
	size_t len;

	place_make(&p);
	name = write_set(&p, 1 << 20);
	sums = xasprintf("box/%s/SHA256SUMS", name);
	wanted = xasprintf("box/%s/SHA256SUMS: damaged: it holds NUL bytes", name);
	CHECK_OK(read_file_at(p.dir.fd, sums, 1 << 20, &text, &len, &e));
	/* a whole first line, zeros behind: as a list it would be shorter, not wrong */
	memset(strchr(text, '\n') + 1, 0, len - (size_t)(strchr(text, '\n') + 1 - text));
	CHECK_OK(write_file_at(p.dir.fd, sums, 0600, text, len, &e));
	CHECK_ERROR(set_open(&p.target, NULL, NULL, &s, &quiet, &e), wanted);
}

static void *write_and_abort(void *user)
{
	struct place *p = user;

	for (int i = 0; i < 200; i++) {
		struct error e = { 0 };
		_cleanup_(set_writer) struct set_writer *w = NULL;

		CHECK_OK(set_begin(&p->target, "other", 0, chunk, &w, &quiet, &e));
		CHECK_OK(set_add_file(w, "machine.conf", "x", 1, &e));
	}
	return NULL;
}

TEST(a_backup_of_another_host_does_not_keep_from_listing)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(free) char *name = NULL;
	pthread_t other;

	place_make(&p);
	name = write_set(&p, 1 << 10);
	CHECK_INT(pthread_create(&other, NULL, write_and_abort, &p), 0);
	while (pthread_tryjoin_np(other, NULL) != 0) {
		_cleanup_(set) struct set *s = NULL;

		CHECK_OK(set_open(&p.target, "box", NULL, &s, &quiet, &e));
	}
}

TEST(another_file_system_than_the_one_surveyed_is_not_saved)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_writer) struct set_writer *w = NULL;

	place_make(&p);
	_cleanup_(free) char *wanted =
		xasprintf("%s: it is not the file system that the survey found there", p.dir.path);

	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_ERROR(set_save_filesystem(w, "root", "dump", &(struct set_source) { .folder = p.dir.path },
					&quiet, &e),
		    wanted);
}

TEST(an_aborted_set_leaves_nothing)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_list) struct set_list l = { 0 };

	place_make(&p);
	{
		_cleanup_(set_writer) struct set_writer *w = NULL;
		_cleanup_(fd) int in = sample(100000, 1);

		CHECK_OK(set_begin(&p.target, "box", 0, chunk, &w, &quiet, &e));
		CHECK_OK(set_add_stream(w, "root", "dump", in, 0, &quiet, &e));
	}
	CHECK_OK(set_list(&p.target, &l, &e));
	CHECK_INT(l.count, 0);
}

TEST(two_sets_of_one_second_do_not_collide)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_list) struct set_list l = { 0 };

	place_make(&p);
	_cleanup_(free) char *first = write_set(&p, 1000);
	_cleanup_(free) char *second = write_set(&p, 1000);

	CHECK(strcmp(first, second) < 0);
	CHECK_OK(set_list(&p.target, &l, &e));
	CHECK_INT(l.count, 2);
	CHECK_STR(l.items[1].name, second);
}

TEST(one_backup_of_a_host_at_a_time)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_writer) struct set_writer *a = NULL, *b = NULL, *other = NULL;

	place_make(&p);
	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &a, &quiet, &e));
	CHECK_INT(set_begin(&p.target, "box", 0, chunk, &b, &quiet, &e), -EBUSY);
	CHECK(strstr(e.text, "/box: another backup is being written there (process "));
	CHECK_OK(set_begin(&p.target, "barge", 0, chunk, &other, &quiet, &e));
	set_abort(TAKE_PTR(a));
	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &b, &quiet, &e));
}

TEST(hosts_and_names)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_writer) struct set_writer *w = NULL, *x = NULL;
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(free) char *name = NULL;

	place_make(&p);
	CHECK_INT(set_begin(&p.target, "../x", 0, chunk, &x, &quiet, &e), -EINVAL);
	CHECK_INT(set_begin(&p.target, ".x", 0, chunk, &x, &quiet, &e), -EINVAL);
	CHECK_OK(set_begin(&p.target, "barge", 0, chunk, &w, &quiet, &e));
	CHECK_INT(set_add_file(w, "a b", "", 0, &e), -EINVAL);
	CHECK_OK(set_commit(w, &name, &e));
	_cleanup_(free) char *other = write_set(&p, 10);

	CHECK_INT(set_open(&p.target, NULL, NULL, &s, &quiet, &e), -EINVAL);
	CHECK(strstr(e.text, "barge, box"));
	CHECK_OK(set_open(&p.target, "box", NULL, &s, &quiet, &e));
	CHECK_INT(set_open(&p.target, "raft", NULL, &s, &quiet, &e), -ENOENT);
}

/* A device without room: a tmpfs would need root, the file size limit does not. */
TEST(a_full_target_is_an_error)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int in = sample(1 << 20, 1);

	place_make(&p);
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(set_begin(&p.target, "box", 0, 1 << 20, &w, &quiet, &e));
	const struct rlimit limit = { 100000, 100000 };

	CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_INT(set_add_stream(w, "root", "dump", in, 0, &quiet, &e), -EFBIG);
	CHECK(strstr(e.text, ".partial/root.dump.zst.000: File too large"));
}

TEST(a_reader_that_goes_away_ends_it)
{
	struct error e = { 0 };
	_cleanup_(place) struct place p = PLACE;
	int fds[2];

	place_make(&p);
	_cleanup_(free) char *name = write_set(&p, 1 << 20);

	CHECK(pipe(fds) == 0);
	close(fds[0]);
	CHECK_INT(read_back(&p, "root", fds[1], &e), -EPIPE);
}

TAP_MAIN()
