/* Files are made in a folder of their own below the goal, by numbers; when all are there and what they should be, each is
 * moved to its place. */
#include "backup/files.h"

#include "backup/files_private.h"
#include "backup/inside.h"
#include "backup/listing_stream.h"
#include "backup/piece.h"
#include "backup/set_private.h"
#include "backup/xattrs.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { chain_max = 10 }; /* levels 0 to 9 */

struct set_files {
	struct set *sets[chain_max]; /* [0] is the set itself, [n] lies n links below */
	struct frames frames[chain_max];
	size_t depth;
	char *name, *method;
	struct listing listing;
};

void set_files_close(struct set_files *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->depth; i++)
		frames_free(&f->frames[i]);
	listing_free(&f->listing);
	free(f->name);
	free(f->method);
	free(f);
}

const struct listing *set_files_listing(const struct set_files *f)
{
	return &f->listing;
}

int set_files_open(struct set *s, const char *name, const char *method, struct set_files **ret,
		   struct error *e)
{
	_cleanup_(set_files) struct set_files *f = xcalloc(1, sizeof(*f));
	const struct stream_record *record;
	int r = 0;

	f->name = xstrdup(name);
	f->method = xstrdup(method);
	if (!listing_there(s, name))
		return error_text(e, ENOENT, "%s: it has no listing of %s, as sets of older versions",
				  s->shown, name);
	struct set *at = s;

	do {
		_cleanup_(listing) struct listing below = { 0 };

		record = levels_find(&at->levels, name);
		f->sets[f->depth] = at;
		r = listing_load(at, name, at == s ? &f->listing : &below, &f->frames[f->depth], e);
		f->depth += r == 0;
		at = record && record->since ? at->base : NULL;
	} while (r == 0 && at && f->depth < chain_max);
	for (size_t i = 0; r == 0 && i < f->listing.count; i++)
		if (f->listing.items[i].back >= f->depth)
			r = error_text(e, EBADMSG, "%s: the index of %s names a set that is not there",
				       s->shown, name);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(f);
	return 0;
}

/* ---- making them ---- */

struct picked {
	size_t line; /* of the listing */
	uint32_t flags;
};

struct job {
	struct set_files *f;
	struct picked *picked;
	size_t count;
	struct piece piece;
	int root, stage;
	char *stage_path;
	struct report *report;
	char found[24]; /* what where() says */
};

static const struct listed *line_of(const struct job *j, const struct picked *p)
{
	return &j->f->listing.items[p->line];
}

static void staged_name(const struct picked *p, char buf[24])
{
	(void)snprintf(buf, 24, "%zu", p->line);
}

/* As they come in the streams, so that each frame is unpacked once. */
static int by_place(const void *a, const void *b, void *user)
{
	const struct job *j = user;
	const struct listed *x = line_of(j, a), *y = line_of(j, b);

	if (x->back != y->back)
		return x->back > y->back ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return listing_compare_paths(x->path, y->path);
}

static int by_line(const void *a, const void *b)
{
	size_t x = ((const struct picked *)a)->line, y = ((const struct picked *)b)->line;

	return x < y ? -1 : x > y;
}

/* What the listing says, and the content that was listed. */
static int finish_one(struct job *j, const struct listed *f, const char *name, struct error *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, f->mtime };
	unsigned char sha[DIGEST_SIZE];

	if (S_ISREG(f->mode)) {
		_cleanup_(fd) int fd = openat(j->stage, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		int r = fd < 0 ? error_errno(e, errno, "read %s", f->path)
			       : digest_fd_bytes(fd, f->path, sha, e);

		if (r < 0)
			return r;
		if (!f->has_sha || memcmp(sha, f->sha, sizeof(sha)) != 0)
			return error_text(e, EBADMSG, "%s: its content is not what was listed", f->path);
	}
	if (!S_ISLNK(f->mode) && fchmodat(j->stage, name, f->mode & 07777, 0) < 0)
		return error_errno(e, errno, "set the mode of %s", f->path);
	if (utimensat(j->stage, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(e, errno, "set the time of %s", f->path);
	return 0;
}

static int make_one(struct job *j, struct picked *p, struct error *e)
{
	const struct listed *f = line_of(j, p);
	const struct pull in = { .next = piece_next, .user = &j->piece };
	char name[24];

	staged_name(p, name);
	j->piece.s = j->f->sets[f->back];
	j->piece.frames = &j->f->frames[f->back];
	j->piece.at = f->start;
	j->piece.end = f->end;
	return streq(j->f->method, "dump") ? take_from_dump(&in, f, j->stage, name, &p->flags, e)
					   : take_from_archive(&in, f, j->stage, name, &p->flags, e);
}

static int make_all(struct job *j, struct error *e)
{
	const struct picked *last = NULL; /* whose other names may follow */
	int r = 0;

	qsort_r(j->picked, j->count, sizeof(*j->picked), by_place, j);
	for (size_t i = 0; r == 0 && i < j->count; i++) {
		struct picked *p = &j->picked[i];
		const struct listed *f = line_of(j, p), *before = last ? line_of(j, last) : NULL;
		char name[24], first[24];

		staged_name(p, name);
		if (before && before->ino == f->ino && before->back == f->back && before->start == f->start) {
			staged_name(last, first);
			p->flags = last->flags;
			if (linkat(j->stage, first, j->stage, name, 0) < 0)
				r = error_errno(e, errno, "link %s", f->path);
			continue;
		}
		r = make_one(j, p, e);
		last = S_ISDIR(f->mode) ? NULL : p;
	}
	return r;
}

/* Where the file of that name is staged, for attributes that dump drops. */
static const char *where(void *user, const char *path)
{
	struct job *j = user;
	_cleanup_(free) char *full = streq(path, ".") ? xstrdup(".") : xasprintf("./%s", path);
	const struct listed *f = listing_find(&j->f->listing, full);
	struct stat st;

	if (!f)
		return NULL;
	(void)snprintf(j->found, sizeof(j->found), "%zu", (size_t)(f - j->f->listing.items));
	return fstatat(j->stage, j->found, &st, AT_SYMLINK_NOFOLLOW) == 0 ? j->found : NULL;
}

static int finish_all(struct job *j, struct error *e)
{
	int r = 0;

	if (streq(j->f->method, "dump"))
		r = xattrs_restore_some(j->f->sets[0], j->f->name, j->stage_path, where, j, e);
	for (size_t i = 0; r == 0 && i < j->count; i++) {
		char name[24];

		staged_name(&j->picked[i], name);
		r = finish_one(j, line_of(j, &j->picked[i]), name, e);
	}
	return r;
}

/* ---- moving them to their places ---- */

static int set_flags(const struct job *j, const struct picked *p, const char *path, struct error *e)
{
	enum { settable = FS_FL_USER_MODIFIABLE & ~(FS_EXTENT_FL | FS_COMPR_FL) };
	const struct listed *f = line_of(j, p);
	int flags = 0;

	if (!(p->flags & settable) || (!S_ISREG(f->mode) && !S_ISDIR(f->mode)))
		return 0;
	_cleanup_(fd) int fd = open_inside(j->root, path, O_RDONLY | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP
			       ? 0 /* a file system without such flags */
			       : error_errno(e, errno, "read the flags of %s", path);
	flags |= (int)(p->flags & settable);
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? error_errno(e, errno, "set the flags of %s", path)
						      : 0;
}

static int place_one(struct job *j, const struct picked *p, struct error *e)
{
	const struct listed *f = line_of(j, p);
	_cleanup_(free) char *above = xstrdup(f->path);
	char *last = strrchr(above, '/'), name[24];
	struct stat st;

	if (!last)
		return 0; /* the root itself is there */
	*last++ = '\0';
	staged_name(p, name);
	_cleanup_(fd) int fd = open_inside(j->root, above, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return error_errno(e, errno, "open %s", above);
	if (S_ISDIR(f->mode) && fstatat(fd, last, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return renameat(j->stage, name, fd, last) < 0 ? error_errno(e, errno, "put %s in its place", f->path)
						      : 0;
}

/* Folders last, those within others first: what is put into one changes its time. */
static int place_all(struct job *j, struct error *e)
{
	int r = 0;

	qsort(j->picked, j->count, sizeof(*j->picked), by_line);
	for (size_t i = 0; r == 0 && i < j->count; i++)
		r = place_one(j, &j->picked[i], e);
	for (size_t i = j->count; r == 0 && i > 0; i--) {
		const struct listed *f = line_of(j, &j->picked[i - 1]);
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, f->mtime };

		if (S_ISDIR(f->mode) && !streq(f->path, ".")) {
			_cleanup_(fd) int fd = open_inside(j->root, f->path, O_RDONLY | O_DIRECTORY);

			if (fd < 0 || futimens(fd, times) < 0)
				r = error_errno(e, errno, "set the time of %s", f->path);
		}
		if (r == 0)
			r = set_flags(j, &j->picked[i - 1], f->path, e);
	}
	return r;
}

static int run(struct job *j, const char *folder, struct error *e)
{
	_cleanup_(fd) int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(free) char *path = xasprintf("%s/.lifeboat.XXXXXX", folder);

	if (root < 0)
		return error_errno(e, errno, "open %s", folder);
	if (!mkdtemp(path))
		return error_errno(e, errno, "make a folder %s", path);
	_cleanup_(fd) int stage = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = stage < 0 ? error_errno(e, errno, "open %s", path) : 0;

	j->root = root;
	j->stage = stage;
	j->stage_path = path;
	if (r == 0)
		r = make_all(j, e);
	if (r == 0)
		r = finish_all(j, e);
	if (r == 0)
		r = place_all(j, e);
	int removed = remove_tree_at(root, strrchr(path, '/') + 1, r < 0 ? NULL : e);

	if (r == 0 && syncfs(root) < 0)
		return error_errno(e, errno, "write %s", folder);
	return r < 0 ? r : removed;
}

/* Streams whose format is not read here. */
static int check_method(const struct set_files *f, struct error *e)
{
	if (streq(f->method, "dump") || streq(f->method, "archive"))
		return 0;
	return error_text(e, EOPNOTSUPP,
			  "%s: single files cannot be taken out of %s.%s, only all of it restored, as its "
			  "RECOVER.txt shows; method archive can do that",
			  set_shown(f->sets[0]), f->name, f->method);
}

int set_files_restore(struct set_files *f, const bool *wanted, const char *folder, struct report *report,
		      struct error *e)
{
	_cleanup_(free) struct picked *picked = xcalloc(f->listing.count + 1, sizeof(*picked));
	struct job j = { .f = f, .picked = picked, .root = -1, .stage = -1, .report = report };
	bool any = false;

	for (size_t i = 0; i < f->listing.count; i++)
		any |= wanted[i];
	if (any && check_method(f, e) < 0)
		return -EOPNOTSUPP;

	for (size_t i = 0; i < f->listing.count; i++)
		if (wanted[i] && !streq(f->listing.items[i].path, "."))
			picked[j.count++] = (struct picked) { .line = i };
	j.piece.name = f->name;
	j.piece.method = f->method;
	j.piece.report = report;
	int r = run(&j, folder, e);

	piece_free(&j.piece);
	if (r < 0)
		error_prefix(e, "%s", set_shown(f->sets[0]));
	return r;
}
