#include "image/content.h"

#include "base/fs.h"
#include "image/decompress.h"
#include "image/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { max_packed = 1 << 30 };

static int write_piece(void *user, const void *data, size_t len)
{
	return write_all(*(const int *)user, data, len);
}

static int unpack(const struct entry *entry, int fd, struct error *e)
{
	_cleanup_(free) char *packed = NULL;
	size_t len;

	if (entry->spool) {
		int r = spool_copy(entry->spool, entry->spool_at, entry->size, fd);

		return r < 0 ? error_errno(e, -r, "unpack %s", entry->source) : 0;
	}
	int r = read_file_at(AT_FDCWD, entry->source, max_packed, &packed, &len, e);

	return r < 0 ? r : decompress(packed, len, entry->source, write_piece, &fd, e);
}

int content_fd(const struct entry *entry, struct error *e)
{
	if (!entry->packed) {
		int plain = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);

		return plain < 0 ? error_errno(e, errno, "pack %s", entry->source) : plain;
	}
	_cleanup_(fd) int fd = memfd_create("unpacked", MFD_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "unpack %s", entry->source);
	int r = unpack(entry, fd, e);

	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(e, errno, "unpack %s", entry->source);
	return TAKE_FD(fd);
}

int content_open(const struct entry *entry, struct content *ret, struct error *e)
{
	_cleanup_(content) struct content c = CONTENT_NONE;

	c.entry = entry;
	c.size = entry->size;
	if (entry->source) {
		c.fd = content_fd(entry, e);
		if (c.fd < 0)
			return c.fd;
		if (fstat(c.fd, &c.before) < 0)
			return error_errno(e, errno, "pack %s", entry->source);
		c.size = (uint64_t)c.before.st_size;
	}
	*ret = c;
	c.fd = -1;
	return 0;
}

int content_read(struct content *c, void *buf, size_t len, struct error *e)
{
	if (c->fd < 0) {
		memcpy(buf, c->entry->data + c->done, len);
		c->done += len;
		return 0;
	}
	ssize_t n = read_full(c->fd, buf, len);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", c->entry->source);
	if ((size_t)n < len)
		return error_text(e, EIO, "read %s: it became shorter while it was packed", c->entry->source);
	c->done += len;
	return 0;
}

int content_check(const struct content *c, struct error *e)
{
	struct stat after;

	if (c->fd < 0)
		return 0;
	if (fstat(c->fd, &after) < 0)
		return error_errno(e, errno, "pack %s", c->entry->source);
	if (after.st_size == c->before.st_size && after.st_mtim.tv_sec == c->before.st_mtim.tv_sec &&
	    after.st_mtim.tv_nsec == c->before.st_mtim.tv_nsec)
		return 0;
	return error_text(e, EAGAIN, "pack %s: it changed while it was packed", c->entry->source);
}

void content_close(struct content *c)
{
	if (c->fd >= 0)
		(void)close(c->fd); /* read side */
	c->fd = -1;
}
