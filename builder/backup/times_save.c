/* Listing modification times. */
#include "backup/times.h"

#include "backup/stream_thread.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

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

/* Before 1970 the fraction counts backwards in decimal notation. */
void times_record(struct strbuf *records, mode_t mode, const struct timespec *mtime, const char *path)
{
	bool back = mtime->tv_sec < 0 && mtime->tv_nsec > 0;
	long long seconds = back ? -(mtime->tv_sec + 1) : mtime->tv_sec;
	long nanoseconds = back ? 1000000000 - mtime->tv_nsec : mtime->tv_nsec;

	strbuf_printf(records, "%c %s%lld.%09ld %s", type_letter(mode), back ? "-" : "", seconds, nanoseconds,
		      path);
	strbuf_add(records, "", 1);
}

struct writing {
	const struct listing_source *source;
	bool (*keeps_time)(const struct listed *f);
	FILE *out;
	struct strbuf record; /* the last one */
};

static int put(void *user, const struct listed *f, struct error *e)
{
	struct writing *w = user;
	const char *below = str_after(f->path, "./");

	if (w->keeps_time(f))
		return 0;
	w->record.len = 0;
	times_record(&w->record, f->mode, &f->mtime, below ? below : f->path);
	return fwrite(w->record.data, w->record.len, 1, w->out) == 1 ? 0
								     : error_errno(e, errno, "list times");
}

static int put_all(void *user, int fd, struct error *e)
{
	struct writing *w = user;

	w->out = fdopen(fd, "w");
	if (!w->out) {
		(void)close(fd); /* nothing was written */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	int r = w->source->walk(w->source->user, put, w, e);

	if (fclose(w->out) != 0 && r == 0)
		return error_errno(e, errno, "list times");
	return r;
}

int times_save(struct set_writer *w, const char *name, const struct listing_source *source,
	       bool (*keeps_time)(const struct listed *f), struct error *e)
{
	struct writing writing = { .source = source, .keeps_time = keeps_time };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = stream_produce(w, name, TIMES_METHOD, 0, NULL, &quiet, put_all, &writing, e);

	strbuf_free(&writing.record);
	return r;
}
