/* Is every byte of a set what was written: all files hashed, on all cores. */
#include "backup/set_private.h"

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
	atomic_size_t next; /* the next file to take */
	atomic_uint_fast64_t done; /* bytes */
	struct error *errors; /* one per file; code 0: it is good */
	atomic_bool failed;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running;
};

static int hash_file(struct check *c, int fd, char hex[DIGEST_HEX_SIZE], char *buffer)
{
	_cleanup_(digest) struct digest *d = digest_new();

	for (;;) {
		ssize_t n = read(fd, buffer, block);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		digest_add(d, buffer, (size_t)n);
		atomic_fetch_add(&c->done, (uint64_t)n);
	}
	digest_hex(d, hex);
	return 0;
}

static void check_file(struct check *c, const struct sum *sum, char *buffer, struct error *e)
{
	const char *set = c->s->shown;
	char hex[DIGEST_HEX_SIZE];
	_cleanup_(fd) int fd = openat(c->s->dirfd, sum->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		if (errno == ENOENT)
			(void)error_text(e, ENOENT, "%s/%s: missing", set, sum->name);
		else
			(void)error_errno(e, errno, "%s/%s: open", set, sum->name);
		return;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
	int r = hash_file(c, fd, hex, buffer);

	if (r < 0)
		(void)error_errno(e, -r, "%s/%s: read", set, sum->name);
	else if (!streq(hex, sum->hex))
		(void)error_text(e, EBADMSG, "%s/%s: damaged: its SHA-256 is %.16s..., not %.16s...", set,
				 sum->name, hex, sum->hex);
}

static void *check_files(void *user)
{
	struct check *c = user;
	_cleanup_(free) char *buffer = xmalloc(block);

	/* Files are taken in order, so when one has failed all before it are taken: the first is known. */
	while (!atomic_load(&c->failed)) {
		size_t i = atomic_fetch_add(&c->next, 1);

		if (i >= c->s->sums.count)
			break;
		check_file(c, &c->s->sums.items[i], buffer, &c->errors[i]);
		if (c->errors[i].code)
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

		(void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail with a valid clock */
		until.tv_nsec += 100000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&c->ended, &c->lock, &until);
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

	return zst || streq(name, "machine.conf") || streq(name, "RECOVER.txt");
}

static int check_folder(const struct set *s, uint64_t *ret_size, struct error *e)
{
	int fd = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t size = 0;
	int r = 0;

	if (!d) {
		r = error_errno(e, errno, "read %s", s->shown);
		if (fd >= 0)
			(void)close(fd); /* read side */
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(d))) {
		struct stat st;

		if (is_ours(entry->d_name) && !sums_find(&s->sums, entry->d_name))
			r = error_text(e, EBADMSG, "%s/%s: not listed in %s", s->shown, entry->d_name,
				       SUMS_FILE);
		else if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_errno(e, errno, "read %s/%s", s->shown, entry->d_name);
		else if (S_ISREG(st.st_mode))
			size += (uint64_t)st.st_size;
		errno = 0;
	}
	if (r == 0 && errno)
		r = error_errno(e, errno, "read %s", s->shown);
	(void)closedir(d); /* read side */
	if (r == 0)
		*ret_size = size;
	return r;
}

/* Chunk N is listed, so 0 to N-1 are too. */
static int check_numbers(const struct set *s, struct error *e)
{
	for (size_t i = 0; i < s->sums.count; i++) {
		const char *name = s->sums.items[i].name;
		size_t n = strlen(name);
		uint64_t number;

		if (n < 8 || memcmp(name + n - 8, ".zst.", 5) != 0 || parse_u64(name + n - 3, &number) < 0 ||
		    number == 0)
			continue;
		_cleanup_(free) char *before =
			xasprintf("%.*s%03llu", (int)(n - 3), name, (unsigned long long)number - 1);

		if (!sums_find(&s->sums, before))
			return error_text(e, EBADMSG, "%s/%s: not listed in %s", s->shown, before, SUMS_FILE);
	}
	return sums_find(&s->sums, "machine.conf")
		       ? 0
		       : error_text(e, EBADMSG, "%s/machine.conf: not listed in %s", s->shown, SUMS_FILE);
}

int set_verify(struct set *s, struct report *report, struct error *e)
{
	struct check c = { .s = s, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };
	uint64_t size = 0;
	int r = check_numbers(s, e);

	if (r == 0)
		r = check_folder(s, &size, e);
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
