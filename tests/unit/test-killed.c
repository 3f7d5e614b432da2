/* A backup that is killed at random moments, in two places at a time, as a full set or a level, removing old ones at its end: each place has the
 * old state or a whole new set besides, and the next backup clears away what it left. SEED=N tries the same moments again, as far
 * as moments can be the same; MATRIX=all tries 200. */
#include "set-lab.h"

#include <fcntl.h>
#include <time.h>

/* Two targets. */
static void make(struct place *p)
{
	place_make(
		p, "a",
		"mkdir from a b to; for i in 1 2 3 4 5 6 7 8; do head -c 60000 /dev/urandom >from/$i; done");
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
	free(save_from(p, level, 32 << 10));
	for (struct target *t = &p->target; t; t = t->replica) {
		_cleanup_(set_list) struct set_list gone = { 0 };

		CHECK_OK(set_prune(t, "box", &keep, &gone, &quiet, &e));
	}
}

/* A set is named by the second, so that one that is begun within the second of the newest waits for the next: most kills would
 * strike while nothing is done yet. */
static void let_second_pass(struct place *p)
{
	_cleanup_(set_list) struct set_list l = { 0 };
	char stamp[SET_STAMP_SIZE];

	CHECK_OK(set_list(&p->target, &l, &e));
	for (;;) {
		time_t now = time(NULL);
		struct tm tm;

		CHECK(gmtime_r(&now, &tm) && strftime(stamp, sizeof(stamp), SET_STAMP, &tm));
		/* the last is the newest */
		if (l.count == 0 || strncmp(stamp, l.items[l.count - 1].name, SET_STAMP_SIZE - 1) > 0)
			return;
		(void)usleep(5000);
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
	_cleanup_(free) char *text = NULL;

	CHECK_OK(set_open(&p->target, "box", NULL, &s, &quiet, &e));
	CHECK_OK(set_restore_stream(s, "root", "archive", p->to, &quiet, &e));
	CHECK_OK(read_file_at(p->dir.fd, "to/now", 100, &text, NULL, &e));
	run(p, "for i in 1 2 3 4 5 6 7 8; do cmp from/$i to/$i; done; rm to/*");
	return (unsigned)atoi(text);
}

TEST(killed_at_any_moment)
{
	const char *given = getenv("SEED"), *matrix = getenv("MATRIX");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL), now = 0, killed = 0,
		 partials = 0;
	unsigned count = matrix && streq(matrix, "all") ? 200 : 20, whole, partial, takes = 0;
	_cleanup_(place) struct place p;

	printf("# SEED=%u\n", seed);
	make(&p);
	say_now(&p, now);
	back_up(&p, 0);
	for (unsigned i = 1; killed < count && i < 4 * count; i++) {
		/* one in five to its end, so that it is known how long that takes today */
		unsigned level = (unsigned)rand_r(&seed) % 2,
			 us = i % 5 == 1 ? 0 : 1 + (unsigned)rand_r(&seed) % takes;

		say_now(&p, i);
		let_second_pass(&p);
		uint64_t begun = now_us();
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
