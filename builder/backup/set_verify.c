/* Is every byte of a set what was written: all files hashed, on all cores. */
#include "backup/age.h"
#include "backup/set_private.h"
#include "backup/tape.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

enum { block = 1 << 20, threads_max = 64 };

struct check {
	struct set *s;
	struct report *report;
	atomic_size_t next; /* the next file to take */
	atomic_uint_fast64_t done; /* bytes */
	struct error *errors; /* one per file; code 0: it is good */
	atomic_bool failed;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
};

static void *check_files(void *user)
{
	struct check *c = user;
	_cleanup_(free) char *buffer = xmalloc(block);

	/* Files are taken in order, so when one has failed all before it are taken: the first is known. */
	while (!atomic_load(&c->failed)) {
		size_t i = atomic_fetch_add(&c->next, 1);

		if (i >= c->s->sums.count)
			break;
		if (set_find_whole(c->s, &c->s->sums.items[i], buffer, block, &c->done, c->report,
				   &c->errors[i]) < 0)
			atomic_store(&c->failed, true);
	}
	(void)pthread_mutex_lock(&c->lock);
	c->running--;
	(void)pthread_cond_signal(&c->ended);
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Waits for all threads, and shows how far they are meanwhile. */
static void wait_for_all(struct check *c, struct report *report)
{
	(void)pthread_mutex_lock(&c->lock);
	while (c->running > 0) {
		struct timespec until;

		(void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail with a valid clock */
		until.tv_nsec += 100000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)pthread_cond_clockwait(&c->ended, &c->lock, CLOCK_MONOTONIC, &until);
		report_progress(report, atomic_load(&c->done));
	}
	(void)pthread_mutex_unlock(&c->lock);
}

static int check_contents(struct check *c, struct report *report, struct error *e)
{
	pthread_t threads[threads_max];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = cores < 1 ? 1 : cores > threads_max ? threads_max : (size_t)cores, started = 0;
	int code = 0;

	if (wanted > c->s->sums.count)
		wanted = c->s->sums.count;
	c->running = (unsigned)wanted;
	for (; started < wanted; started++) {
		code = pthread_create(&threads[started], NULL, check_files, c);
		if (code)
			break;
	}
	(void)pthread_mutex_lock(&c->lock);
	c->running -= (unsigned)(wanted - started);
	(void)pthread_mutex_unlock(&c->lock);
	wait_for_all(c, report);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL); /* ours, joinable, once */
	if (code && started == 0)
		return error_errno(e, code, "start a thread");
	for (size_t i = 0; i < c->s->sums.count; i++)
		if (c->errors[i].code) {
			*e = c->errors[i];
			return -e->code;
		}
	return 0;
}

/* ---- what is there but not listed ---- */

/* Ours by its name: a file that a complete SHA256SUMS lists. */
static bool is_ours(const char *name)
{
	const char *zst = strstr(name, ".zst");

	return zst || streq(name, "machine.conf") || streq(name, "RECOVER.txt") || streq(name, LEVELS_FILE);
}

static int check_tape(const struct set *s, const struct tape *t, const char *shown, uint64_t *ret_size,
		      struct error *e)
{
	_cleanup_(free) char *folder = xasprintf("%s/", s->shown);
	uint64_t size = 0;

	for (size_t i = 0; i < t->count; i++) {
		const char *name = str_after(t->files[i].path, folder);

		if (!name || !*name)
			continue;
		if (is_ours(name) && !sums_find(&s->sums, name))
			return error_text(e, EBADMSG, "%s/%s: not listed in %s", shown, name, SUMS_FILE);
		size += t->files[i].size;
	}
	*ret_size = size;
	return 0;
}

static int check_folder(const struct set *s, size_t copy, uint64_t *ret_size, struct error *e)
{
	_cleanup_(free) char *shown = set_copy_shown(s, copy);
	const struct tape *tape = s->copies[copy].target->tape;

	if (tape)
		return check_tape(s, tape, shown, ret_size, e);
	int fd = openat(s->copies[copy].dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t size = 0;
	int r = 0;

	if (!d) {
		r = error_errno(e, errno, "read %s", shown);
		if (fd >= 0)
			(void)close(fd); /* read side */
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(d))) {
		struct stat st;

		if (is_ours(entry->d_name) && !sums_find(&s->sums, entry->d_name))
			r = error_text(e, EBADMSG, "%s/%s: not listed in %s", shown, entry->d_name,
				       SUMS_FILE);
		else if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_errno(e, errno, "read %s/%s", shown, entry->d_name);
		else if (S_ISREG(st.st_mode))
			size += (uint64_t)st.st_size;
		errno = 0;
	}
	if (r == 0 && errno)
		r = error_errno(e, errno, "read %s", shown);
	(void)closedir(d); /* read side */
	if (r == 0)
		*ret_size = size;
	return r;
}

/* Something foreign in one place is that one's fault; in the only one, it is the set's. */
static int check_folders(const struct set *s, uint64_t *ret_size, struct report *report, struct error *e)
{
	struct error last = { 0 };
	bool good = false;

	for (size_t i = 0; i < s->copy_count; i++) {
		if (check_folder(s, i, ret_size, &last) == 0)
			good = true;
		else if (s->copy_count > 1)
			report_warn(report, "%s", last.text);
	}
	if (good)
		return 0;
	*e = last;
	return -last.code;
}

/* Chunk N is listed, so 0 to N-1 are too. */
static int check_numbers(const struct set *s, struct error *e)
{
	for (size_t i = 0; i < s->sums.count; i++) {
		const char *name = s->sums.items[i].name, *suffix = chunk_is_sealed(name) ? AGE_SUFFIX : "";
		size_t n = strlen(name) - strlen(suffix);
		_cleanup_(free) char *plain = xstrndup(name, n);
		uint64_t number;

		if (n < 8 || memcmp(name + n - 8, ".zst.", 5) != 0 || parse_u64(plain + n - 3, &number) < 0 ||
		    number == 0)
			continue;
		_cleanup_(free) char *before =
			xasprintf("%.*s%03llu%s", (int)(n - 3), name, (unsigned long long)number - 1, suffix);

		if (!sums_find(&s->sums, before))
			return error_text(e, EBADMSG, "%s/%s: not listed in %s", s->shown, before, SUMS_FILE);
	}
	return sums_find(&s->sums, "machine.conf")
		       ? 0
		       : error_text(e, EBADMSG, "%s/machine.conf: not listed in %s", s->shown, SUMS_FILE);
}

int set_verify(struct set *s, struct report *report, struct error *e)
{
	struct check c = {
		.s = s, .report = report, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER
	};
	uint64_t size = 0;
	int r = check_numbers(s, e);

	if (r == 0)
		r = check_folders(s, &size, report, e);
	if (r < 0)
		return r;
	_cleanup_(free) struct error *errors = xcalloc(s->sums.count, sizeof(*errors));
	_cleanup_(free) char *what = xasprintf("verify %s", s->shown);

	c.errors = errors;
	report_begin(report, what, size);
	r = check_contents(&c, report, e);
	report_end(report);
	return r;
}
