#include "backup/walk.h"

#include "base/fs.h"
#include "base/parallel.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mount.h>

struct walk {
	const struct set_source *source;
	struct strbuf path; /* of where the walk is */
	int (*each)(void *user, const struct walked *file, struct error *e);
	void *user;
	struct crew *crew; /* who takes part in it; NULL: one alone */
	struct error *e;
};

/* ---- several at once ---- */

/* A folder that was given away: whoever has nothing to do goes on there. */
struct portion {
	int fd;
	char *path;
};

/* A walk gives a folder away only while another one waits for it: so there are never more of them, and of open folders, than
 * walks. */
struct crew {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct portion portions[PARALLEL_MAX];
	unsigned count, waiting, walking;
	atomic_bool failed;
	struct error error; /* why: the first failure */
	const struct walk *common; /* what all walks are about */
};

/* Owns `fd` then. */
static bool give_away(struct walk *w, int fd)
{
	struct crew *c = w->crew;

	if (!c)
		return false;
	(void)pthread_mutex_lock(&c->lock); /* a plain mutex that we do not hold */
	bool wanted = c->count < c->waiting;

	if (wanted) {
		c->portions[c->count++] = (struct portion) { .fd = fd, .path = xstrdup(w->path.data) };
		(void)pthread_cond_signal(&c->changed);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return wanted;
}

/* Waits until there is something to do; false: nothing is left, or it failed. */
static bool take_portion(struct crew *c, struct portion *ret)
{
	(void)pthread_mutex_lock(&c->lock);
	c->waiting++;
	while (!c->failed && !c->count && c->walking)
		(void)pthread_cond_wait(&c->changed, &c->lock);
	c->waiting--;
	bool there = !c->failed && c->count;

	if (there) {
		*ret = c->portions[--c->count];
		c->walking++;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return there;
}

static void end_portion(struct crew *c, int r, const struct error *e)
{
	(void)pthread_mutex_lock(&c->lock);
	c->walking--;
	if (r < 0 && !c->failed) {
		c->failed = true;
		c->error = *e;
	}
	(void)pthread_cond_broadcast(&c->changed);
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- the walk ---- */

static int failed(struct walk *w)
{
	return error_errno(w->e, errno, "read %s/%s", streq(w->source->shown, "/") ? "" : w->source->shown,
			   w->path.data);
}

static int walk_folder(struct walk *w, int fd);

static bool belongs(const struct set_source *source, const struct stat *st)
{
	return st->st_dev == source->device &&
	       !(source->placeholder && S_ISDIR(st->st_mode) && st->st_ino == source->placeholder);
}

static int walk_entry(struct walk *w, int dirfd, const char *name)
{
	struct walked file = { .dirfd = dirfd, .name = name };
	size_t before = w->path.len;
	int fd = -1, r;

	strbuf_printf(&w->path, "%s%s", before ? "/" : "", name);
	file.path = w->path.data;
	if (w->crew && w->crew->failed)
		r = -ECANCELED; /* its error is another one's */
	else if (fstatat(dirfd, name, &file.st, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 0 : failed(w); /* it went away meanwhile: the machine is alive */
	else if (!belongs(w->source, &file.st))
		r = 0;
	else
		r = w->each(w->user, &file, w->e);
	if (r == 0 && belongs(w->source, &file.st) && S_ISDIR(file.st.st_mode)) {
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
		if (fd < 0)
			r = errno == ENOENT ? 0 : failed(w);
		else if (!give_away(w, fd))
			r = walk_folder(w, fd);
	}
	w->path.len = before;
	w->path.data[before] = '\0';
	return r < 0 ? r : 0;
}

/* Owns `fd`. */
static int walk_folder(struct walk *w, int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		r = failed(w);
		(void)close(fd); /* read side */
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(d))) {
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			r = walk_entry(w, dirfd(d), entry->d_name);
		errno = 0;
	}
	if (r == 0 && errno)
		r = failed(w);
	(void)closedir(d); /* read side */
	return r;
}

/* A copy of the one mount, detached from the tree. */
static int open_mount(const char *mountpoint)
{
	_cleanup_(fd) int tree =
		open_tree(AT_FDCWD, mountpoint, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	return tree < 0 ? open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			: openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What one thread of a crew does. */
static void walk_portions(void *user, size_t index, unsigned thread)
{
	struct crew *c = user;
	struct walk w = *c->common;
	struct portion portion;
	struct error e;

	(void)index;
	(void)thread;
	w.crew = c;
	w.e = &e;
	w.path = (struct strbuf) { 0 };
	while (take_portion(c, &portion)) {
		w.path.len = 0;
		strbuf_puts(&w.path, portion.path);
		free(portion.path);
		end_portion(c, walk_folder(&w, portion.fd), &e);
	}
	strbuf_free(&w.path);
}

/* As walk_folder(), on all cores. */
static int walk_together(struct walk *w, int fd)
{
	struct crew c = { .common = w, .count = 1, .portions = { { .fd = fd, .path = xstrdup("") } } };

	(void)pthread_mutex_init(&c.lock, NULL); /* these cannot fail on Linux */
	(void)pthread_cond_init(&c.changed, NULL);
	parallel_run(parallel_threads(), walk_portions, &c);
	while (c.count > 0) { /* after a failure */
		(void)close(c.portions[--c.count].fd); /* read side */
		free(c.portions[c.count].path);
	}
	(void)pthread_cond_destroy(&c.changed); /* no thread is left */
	(void)pthread_mutex_destroy(&c.lock);
	if (!c.failed)
		return 0;
	*w->e = c.error;
	return -c.error.code;
}

static int walk_root(struct walk *w, int *fd, bool together)
{
	struct walked root = { .dirfd = *fd, .name = ".", .path = "." };

	if (fstat(*fd, &root.st) < 0)
		return failed(w);
	if (root.st.st_dev != w->source->device) /* one mount may lie over another, or be gone by now */
		return error_text(w->e, ESTALE, "%s: it is not the file system that the survey found there",
				  w->source->shown);
	int r = w->each(w->user, &root, w->e);

	if (r)
		return r;
	return together ? walk_together(w, TAKE_FD(*fd)) : walk_folder(w, TAKE_FD(*fd));
}

int walk_open(const struct set_source *source, int *ret_fd, struct error *e)
{
	int fd = open_mount(source->folder);

	if (fd < 0)
		return error_errno(e, errno, "open %s", source->shown);
	*ret_fd = fd;
	return 0;
}

static int walk(const struct set_source *source, bool together,
		int (*each)(void *user, const struct walked *file, struct error *e), void *user,
		struct error *e)
{
	struct walk w = { .source = source, .each = each, .user = user, .e = e };
	_cleanup_(fd) int fd = -1;
	int r = walk_open(source, &fd, e);

	if (r < 0)
		return r;
	strbuf_puts(&w.path, "");
	r = walk_root(&w, &fd, together);

	strbuf_free(&w.path);
	return r < 0 ? r : 0;
}

int walk_filesystem(const struct set_source *source,
		    int (*each)(void *user, const struct walked *file, struct error *e), void *user,
		    struct error *e)
{
	return walk(source, false, each, user, e);
}

int walk_filesystem_together(const struct set_source *source,
			     int (*each)(void *user, const struct walked *file, struct error *e), void *user,
			     struct error *e)
{
	return walk(source, true, each, user, e);
}

static int64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

int walked_check_path(const struct walked *file, const struct set_source *source, struct error *e)
{
	size_t len = strlen(file->path);

	if (len <= WALKED_PATH_MAX)
		return 0;
	return error_text(e, ENAMETOOLONG,
			  "%s/%.100s...: a path of %zu bytes, which cannot be brought back: shorten it to %d",
			  streq(source->shown, "/") ? "" : source->shown, file->path, len, WALKED_PATH_MAX);
}

bool walked_changed_since(const struct walked *file, const struct timespec *moment)
{
	enum { clock_grain = 20000000 }; /* nanoseconds */

	return nanoseconds(&file->st.st_ctim) >= nanoseconds(moment) - clock_grain;
}
