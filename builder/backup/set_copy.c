/* A set that lies in several places, on servers that come and go. */
#include "backup/set_private.h"
#include "backup/tape.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

enum {
	wait_max = 30, /* seconds between two tries */
	failures_max = 5, /* of one place of a file, with a server that is there each time */
};

char *set_copy_shown(const struct set *s, size_t copy)
{
	return s->copy_count > 1 ? xasprintf("%s: %s", s->copies[copy].target->shown, s->shown)
				 : xstrdup(s->shown);
}

int set_copy_next(struct set *s, unsigned tried)
{
	int found = -1;

	(void)pthread_mutex_lock(&s->lock); /* a plain mutex that we do not hold, here and below */
	for (int pass = 0; pass < 2 && found < 0; pass++)
		for (size_t i = 0; i < s->copy_count && found < 0; i++)
			if (!(tried >> i & 1) && (pass || !s->copies[i].gone))
				found = (int)i;
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

size_t set_copy_of(struct set *s, const struct sum *sum)
{
	unsigned whole = s->whole[sum - s->sums.items];

	return whole ? whole - 1 : (size_t)set_copy_next(s, 0);
}

/* ---- servers that go away ---- */

bool network_failed(int code)
{
	static const int codes[] = { EIO,       ESTALE,       EHOSTDOWN, EHOSTUNREACH, ENETDOWN,  ENETUNREACH,
				     ETIMEDOUT, ECONNRESET,   ENOTCONN,  ECONNABORTED, EREMOTEIO, EAGAIN,
				     EPIPE,     ECONNREFUSED, ESHUTDOWN, ENETRESET };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* Called with the lock. */
static int open_again(struct set *s, struct set_copy *copy, struct report *report, struct error *e)
{
	int r = target_reopen(copy->target, report, e);

	if (r < 0)
		return r;
	int fd = openat(copy->target->dirfd, s->shown, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_errno(e, errno, "open %s/%s", copy->target->shown, s->shown);
	(void)close(copy->dirfd); /* read side */
	copy->dirfd = fd;
	copy->opened++;
	copy->gone = false;
	return 0;
}

static bool another_answers(const struct set *s, size_t copy)
{
	for (size_t i = 0; i < s->copy_count; i++)
		if (i != copy && !s->copies[i].gone)
			return true;
	return false;
}

static unsigned seconds_since(const struct timespec *then)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	return (unsigned)(now.tv_sec - then->tv_sec);
}

/* Looks whether this copy's server is back, or that of another one, which is as good. 0: this one is. */
static int open_any(struct set *s, size_t copy, bool *ret_other, struct report *report, struct error *e)
{
	int r = open_again(s, &s->copies[copy], report, e);

	for (size_t i = 0; r < 0 && i < s->copy_count && !*ret_other; i++) {
		struct error other;

		if (i == copy || open_again(s, &s->copies[i], report, &other) < 0)
			continue;
		s->copies[copy].gone = true;
		*ret_other = true;
	}
	return r;
}

/* Tries the servers until one is back; whoever else reads from this set waits as well. Called with the lock. */
static int wait_for(struct set *s, size_t copy, unsigned failures, struct report *report, struct error *e)
{
	unsigned limit = s->copies[copy].target->options.retry, wait = 1U << (failures < 4 ? failures : 4);
	struct timespec begun;
	bool other = false;
	int r = -e->code;

	(void)clock_gettime(CLOCK_MONOTONIC, &begun); /* cannot fail with a valid clock */
	while (r < 0 && !other) {
		const struct error why = *e;
		unsigned over = seconds_since(&begun);

		if (over >= limit)
			return limit ? error_text(e, why.code, "%.900s (given up after %u seconds)", why.text,
						  over)
				     : -why.code;
		if (wait > limit - over)
			wait = limit - over;
		report_warn(report, "%s: trying again in %u second%s", why.text, wait, wait == 1 ? "" : "s");
		(void)sleep(wait); /* cut short is as good */
		wait = wait * 2 > wait_max ? wait_max : wait * 2;
		r = open_any(s, copy, &other, report, e);
	}
	if (r == 0)
		report_info(report, "%s is back: going on", s->copies[copy].target->shown);
	return r;
}

/* The file could not be read because of what `e` says. 0: look again. */
static int recover(struct set_file *f, struct report *report, struct error *e)
{
	struct set *s = f->s;
	struct set_copy *copy = &s->copies[f->copy];
	int r = -e->code;

	if (!target_is_remote(copy->target) || !network_failed(e->code) || ++f->failures > failures_max)
		return r;
	(void)pthread_mutex_lock(&s->lock);
	if (copy->opened != f->opened) {
		r = 0; /* somebody else has opened it again meanwhile */
	} else if (another_answers(s, f->copy)) {
		copy->gone = true;
	} else {
		r = wait_for(s, f->copy, f->failures - 1, report, e);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- reading a file ---- */

static int fail(const struct set_file *f, int code, const char *attempt, struct error *e)
{
	_cleanup_(free) char *shown = set_copy_shown(f->s, f->copy);

	if (code == ENOENT)
		return error_text(e, ENOENT, "%s/%s: missing", shown, f->name);
	return error_errno(e, code, "%s/%s: %s", shown, f->name, attempt);
}

static int open_on_tape(struct set_file *f, const struct set_copy *copy, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", f->s->shown, f->name);
	const struct tape_file *file = tape_find(copy->target->tape, path);

	if (!file)
		return fail(f, ENOENT, "open", e);
	f->at = file->at;
	f->size = file->size;
	f->fd = fcntl(copy->dirfd, F_DUPFD_CLOEXEC, 3);
	return f->fd < 0 ? fail(f, errno, "open", e) : 0;
}

static int open_now(struct set_file *f, struct error *e)
{
	struct set_copy *copy = &f->s->copies[f->copy];

	set_file_close(f);
	if (copy->target->tape)
		return open_on_tape(f, copy, e);
	f->at = 0;
	f->size = UINT64_MAX;
	(void)pthread_mutex_lock(&f->s->lock);
	f->fd = openat(copy->dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int code = errno;

	f->opened = copy->opened;
	(void)pthread_mutex_unlock(&f->s->lock);
	if (f->fd < 0)
		return fail(f, code, "open", e);
	(void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
	return 0;
}

int set_file_open(struct set *s, size_t copy, const char *name, uint64_t offset, struct set_file *ret,
		  struct report *report, struct error *e)
{
	struct set_file f = { .s = s, .copy = copy, .name = name, .fd = -1, .offset = offset };
	int r;

	while ((r = open_now(&f, e)) < 0)
		if (recover(&f, report, e) < 0)
			return r;
	*ret = f;
	return 0;
}

ssize_t set_file_read(struct set_file *f, void *data, size_t len, struct report *report, struct error *e)
{
	for (;;) {
		int r = f->fd < 0 ? open_now(f, e) : 0;
		uint64_t left = f->size - f->offset;
		ssize_t n = r < 0 ? r
				  : pread_full(f->fd, data, len < left ? len : (size_t)left,
					       (off_t)(f->at + f->offset));

		if (n >= 0) {
			f->failures = 0;
			f->offset += (uint64_t)n;
			return n;
		}
		if (r == 0)
			(void)fail(f, (int)-n, "read", e);
		if (recover(f, report, e) < 0)
			return -e->code;
		set_file_close(f);
	}
}

int set_file_size(struct set_file *f, uint64_t *ret, struct error *e)
{
	struct stat st;

	if (f->s->copies[f->copy].target->tape) {
		*ret = f->size;
		return 0;
	}
	if (fstat(f->fd, &st) < 0)
		return fail(f, errno, "read", e);
	*ret = (uint64_t)st.st_size;
	return 0;
}

void set_file_close(struct set_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd); /* read side */
	f->fd = -1;
}

/* ---- which copy is whole ---- */

static int check_copy(struct set *s, size_t copy, const struct sum *sum, char *buffer, size_t size,
		      atomic_uint_fast64_t *done, struct report *report, struct error *e)
{
	_cleanup_(set_file) struct set_file f = SET_FILE_NONE;
	_cleanup_(digest) struct digest *d = digest_new();
	_cleanup_(free) char *shown = set_copy_shown(s, copy);
	char hex[DIGEST_HEX_SIZE];
	ssize_t n;
	int r = set_file_open(s, copy, sum->name, 0, &f, report, e);

	if (r < 0)
		return r;
	while ((n = set_file_read(&f, buffer, size, report, e)) > 0) {
		digest_add(d, buffer, (size_t)n);
		if (done)
			atomic_fetch_add(done, (uint64_t)n);
	}
	if (n < 0)
		return (int)n;
	digest_hex(d, hex);
	return streq(hex, sum->hex)
		       ? 0
		       : error_text(e, EBADMSG, "%s/%s: damaged: its SHA-256 is %.16s..., not %.16s...",
				    shown, sum->name, hex, sum->hex);
}

int set_copy_after(struct set *s, size_t failed, unsigned *tried)
{
	unsigned gone_before = 1U << (failed + SET_COPIES_MAX);

	(void)pthread_mutex_lock(&s->lock);
	/* One whose server only went away may be back when the others have failed as well: it gets a second chance. */
	if (s->copies[failed].gone && !(*tried & gone_before))
		*tried |= gone_before;
	else
		*tried |= 1U << failed;
	(void)pthread_mutex_unlock(&s->lock);
	return set_copy_next(s, *tried);
}

int set_find_whole(struct set *s, const struct sum *sum, char *buffer, size_t size,
		   atomic_uint_fast64_t *done, struct report *report, struct error *e)
{
	struct error first = { 0 };
	unsigned tried = 0;

	for (int copy = set_copy_next(s, 0); copy >= 0; copy = set_copy_after(s, (size_t)copy, &tried)) {
		struct error why;

		if (check_copy(s, (size_t)copy, sum, buffer, size, done, report, &why) == 0) {
			if (first.code)
				report_warn(report, "%s: taken from %s", first.text,
					    s->copies[copy].target->shown);
			s->whole[sum - s->sums.items] = (unsigned)copy + 1;
			return 0;
		}
		if (!first.code)
			first = why;
	}
	*e = first;
	return -e->code;
}
