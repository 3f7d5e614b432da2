/* Listing modification times, and in the same walk extended attributes. */
#include "backup/times.h"

#include "backup/listing.h"
#include "backup/stream_thread.h"
#include "backup/xattrs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

struct walk_list {
	const struct set_source *source;
	pthread_mutex_t lock; /* of all that follows */
	FILE *out;
	struct strbuf record; /* the last one */
	struct strbuf *xattrs; /* records of xattrs.h */
	void (*note)(void *user, const struct walked *file, const unsigned char *xattrs);
	void *user;
};

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFBLK:
		return 'b';
	case S_IFCHR:
		return 'c';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

/* restore(8) takes its 32 bits as if there were no times before 1970. */
static bool fits_dump(const struct timespec *t)
{
	return t->tv_nsec == 0 && t->tv_sec >= 0 && t->tv_sec <= INT32_MAX;
}

/* Before 1970 the fraction counts backwards in decimal notation. */
void times_record(struct strbuf *records, const struct walked *file)
{
	const struct timespec *t = &file->st.st_mtim;
	bool back = t->tv_sec < 0 && t->tv_nsec > 0;
	long long seconds = back ? -(t->tv_sec + 1) : t->tv_sec;
	long nanoseconds = back ? 1000000000 - t->tv_nsec : t->tv_nsec;

	strbuf_printf(records, "%c %s%lld.%09ld %s", type_letter(file->st.st_mode), back ? "-" : "", seconds,
		      nanoseconds, file->path);
	strbuf_add(records, "", 1);
}

static int put(struct walk_list *l, const struct walked *file, struct error *e)
{
	l->record.len = 0;
	times_record(&l->record, file);
	return fwrite(l->record.data, l->record.len, 1, l->out) == 1
		       ? 0
		       : error_errno(e, errno, "list the times of %s", l->source->shown);
}

/* restore(8) takes a name of 255 bytes for an empty one, and still exits 0: the file is lost, or everything
 * when it is a folder. */
static int refuse_name(const struct walk_list *l, const struct walked *file, struct error *e)
{
	return error_text(
		e, ENAMETOOLONG,
		"%s/%.*s%.20s...: a name of 255 bytes, which restore(8) cannot bring back: shorten it",
		streq(l->source->shown, "/") ? "" : l->source->shown,
		(int)(strlen(file->path) - strlen(file->name)), file->path, file->name);
}

static int list_file(void *user, const struct walked *file, struct error *e)
{
	struct walk_list *l = user;
	unsigned char digest[LISTING_XATTRS];
	bool any = false;

	if (strlen(file->name) >= 255)
		return refuse_name(l, file, e);
	int r = xattrs_digest(file->dirfd, file->name, file->path, &any, digest, e);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&l->lock); /* a plain mutex that we do not hold */
	if (any) /* most have none, and to ask twice took a quarter of the walk */
		r = xattrs_list(l->xattrs, file->dirfd, file->name, file->path, e);
	if (r == 0)
		l->note(l->user, file, any ? digest : NULL);
	/* The root's own has changed when the rest is back. */
	if (r == 0 && (streq(file->path, ".") || !fits_dump(&file->st.st_mtim)))
		r = put(l, file, e);
	(void)pthread_mutex_unlock(&l->lock);
	return r;
}

static int list_files(void *user, int fd, struct error *e)
{
	struct walk_list *l = user;

	l->out = fdopen(fd, "w");
	if (!l->out) {
		(void)close(fd); /* nothing was written */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	int r = walk_filesystem_together(l->source, list_file, l, e);

	if (fclose(l->out) != 0 && r == 0)
		return error_errno(e, errno, "list the times of %s", l->source->shown);
	return r;
}

int times_save(struct set_writer *w, const char *name, const struct set_source *source, struct strbuf *xattrs,
	       void (*note)(void *user, const struct walked *file, const unsigned char *xattrs), void *user,
	       struct error *e)
{
	struct walk_list list = { .source = source,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .xattrs = xattrs,
				  .note = note,
				  .user = user };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = stream_produce(w, name, TIMES_METHOD, 0, NULL, &quiet, list_files, &list, e);

	strbuf_free(&list.record);
	return r;
}
