#include "machine/try.h"

#include "base/fs.h"
#include "machine/btrfs.h"
#include "machine/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

struct
try {
	const char *shown; /* machine.conf's name, or NULL */
	struct tempdir folder;
	struct report *report;
	struct error *e;
};
static void try_end(struct try *t)
{
	tempdir_remove(&t->folder);
}
DEFINE_CLEANUP(try, struct try, try_end)

/* A tool that ran out of room says nothing about the file system. */
static bool is_full(const struct try *t)
{
	static const uint64_t little = 1 << 20;
	struct statvfs fs;

	return fstatvfs(t->folder.fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < little;
}

/* 1: no file can be as large. */
static int make_file(const struct try *t, const char *path, uint64_t size)
{
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		return 0;
	return fd >= 0 && errno == EFBIG ? 1 : error_errno(t->e, errno, "make %s", path);
}

/* A file for each device of a btrfs that lies on several, else one. In place of a missing one, one as another is. */
static int make_files(const struct try *t, const struct device *d, struct strlist *ret)
{
	size_t count = d->kind == DEVICE_BTRFS ? d->below_count : 1;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const struct device *on = d->kind != DEVICE_BTRFS ? d
					  : d->below[i]           ? d->below[i]
								  : device_first_below(d);
		char *path = xasprintf("%s/disk%zu", t->folder.path, i);

		strlist_take(ret, path);
		r = make_file(t, path, on->size);
	}
	return r;
}

static int try_on(struct try *t, const struct device *d, const struct strlist *paths)
{
	const struct fs_ops *ops = fs_find(d->content.type);
	struct error why = { 0 };
	int r = d->kind == DEVICE_BTRFS
			? btrfs_try_on(paths, &d->content, &why)
			: (ops->try ? ops->try : ops->make)(paths->items[0], &d->content, &why);

	if (r == 0)
		return 0;
	if (is_full(t)) {
		report_warn(t->report, "%s of %s cannot be tried: %s is full", d->content.type, d->name,
			    t->folder.path);
		return 0;
	}
	if (t->shown)
		return error_text(t->e, -r, "%s:%u: %s of %s cannot be made: %s", t->shown, d->content.line,
				  d->content.type, d->name, why.text);
	return error_text(t->e, -r, "%s of %s could not be made again: %s", d->content.type, d->name,
			  why.text);
}

static int try_device(struct try *t, const struct device *d)
{
	_cleanup_(strlist) struct strlist paths = { 0 };
	int r = make_files(t, d, &paths);

	if (r == 1)
		report_warn(t->report, "%s of %s cannot be tried: no file in %s can be as large",
			    d->content.type, d->name, t->folder.path);
	r = r == 0 ? try_on(t, d, &paths) : r < 0 ? r : 0;
	for (size_t i = 0; i < paths.count; i++) /* the next one wants its room */
		if (unlink(paths.items[i]) < 0 && r == 0)
			r = error_errno(t->e, errno, "remove %s", paths.items[i]);
	return r;
}

int try_machine(const struct machine *m, const char *shown, struct report *report, struct error *e)
{
	_cleanup_(try) struct try t = { .shown = shown, .folder = TEMPDIR_NONE, .report = report, .e = e };
	int r = tempdir_make_in_memory(&t.folder, e);

	for (size_t i = 0; i < m->count && r == 0; i++) {
		enum content_kind kind = m->devices[i]->content.kind;

		if (kind == CONTENT_FILESYSTEM || kind == CONTENT_SWAP)
			r = try_device(&t, m->devices[i]);
	}
	return r;
}
