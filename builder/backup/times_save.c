/* Listing modification times. */
#include "backup/times.h"

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

struct choice {
	bool (*keeps_time)(const struct listed *f);
};

static void add_time(struct strbuf *text, const struct listed *f, const void *user)
{
	const struct choice *choice = user;
	const char *below = str_after(f->path, "./");

	if (!choice->keeps_time(f))
		times_record(text, f->mode, &f->mtime, below ? below : f->path);
}

int times_save(struct set_writer *w, const char *name, const struct listing_source *source,
	       bool (*keeps_time)(const struct listed *f), struct error *e)
{
	const struct choice choice = { .keeps_time = keeps_time };
	const struct listing_text times = { .method = TIMES_METHOD, .add = add_time, .user = &choice };

	return listing_text_save(w, name, &times, source, e);
}
