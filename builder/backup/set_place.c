/* One place in which a set is written: a folder HOST/NAME.partial of a target, until it is complete. */
#include "backup/set_private.h"
#include "backup/tape.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

enum {
	flush_every = 32 << 20, /* bytes after which the kernel is asked to start writing */
	keep_max = 16 << 20, /* bytes after which a server has to have them on its disk */
};

int flush_folder(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP)
		return 0;
	return -errno;
}

/* What killed backups left. The lock is held: nobody is writing these. */
static int remove_leftovers(const struct set_place *p, struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	bool complete;
	int r = set_read_folder(p->hostfd, ".", p->shown, &names, e);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		if (!set_folder_name(names.items[i], NULL, &complete) || complete)
			continue;
		r = remove_tree_at(p->hostfd, names.items[i], e);
		if (r < 0)
			error_prefix(e, "%s", p->shown);
		else
			report_info(report, "removed %s/%s, left by a backup that was killed", p->shown,
				    names.items[i]);
	}
	return r;
}

static int open_host(const struct target *target, const char *host, struct set_place *p, struct error *e)
{
	if (mkdirat(target->dirfd, host, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "write to %s", target->shown);
	p->hostfd = openat(target->dirfd, host, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return p->hostfd < 0 ? error_errno(e, errno, "open %s", p->shown) : 0;
}

/* target_open() holds it exclusively. */
static int open_tape(struct set_place *p)
{
	p->tape = xcalloc(1, sizeof(*p->tape));
	p->tape->fd = -1;
	return 0;
}

static int tape_error(const struct set_place *p, const char *name, struct error *e)
{
	error_prefix(e, "write %s%s%s", p->shown, *name ? "/" : "", name);
	return -e->code;
}

static void note_newest(char **newest, const char *name)
{
	if (!set_folder_name(name, NULL, NULL) || (*newest && strcmp(*newest, name) >= 0))
		return;
	free(*newest);
	*newest = xstrdup(name);
}

static void newest_on_tape(const struct set_place *p, char **ret)
{
	_cleanup_(free) char *host = xasprintf("%s/", strrchr(p->shown, '/') + 1);

	for (size_t i = 0; i < p->target->tape->count; i++) {
		const char *name = str_after(p->target->tape->files[i].path, host);
		_cleanup_(free) char *set = name ? xstrndup(name, strcspn(name, "/")) : NULL;

		if (set)
			note_newest(ret, set);
	}
}

int set_place_open(const struct target *target, const char *host, struct set_place *ret,
		   struct report *report, struct error *e)
{
	struct set_place p = { .hostfd = -1, .dirfd = -1, .lockfd = -1, .fd = -1 };

	p.shown = xasprintf("%s/%s", target->shown, host);
	p.target = target;
	p.report = report;
	int r = target->tape ? open_tape(&p) : open_host(target, host, &p, e);

	if (r == 0 && !p.tape)
		r = host_lock(p.hostfd, p.shown, &p.lockfd, e);
	if (r == 0 && !p.tape)
		r = remove_leftovers(&p, report, e);
	if (r < 0)
		set_place_close(&p);
	else
		*ret = p;
	return r;
}

int set_place_newest(const struct set_place *p, char **ret, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	_cleanup_(free) char *newest = NULL;
	int r = 0;

	if (p->tape)
		newest_on_tape(p, &newest);
	else
		r = set_read_folder(p->hostfd, ".", p->shown, &names, e);
	for (size_t i = 0; i < names.count; i++)
		note_newest(&newest, names.items[i]);
	if (r == 0)
		*ret = TAKE_PTR(newest);
	return r;
}

/* ---- servers that go away ---- */

struct patience {
	struct timespec begun;
	unsigned tries;
};

/* What was tried in this place has failed: is it to be tried again, now that a while has passed? */
static bool try_again(const struct set_place *p, struct patience *t, struct error *e)
{
	enum { wait_max = 30, tries_shown = 5 }; /* seconds */
	unsigned limit = p->target->options.retry,
		 wait = 1U << (t->tries < tries_shown ? t->tries : tries_shown);
	struct timespec now;

	if (!target_is_remote(p->target) || !network_failed(e->code) || !limit)
		return false;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	if (!t->tries++)
		t->begun = now;
	unsigned over = (unsigned)(now.tv_sec - t->begun.tv_sec);

	if (over >= limit) {
		const struct error why = *e;

		(void)error_text(e, why.code, "%.900s (given up after %u seconds)", why.text, over);
		return false;
	}
	wait = wait > wait_max ? wait_max : wait;
	wait = wait > limit - over ? limit - over : wait;
	report_warn(p->report, "%s: trying again in %u second%s", e->text, wait, wait == 1 ? "" : "s");
	(void)sleep(wait); /* cut short is as good */
	return true;
}

/* It has worked in the end. */
static void tell_back(const struct set_place *p, const struct patience *t)
{
	if (t->tries)
		report_info(p->report, "%s is back: going on", p->target->shown);
}

/* ---- its folder ---- */

int set_place_begin(struct set_place *p, const char *name, struct error *e)
{
	_cleanup_(free) char *partial = xasprintf("%s" PARTIAL_SUFFIX, name);

	if (p->tape) {
		tape_begin(p->tape, p->target->dirfd, p->target->tape, strrchr(p->shown, '/') + 1, name);
		return 0;
	}
	if (mkdirat(p->hostfd, partial, 0700) < 0)
		return error_errno(e, errno, "make %s/%s", p->shown, partial);
	p->partial = TAKE_PTR(partial);
	p->dirfd = openat(p->hostfd, p->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->dirfd < 0 ? error_errno(e, errno, "open %s/%s", p->shown, p->partial) : 0;
}

/* ---- a file ---- */

static int file_error(const struct set_place *p, int code, struct error *e)
{
	return error_errno(e, code, "write %s/%s/%s", p->shown, p->partial, p->file);
}

int set_place_file(struct set_place *p, const char *name, struct error *e)
{
	struct patience patience = { 0 };
	int r;

	free(p->file);
	p->file = xstrdup(name);
	if (p->tape)
		return tape_file_begin(p->tape, e) < 0 ? tape_error(p, name, e) : 0;
	p->len = p->flushed = 0;
	do {
		/* one that failed may have made it all the same */
		if (patience.tries)
			(void)unlinkat(p->dirfd, name, 0);
		p->fd = openat(p->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		r = p->fd < 0 ? file_error(p, errno, e) : 0;
	} while (r < 0 && try_again(p, &patience, e));
	if (r == 0)
		tell_back(p, &patience);
	return r;
}

/* All that the kernel has of the file is on the disk of the server. The kernel gives up what it could not send, and says so
 * once: then that is written again. `code`: what a write before has failed with, 0: nothing. */
static int flush_kept(struct set_place *p, int code, struct error *e)
{
	struct patience patience = { 0 };

	if (!code && fsync(p->fd) < 0)
		code = errno;

	while (code) {
		(void)file_error(p, code, e);
		if (!p->kept || !try_again(p, &patience, e))
			return -e->code;
		int r = pwrite_all(p->fd, p->kept, (size_t)(p->len - p->flushed), (off_t)p->flushed);

		code = r < 0 ? -r : fsync(p->fd) < 0 ? errno : 0;
	}
	tell_back(p, &patience);
	p->flushed = p->len;
	return 0;
}

/* What the kernel takes now it may fail to send later. */
static int write_kept(struct set_place *p, const char *data, size_t len, struct error *e)
{
	int r = 0;

	if (!p->kept)
		p->kept = xmalloc(keep_max);
	while (r == 0 && len > 0) {
		size_t room = keep_max - (size_t)(p->len - p->flushed), n = len < room ? len : room;
		uint64_t at = p->len;

		memcpy(p->kept + (at - p->flushed), data, n);
		p->len += n;
		data += n;
		len -= n;
		r = pwrite_all(p->fd, p->kept + (at - p->flushed), n, (off_t)at);
		if (r < 0 && !network_failed(-r))
			r = file_error(p, -r, e);
		else if (r < 0 || p->len - p->flushed == keep_max)
			r = flush_kept(p, -r, e);
	}
	return r;
}

int set_place_write(struct set_place *p, const void *data, size_t len, struct error *e)
{
	if (p->tape)
		return tape_write(p->tape, data, len, e) < 0 ? tape_error(p, p->file, e) : 0;
	if (target_is_remote(p->target))
		return write_kept(p, data, len, e);
	int r = write_all(p->fd, data, len);

	if (r < 0)
		return file_error(p, -r, e);
	p->len += len;
	if (p->len - p->flushed >= flush_every) {
		/* So that the fsync at the end finds little left. Where it is not supported, fsync does all. */
		(void)sync_file_range(p->fd, (off_t)p->flushed, (off_t)(p->len - p->flushed),
				      SYNC_FILE_RANGE_WRITE);
		p->flushed = p->len;
	}
	return 0;
}

int set_place_file_end(struct set_place *p, struct error *e)
{
	if (p->tape)
		return tape_file_end(p->tape, p->file, e) < 0 ? tape_error(p, p->file, e) : 0;
	int r = flush_kept(p, 0, e);

	if (r < 0)
		return r;
	/* What was flushed is there, whatever a server that goes away now says. */
	return close(TAKE_FD(p->fd)) < 0 && !network_failed(errno) ? file_error(p, errno, e) : 0;
}

/* ---- the end ---- */

static int rename_partial(const struct set_place *p, const char *name)
{
	struct stat st;

	if (renameat(p->hostfd, p->partial, p->hostfd, name) == 0)
		return 0;
	int code = errno;

	/* one that failed may have been done all the same: nobody else gives it this name */
	return code == ENOENT && fstatat(p->hostfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -code;
}

int set_place_commit(struct set_place *p, const char *name, struct error *e)
{
	struct patience patience = { 0 };
	int r;

	if (p->tape)
		return tape_commit(p->tape, e) < 0 ? tape_error(p, "", e) : 0;
	do {
		r = flush_folder(p->dirfd);
		if (r < 0)
			r = error_errno(e, -r, "write %s/%s", p->shown, p->partial);
	} while (r < 0 && try_again(p, &patience, e));
	if (r < 0)
		return r;
	(void)close(TAKE_FD(p->dirfd)); /* read side; SMB renames no folder that is held open */
	do {
		r = rename_partial(p, name);
		if (r < 0)
			r = error_errno(e, -r, "rename %s/%s", p->shown, p->partial);
	} while (r < 0 && try_again(p, &patience, e));
	if (r < 0)
		return r;
	free(TAKE_PTR(p->partial));
	do {
		r = flush_folder(p->hostfd);
		if (r < 0)
			r = error_errno(e, -r, "write %s", p->shown);
	} while (r < 0 && try_again(p, &patience, e));
	if (r == 0)
		tell_back(p, &patience);
	return r;
}

void set_place_close(struct set_place *p)
{
	if (p->fd >= 0)
		(void)close(p->fd); /* of a set that is thrown away */
	if (p->dirfd >= 0)
		(void)close(p->dirfd); /* read side */
	if (p->partial)
		/* What cannot be removed now, the next backup removes. */
		(void)remove_tree_at(p->hostfd, p->partial, NULL);
	if (p->lockfd >= 0)
		(void)close(p->lockfd); /* ends the lock */
	if (p->hostfd >= 0)
		(void)close(p->hostfd); /* read side */
	if (p->tape)
		tape_writer_free(p->tape); /* what was not committed lies behind the end mark */
	free(p->tape);
	free(p->partial);
	free(p->kept);
	free(p->file);
	free(p->shown);
	*p = (struct set_place) { .hostfd = -1, .dirfd = -1, .lockfd = -1, .fd = -1 };
}
