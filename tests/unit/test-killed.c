/* A backup that is killed at random moments, in two places at a time, as a full set or a level, removing old ones at its end: each place has the
 * old state or a whole new set besides, and the next backup clears away what it left. SEED=N tries the same moments again, as far
 * as moments can be the same; MATRIX=all tries 200. */
#include "tap.h"

#include "backup/set_private.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

static struct error e;
static struct report quiet;

struct place {
	struct tempdir dir;
	struct target target; /* two of them */
	char *from;
};

static void place_remove(struct place *p)
{
	target_close(&p->target);
	tempdir_remove(&p->dir);
	free(p->from);
}
DEFINE_CLEANUP(place, struct place, place_remove)

static void run(const struct place *p, const char *script)
{
	const char *argv[] = { "sh", "-euc", script, NULL };
	const struct proc_options o = { .cwd = p->dir.path };

	CHECK_OK(proc_run(argv, &o, &e));
}

static void open_target(const struct place *p, const char *name, struct target *ret)
{
	_cleanup_(free) char *url = xasprintf("file://%s/%s", p->dir.path, name);

	CHECK_OK(target_open(url, NULL, ret, &quiet, &e));
}

static void place_make(struct place *p)
{
	*p = (struct place) { .dir = TEMPDIR_NONE, .target = { .dirfd = -1 } };
	(void)signal(SIGPIPE, SIG_IGN); /* as the program does */
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&p->dir, &e));
	run(p, "mkdir from a b to; for i in 1 2 3 4 5 6 7 8; do head -c 60000 /dev/urandom >from/$i; done");
	p->from = xasprintf("%s/from", p->dir.path);
	open_target(p, "a", &p->target);
	p->target.replica = xmalloc(sizeof(*p->target.replica));
	open_target(p, "b", p->target.replica);
}

static void say_now(const struct place *p, unsigned now)
{
	_cleanup_(free) char *path = xasprintf("%s/now", p->from), *text = xasprintf("%u\n", now);

	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, text, strlen(text), &e));
}

/* As cmd/backup.c does it. */
static void back_up(struct place *p, unsigned level)
{
	const struct set_prune_options keep = { .full = 2, .incremental = 1, .locked = true };
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;
	struct stat st;

	CHECK_INT(stat(p->from, &st), 0);
	const struct set_source source = { .folder = p->from, .device = st.st_dev };

	CHECK_OK(set_begin(&p->target, "box", level, 32 << 10, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	CHECK_OK(set_save_filesystem(w, "root", "archive", &source, &quiet, &e));
	CHECK_OK(set_add_file(w, "RECOVER.txt", "by hand\n", 8, &e));
	CHECK_OK(set_commit(w, &name, &e));
	for (struct target *t = &p->target; t; t = t->replica) {
		_cleanup_(set_list) struct set_list gone = { 0 };

		CHECK_OK(set_prune(t, "box", &keep, &gone, &quiet, &e));
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* `us` 0: it comes to its end. True: it was killed before that. */
static bool back_up_killed(struct place *p, unsigned level, unsigned us)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		back_up(p, level);
		_exit(0);
	}
	CHECK(pid > 0);
	(void)usleep(us);
	if (us)
		(void)kill(pid, SIGKILL); /* at worst it has ended */
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0); /* nothing that it found was wrong for it */
	return WIFSIGNALED(status);
}

/* Every complete set of the place is whole; how many there are, and remains. */
static void look(struct target *t, unsigned *ret_whole, unsigned *ret_partial)
{
	struct target alone = *t;
	_cleanup_(set_list) struct set_list l = { 0 };

	alone.replica = NULL;
	*ret_whole = *ret_partial = 0;
	CHECK_OK(set_list(&alone, &l, &e));
	for (size_t i = 0; i < l.count; i++) {
		_cleanup_(set) struct set *s = NULL;

		*ret_partial += !l.items[i].complete;
		if (!l.items[i].complete)
			continue;
		CHECK_OK(set_open(&alone, "box", l.items[i].name, &s, &quiet, &e));
		CHECK_OK(set_verify(s, &quiet, &e));
		CHECK_OK(set_check_listings(s, true, &quiet, &e));
		++*ret_whole;
	}
}

/* What the newest set, with those that it goes on from, says is now. */
static unsigned restored(struct place *p)
{
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(free) char *to = xasprintf("%s/to", p->dir.path), *text = NULL;

	CHECK_OK(set_open(&p->target, "box", NULL, &s, &quiet, &e));
	CHECK_OK(set_restore_stream(s, "root", "archive", to, &quiet, &e));
	CHECK_OK(read_file_at(p->dir.fd, "to/now", 100, &text, NULL, &e));
	run(p, "for i in 1 2 3 4 5 6 7 8; do cmp from/$i to/$i; done; rm to/*");
	return (unsigned)atoi(text);
}

TEST(killed_at_any_moment)
{
	const char *given = getenv("SEED"), *matrix = getenv("MATRIX");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL), now = 0, killed = 0,
		 partials = 0;
	unsigned count = matrix && streq(matrix, "all") ? 200 : 40, whole, partial, takes = 0;
	_cleanup_(place) struct place p;

	printf("# SEED=%u\n", seed);
	place_make(&p);
	say_now(&p, now);
	back_up(&p, 0);
	for (unsigned i = 1; killed < count && i < 4 * count; i++) {
		/* one in five to its end, so that it is known how long that takes today */
		unsigned level = (unsigned)rand_r(&seed) % 2,
			 us = i % 5 == 1 ? 0 : 1 + (unsigned)rand_r(&seed) % takes;
		uint64_t begun = now_us();

		say_now(&p, i);
		bool ended = !back_up_killed(&p, level, us);

		if (!us)
			takes = (unsigned)(now_us() - begun) + 1;
		CHECK(us || ended);
		for (struct target *t = &p.target; t; t = t->replica) {
			look(t, &whole, &partial);
			CHECK(whole >= 1); /* the last good one is there */
			CHECK(partial <= 2); /* what it was at, and an old one that it was about to remove */
			CHECK(!ended || partial == 0);
			partials += partial;
		}
		unsigned got = restored(&p);

		if (got != now && got != i)
			TAP_FAIL("%u of now, neither %u nor %u", got, now, i);
		if (ended)
			CHECK_INT(got, i);
		killed += !ended;
		now = got;
	}
	printf("# %u killed, which left %u halves\n", killed, partials);
	CHECK(killed == count && partials > 0);
	back_up(&p, 0);
	look(&p.target, &whole, &partial);
	CHECK_INT(partial, 0);
	look(p.target.replica, &whole, &partial);
	CHECK_INT(partial, 0);
}

TAP_MAIN()
