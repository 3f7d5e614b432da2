/* Sets: what is written comes back, by us and by hand; whatever is damaged is found; what a killed writer
 * leaves is only .partial. */
#include "set-lab.h"

#include "backup/stream_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

static void round_trip(size_t len)
{
	_cleanup_(place) struct place p;
	_cleanup_(fd) int want = sample(len, 1);
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	place_make(&p, "", "");
	_cleanup_(free) char *name = write_set(&p, len);
	_cleanup_(set_list) struct set_list l = { 0 };

	CHECK_OK(set_list(&p.target, &l, &e));
	CHECK_INT(l.count, 1);
	CHECK_STR(l.items[0].name, name);
	CHECK(l.items[0].complete);
	CHECK_OK(verify(&p));
	CHECK_OK(read_back(&p, "root", got));
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

TEST(standard_tools_read_it)
{
	_cleanup_(place) struct place p;
	_cleanup_(fd) int want = sample(1 << 20, 1);

	place_make(&p, "", "");
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
	_cleanup_(place) struct place p;
	unsigned seed = random_seed();

	place_make(&p, "", "");
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
		if (verify(&p) == 0)
			TAP_FAIL("byte %lld of %s", (long long)at, file);
		if (!streq(file, SUMS_FILE) && !strstr(e.text, file))
			TAP_FAIL("byte %lld of %s: '%s'", (long long)at, file, e.text);
		if (str_after(file, "root.") && read_back(&p, "root", null) == 0)
			TAP_FAIL("byte %lld of %s, while reading", (long long)at, file);
		flip(path, at, bits);
	}
	CHECK_OK(verify(&p));
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
	_cleanup_(place) struct place p;
	unsigned seed = random_seed();

	place_make(&p, "", "");
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
		if (verify(&p) == 0 || !strstr(e.text, ".dump.zst.0"))
			TAP_FAIL("%s: '%s'", script, e.text);
		/* whoever did not verify before sees at the latest at the end what has come of the stream itself */
		if (!strstr(accident, "home") && !strstr(accident, "10 +") &&
		    read_back(&p, "root", null) == 0)
			TAP_FAIL("%s, while reading", script);
		run_in(folder, "rm *; cp ../../kept/* .");
	}
	CHECK_OK(verify(&p));
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
		_cleanup_(place) struct place p;

		place_make(&p, "", "");
		_cleanup_(free) char *name = write_set(&p, 500000);
		_cleanup_(free) char *folder = xasprintf("%s/box/%s", p.dir.path, name);

		run_in(folder, damages[i].script);
		if (verify(&p) == 0 || !strstr(e.text, damages[i].error))
			TAP_FAIL("%s: '%s', expected '%s'", damages[i].script, e.text, damages[i].error);
	}
}

/* ---- writers that end early ---- */

TEST(streams_that_cannot_be_restored_are_known_beforehand)
{
	_cleanup_(place) struct place p;
	_cleanup_(free) char *name = NULL, *missing = NULL;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p, "", "");
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
	_cleanup_(place) struct place p;
	_cleanup_(free) char *name = NULL, *sums = NULL, *wanted = NULL, *text = NULL;
	_cleanup_(set) struct set *s = NULL;
	size_t len;

	place_make(&p, "", "");
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
		_cleanup_(set_writer) struct set_writer *w = NULL;

		CHECK_OK(set_begin(&p->target, "other", 0, chunk, &w, &quiet, &e));
		CHECK_OK(set_add_file(w, "machine.conf", "x", 1, &e));
	}
	return NULL;
}

TEST(a_backup_of_another_host_does_not_keep_from_listing)
{
	_cleanup_(place) struct place p;
	_cleanup_(free) char *name = NULL;
	pthread_t other;

	place_make(&p, "", "");
	name = write_set(&p, 1 << 10);
	CHECK_INT(pthread_create(&other, NULL, write_and_abort, &p), 0);
	while (pthread_tryjoin_np(other, NULL) != 0) {
		_cleanup_(set) struct set *s = NULL;

		CHECK_OK(set_open(&p.target, "box", NULL, &s, &quiet, &e));
	}
}

TEST(another_file_system_than_the_one_surveyed_is_not_saved)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;

	place_make(&p, "", "");
	_cleanup_(free) char *wanted =
		xasprintf("%s: it is not the file system that the survey found there", p.dir.path);

	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_ERROR(set_save_filesystem(w, "root", "dump", &(struct set_source) { .folder = p.dir.path },
					&quiet, &e),
		    wanted);
}

TEST(an_aborted_set_leaves_nothing)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list l = { 0 };

	place_make(&p, "", "");
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
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list l = { 0 };

	place_make(&p, "", "");
	_cleanup_(free) char *first = write_set(&p, 1000);
	_cleanup_(free) char *second = write_set(&p, 1000);

	CHECK(strcmp(first, second) < 0);
	CHECK_OK(set_list(&p.target, &l, &e));
	CHECK_INT(l.count, 2);
	CHECK_STR(l.items[1].name, second);
}

TEST(one_backup_of_a_host_at_a_time)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *a = NULL, *b = NULL, *other = NULL;

	place_make(&p, "", "");
	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &a, &quiet, &e));
	CHECK_INT(set_begin(&p.target, "box", 0, chunk, &b, &quiet, &e), -EBUSY);
	CHECK(strstr(e.text, "/box: another backup is being written there (process "));
	CHECK_OK(set_begin(&p.target, "barge", 0, chunk, &other, &quiet, &e));
	set_abort(TAKE_PTR(a));
	CHECK_OK(set_begin(&p.target, "box", 0, chunk, &b, &quiet, &e));
}

TEST(hosts_and_names)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL, *x = NULL;
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(free) char *name = NULL;

	place_make(&p, "", "");
	CHECK_INT(set_begin(&p.target, "../x", 0, chunk, &x, &quiet, &e), -EINVAL);
	CHECK_INT(set_begin(&p.target, ".x", 0, chunk, &x, &quiet, &e), -EINVAL);
	CHECK_OK(set_begin(&p.target, "barge", 0, chunk, &w, &quiet, &e));
	CHECK_INT(set_add_file(w, "a b", "", 0, &e), -EINVAL);
	CHECK_OK(set_commit(w, &name, &e));
	free(write_set(&p, 10));
	CHECK_INT(set_open(&p.target, NULL, NULL, &s, &quiet, &e), -EINVAL);
	CHECK(strstr(e.text, "barge, box"));
	CHECK_OK(set_open(&p.target, "box", NULL, &s, &quiet, &e));
	CHECK_INT(set_open(&p.target, "raft", NULL, &s, &quiet, &e), -ENOENT);
}

/* A device without room: a tmpfs would need root, the file size limit does not. */
TEST(a_full_target_is_an_error)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int in = sample(1 << 20, 1);

	place_make(&p, "", "");
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(set_begin(&p.target, "box", 0, 1 << 20, &w, &quiet, &e));
	const struct rlimit limit = { 100000, 100000 };

	CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_INT(set_add_stream(w, "root", "dump", in, 0, &quiet, &e), -EFBIG);
	CHECK(strstr(e.text, ".partial/root.dump.zst.000: File too large"));
}

struct aftermath {
	bool begun, told;
};

static int pass_by(void *user, const struct pull *in, struct error *e_)
{
	(void)user;
	(void)in;
	(void)e_;
	return 0;
}

static int wait_for_failure(void *user, const atomic_bool *failed, struct error *e_)
{
	struct aftermath *a = user;

	(void)e_;
	a->begun = true;
	for (int i = 0; i < 2000 && !*failed; i++)
		(void)usleep(10000);
	a->told = *failed;
	return 0;
}

/* What goes on after a stream, a long walk maybe, is told that its target is full. */
TEST(what_is_done_after_a_stream_hears_of_a_failure)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	const struct rlimit limit = { 100000, 100000 };
	struct aftermath a = { .begun = false };
	_cleanup_(fd) int in = sample(4 << 20, 1);
	const struct stream_watch watch = { .read = pass_by, .after = wait_for_failure, .user = &a };
	char name[32];

	place_make(&p, "", "");
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(set_begin(&p.target, "box", 0, 8 << 20, &w, &quiet, &e));
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* the failure may be there before the end of the stream was seen */
	for (int i = 0; i < 50 && !a.begun; i++) {
		(void)snprintf(name, sizeof(name), "root%d", i);
		CHECK_INT(lseek(in, 0, SEEK_SET), 0);
		CHECK_INT(stream_add(w, name, "dump", in, 0, &watch, NULL, &quiet, &e), -EFBIG);
	}
	CHECK(a.begun);
	CHECK(a.told);
}

TEST(a_reader_that_goes_away_ends_it)
{
	_cleanup_(place) struct place p;
	int fds[2];

	place_make(&p, "", "");
	free(write_set(&p, 1 << 20));
	CHECK(pipe(fds) == 0);
	close(fds[0]);
	CHECK_INT(read_back(&p, "root", fds[1]), -EPIPE);
}

TAP_MAIN()
