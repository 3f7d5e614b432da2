/* Writing a set: its folder under a temporary name, small files, the sums, the rename. */
#include "backup/set_private.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

int flush_folder(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP)
		return 0;
	return -errno;
}

/* What killed backups left. The lock is held: nobody is writing these. */
static int remove_leftovers(int hostfd, const char *shown, struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	bool complete;
	int r = set_read_folder(hostfd, ".", shown, &names, e);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		if (!set_folder_name(names.items[i], NULL, &complete) || complete)
			continue;
		r = remove_tree_at(hostfd, names.items[i], e);
		if (r < 0)
			error_prefix(e, "%s", shown);
		else
			report_info(report, "removed %s/%s, left by a backup that was killed", shown,
				    names.items[i]);
	}
	return r;
}

/* Makes the folder. Its name is the second; when a set of this second is there already, the next one. */
static int make_folder(struct set_writer *w, unsigned level, struct error *e)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	struct stat st;

	for (;;) {
		time_t now = time(NULL);
		struct tm tm;
		char stamp[32];

		if (!gmtime_r(&now, &tm) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm))
			return error_text(e, EOVERFLOW, "%s: the clock cannot be right", w->shown);
		_cleanup_(free) char *name = xasprintf("%s-%u", stamp, level);
		_cleanup_(free) char *partial = xasprintf("%s" PARTIAL_SUFFIX, name);

		if (fstatat(w->hostfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			(void)nanosleep(&moment, NULL); /* cut short is as good */
			continue;
		}
		if (mkdirat(w->hostfd, partial, 0700) < 0)
			return error_errno(e, errno, "make %s/%s", w->shown, partial);
		w->name = TAKE_PTR(name);
		w->partial = TAKE_PTR(partial);
		break;
	}
	w->dirfd = openat(w->hostfd, w->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return w->dirfd < 0 ? error_errno(e, errno, "open %s/%s", w->shown, w->partial) : 0;
}

static int open_host(const struct target *target, const char *host, struct set_writer *w, struct error *e)
{
	if (!set_name_good(host))
		return error_text(e, EINVAL, "host name '%s': expected letters, digits, '.', '-' and '_'",
				  host);
	w->shown = xasprintf("%s/%s", target->shown, host);
	if (mkdirat(target->dirfd, host, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "write to %s", target->shown);
	w->hostfd = openat(target->dirfd, host, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return w->hostfd < 0 ? error_errno(e, errno, "open %s", w->shown) : 0;
}

int set_begin(const struct target *target, const char *host, unsigned level, uint64_t chunk_size,
	      struct set_writer **ret, struct report *report, struct error *e)
{
	_cleanup_(set_writer) struct set_writer *w = xcalloc(1, sizeof(*w));

	*w = (struct set_writer) { .hostfd = -1, .dirfd = -1, .lockfd = -1, .chunk_size = chunk_size };
	int r = open_host(target, host, w, e);

	if (r == 0)
		r = host_lock(w->hostfd, w->shown, &w->lockfd, e);
	if (r == 0)
		r = remove_leftovers(w->hostfd, w->shown, report, e);
	if (r == 0)
		r = make_folder(w, level, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

int set_add_file(struct set_writer *w, const char *name, const void *data, size_t len, struct error *e)
{
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];

	if (!set_name_good(name) || sums_find(&w->sums, name))
		return error_text(e, EINVAL, "%s/%s: no good name for a file of a set", w->shown, name);
	int r = write_file_at(w->dirfd, name, 0600, data, len, e);

	if (r < 0) {
		error_prefix(e, "%s", w->shown);
		return r;
	}
	digest_add(d, data, len);
	digest_hex(d, hex);
	sums_add(&w->sums, name, hex);
	return 0;
}

void set_written(const struct set_writer *w, uint64_t *ret_plain, uint64_t *ret_packed)
{
	*ret_plain = w->plain;
	*ret_packed = w->packed;
}

const char *set_writer_name(const struct set_writer *w)
{
	return w->name;
}

void set_writer_files(const struct set_writer *w, struct strlist *ret)
{
	for (size_t i = 0; i < w->sums.count; i++)
		strlist_add(ret, w->sums.items[i].name);
}

int set_commit(struct set_writer *w, char **ret_name, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	sums_format(&w->sums, &text);
	int r = write_file_at(w->dirfd, SUMS_FILE, 0600, text.data, text.len, e);

	if (r < 0) {
		error_prefix(e, "%s", w->shown);
		return r;
	}
	r = flush_folder(w->dirfd);
	if (r < 0)
		return error_errno(e, -r, "write %s/%s", w->shown, w->partial);
	(void)close(TAKE_FD(w->dirfd)); /* read side; SMB renames no folder that is held open */
	if (renameat(w->hostfd, w->partial, w->hostfd, w->name) < 0)
		return error_errno(e, errno, "rename %s/%s", w->shown, w->partial);
	free(TAKE_PTR(w->partial));
	r = flush_folder(w->hostfd);
	if (r < 0)
		return error_errno(e, -r, "write %s", w->shown);
	*ret_name = xstrdup(w->name);
	return 0;
}

void set_abort(struct set_writer *w)
{
	if (!w)
		return;
	if (w->dirfd >= 0)
		(void)close(w->dirfd); /* read side */
	if (w->partial)
		/* What cannot be removed now, the next backup removes. */
		(void)remove_tree_at(w->hostfd, w->partial, NULL);
	if (w->lockfd >= 0)
		(void)close(w->lockfd); /* ends the lock */
	if (w->hostfd >= 0)
		(void)close(w->hostfd); /* read side */
	sums_free(&w->sums);
	free(w->name);
	free(w->partial);
	free(w->shown);
	free(w);
}
