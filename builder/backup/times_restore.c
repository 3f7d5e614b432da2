/* Putting modification times back. */
#include "backup/times.h"

#include "backup/inside.h"
#include "backup/set_private.h"
#include "backup/stream_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct put_back {
	int rootfd;
	const char *folder;
	bool loose;
};

static mode_t type_of(char letter)
{
	static const struct {
		char letter;
		mode_t type;
	} types[] = { { 'f', S_IFREG }, { 'd', S_IFDIR }, { 'l', S_IFLNK }, { 'b', S_IFBLK },
		      { 'c', S_IFCHR }, { 'p', S_IFIFO }, { 's', S_IFSOCK } };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].letter == letter)
			return types[i].type;
	return 0;
}

/* "TYPE SECONDS.NANOSECONDS PATH". */
static bool parse_record(const char *record, mode_t *ret_type, struct timespec *ret_time,
			 const char **ret_path)
{
	long long seconds;
	unsigned long nanoseconds;
	char letter;
	int n = 0;
	bool back = strncmp(record + 1, " -", 2) == 0;

	if (sscanf(record, "%c %lld.%9lu %n", &letter, &seconds, &nanoseconds, &n) != 3 || n == 0 ||
	    !record[n] || nanoseconds >= 1000000000 || !(*ret_type = type_of(letter)))
		return false;
	if (back && nanoseconds > 0) {
		seconds--;
		nanoseconds = 1000000000 - nanoseconds;
	}
	*ret_time = (struct timespec) { .tv_sec = seconds, .tv_nsec = (long)nanoseconds };
	*ret_path = record + n;
	return true;
}

static int set_times(int fd, void *user)
{
	return futimens(fd, user) < 0 ? -errno : 0;
}

static int put_one(struct put_back *p, const char *record, struct error *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	const char *path;
	mode_t type;
	struct stat st;

	if (!parse_record(record, &type, &times[1], &path))
		return error_text(e, EBADMSG, "%s: put times back: bad record '%.40s'", p->folder, record);
	_cleanup_(fd) int fd = open_inside(p->rootfd, path, O_PATH);

	if (fd < 0) /* it was deleted before the dump came to it, or made after */
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : error_errno(e, errno, "open %s/%s", p->folder, path);
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "read %s/%s", p->folder, path);
	/* dump(8) keeps 32 bits of the seconds. The root's own time has just changed. */
	if ((st.st_mode & S_IFMT) != type)
		return 0;
	if (!streq(path, ".") && !(p->loose && (S_ISDIR(type) || S_ISLNK(type))) &&
	    (uint32_t)st.st_mtim.tv_sec != (uint32_t)times[1].tv_sec)
		return 0;
	int r = utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;

	if (r == -EPERM)
		r = change_flagged(p->rootfd, path, set_times, times);
	return r < 0 ? error_errno(e, -r, "set the time of %s/%s", p->folder, path) : 0;
}

static int put_all(void *user, int fd, struct error *e)
{
	struct put_back *p = user;
	_cleanup_(free) char *record = NULL;
	FILE *in = fdopen(fd, "r");
	size_t capacity = 0;
	ssize_t n;
	int r = 0;

	if (!in) {
		(void)close(fd); /* read side */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	while (r == 0 && (n = getdelim(&record, &capacity, '\0', in)) > 0)
		r = put_one(p, record, e);
	if (r == 0 && ferror(in))
		r = error_errno(e, errno, "%s: put times back", p->folder);
	(void)fclose(in); /* read side; the writer gets EPIPE when this is early */
	return r;
}

int times_restore(struct set *s, const char *name, const char *folder, bool loose, struct error *e)
{
	_cleanup_(fd) int rootfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct put_back p = { .rootfd = rootfd, .folder = folder, .loose = loose };
	struct report quiet;

	if (!chunk_find(&s->sums, name, TIMES_METHOD, 0))
		return 0;
	if (rootfd < 0)
		return error_errno(e, errno, "open %s", folder);
	report_init(&quiet, VERBOSITY_QUIET, false);
	return stream_consume(s, name, TIMES_METHOD, &quiet, put_all, &p, e);
}
