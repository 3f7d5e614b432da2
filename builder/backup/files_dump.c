/* One file out of a dump. */
#include "backup/files_private.h"

#include "backup/dump_reader.h"
#include "backup/ext_xattrs.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/xattr.h>

struct taking {
	const struct listed *f;
	int stage;
	const char *name;
	int fd; /* of a file's content, or -1 */
	off_t at;
	bool sized;
	uint32_t flags;
};

static int failed(const struct taking *t, struct error *e)
{
	return error_errno(e, errno, "make %s", t->f->path);
}

static int make(struct taking *t, struct error *e)
{
	mode_t type = t->f->mode & S_IFMT;
	int r;

	if (S_ISREG(type)) {
		t->fd = openat(t->stage, t->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		r = t->fd;
	} else if (S_ISDIR(type)) {
		r = mkdirat(t->stage, t->name, 0700);
	} else if (S_ISLNK(type)) {
		r = symlinkat(t->f->target, t->stage, t->name);
	} else {
		r = mknodat(t->stage, t->name, type | 0600, t->f->device);
	}
	return r < 0 ? failed(t, e) : 0;
}

/* Before attributes: a change of owner drops capabilities. */
static int set_owner(const struct taking *t, struct error *e)
{
	if (fchownat(t->stage, t->name, t->f->uid, t->f->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(e, errno, "set the owner of %s", t->f->path);
	return 0;
}

static int on_begin(void *user, const struct dump_inode *inode, struct error *e)
{
	struct taking *t = user;

	if (inode->ino != t->f->ino || (inode->mode & S_IFMT) != (t->f->mode & S_IFMT))
		return error_text(e, EBADMSG, "%s: another file is where the index says", t->f->path);
	t->flags = inode->flags;
	int r = make(t, e);

	return r < 0 ? r : set_owner(t, e);
}

static int on_data(void *user, const char *data, size_t len, struct error *e)
{
	struct taking *t = user;

	if (t->fd < 0)
		return 0; /* the names in a folder, the target of a link: the listing has them */
	int r = data ? pwrite_all(t->fd, data, len, t->at) : 0;

	t->at += (off_t)len;
	return r < 0 ? error_errno(e, -r, "write %s", t->f->path) : 0;
}

static int set_attribute(void *user, const char *name, const void *value, size_t len, struct error *e)
{
	const struct taking *t = user;
	_cleanup_(free) char *at = xasprintf("/proc/self/fd/%d/%s", t->stage, t->name);

	return lsetxattr(at, name, value, len, 0) < 0
		       ? error_errno(e, errno, "set %s of %s", name, t->f->path)
		       : 0;
}

/* A change of size drops capabilities, too. */
static int set_size(struct taking *t, struct error *e)
{
	if (t->sized || t->fd < 0)
		return 0;
	t->sized = true;
	return ftruncate(t->fd, t->at) < 0 ? failed(t, e) : 0; /* a hole at the end */
}

static int on_xattrs(void *user, const char *area, size_t len, struct error *e)
{
	int r = set_size(user, e);

	return r < 0 ? r : ext_xattrs_parse(area, len, set_attribute, user, e);
}

int take_from_dump(const struct pull *in, const struct listed *f, int fd, const char *name,
		   uint32_t *ret_flags, struct error *e)
{
	struct taking t = { .f = f, .stage = fd, .name = name, .fd = -1 };
	const struct dump_calls calls = {
		.begin = on_begin, .data = on_data, .xattrs = on_xattrs, .user = &t
	};
	int r = dump_read_piece(in, &calls, e);

	if (r == 0)
		r = set_size(&t, e);
	if (t.fd >= 0 && close(t.fd) < 0 && r == 0)
		r = error_errno(e, errno, "write %s", f->path);
	*ret_flags = t.flags;
	return r;
}
