/* Method raw: the first bytes of a device, as they are. For what is small, has no files in it, and must come back bit for
 * bit: the header of a LUKS device with all its key slots. */
#include "backup/method.h"

#include "backup/set_private.h"
#include "backup/stream_thread.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

enum { block = 1 << 20 };

struct copying {
	const char *node;
	uint64_t size; /* saving: that many bytes */
	int fd; /* the device */
};

static int produce(void *user, int fd, struct error *e)
{
	struct copying *c = user;
	_cleanup_(fd) int out = fd;
	_cleanup_(free) char *data = xmalloc(block);

	for (uint64_t done = 0; done < c->size;) {
		size_t want = c->size - done < block ? (size_t)(c->size - done) : block;
		ssize_t n = pread_full(c->fd, data, want, (off_t)done);

		if (n != (ssize_t)want)
			return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", c->node);
		int r = write_all(out, data, want);

		if (r < 0)
			return error_errno(e, -r, "read %s into its stream", c->node);
		done += want;
	}
	return 0;
}

int set_save_image(struct set_writer *w, const char *name, const char *node, uint64_t size,
		   struct report *report, struct error *e)
{
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);
	struct copying c = { .node = node, .size = size, .fd = fd };

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	return stream_produce(w, name, method_raw.name, size, NULL, report, produce, &c, e);
}

static int consume(void *user, int fd, struct error *e)
{
	struct copying *c = user;
	_cleanup_(fd) int in = fd;
	_cleanup_(free) char *data = xmalloc(block);
	ssize_t n;

	for (off_t at = 0; (n = read_full(in, data, block)) != 0; at += n) {
		if (n < 0)
			return error_errno(e, (int)-n, "read what belongs onto %s", c->node);
		int r = pwrite_all(c->fd, data, (size_t)n, at);

		if (r < 0)
			return error_errno(e, -r, "write %s", c->node);
	}
	return fsync(c->fd) < 0 ? error_errno(e, errno, "write %s", c->node) : 0;
}

int raw_restore(struct set *s, const char *name, const char *node, struct report *report, struct error *e)
{
	_cleanup_(fd) int fd = open(node, O_WRONLY | O_EXCL | O_CLOEXEC);
	struct copying c = { .node = node, .fd = fd };

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	return stream_consume(s, name, method_raw.name, report, consume, &c, e);
}

struct comparing {
	const char *node;
	int fd; /* the device */
	bool equal;
};

static int compare_block(struct comparing *c, const char *data, char *own, size_t len, off_t at,
			 struct error *e)
{
	ssize_t n = pread_full(c->fd, own, len, at);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", c->node);
	c->equal &= (size_t)n == len && memcmp(own, data, len) == 0;
	return 0;
}

/* To the stream's end: its checksums count, too. */
static int compare_all(void *user, int fd, struct error *e)
{
	struct comparing *c = user;
	_cleanup_(fd) int in = fd;
	_cleanup_(free) char *data = xmalloc(block), *own = xmalloc(block);
	ssize_t n;
	int r = 0;

	for (off_t at = 0; r == 0 && (n = read_full(in, data, block)) != 0; at += n)
		r = n < 0 ? error_errno(e, (int)-n, "read what %s is compared with", c->node)
			  : compare_block(c, data, own, (size_t)n, at, e);
	return r;
}

int set_compare_image(struct set *s, const char *name, const char *node, bool *ret_equal,
		      struct report *report, struct error *e)
{
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_CLOEXEC);
	struct comparing c = { .node = node, .fd = fd, .equal = true };

	if (fd < 0)
		return error_errno(e, errno, "open %s", node);
	int r = stream_consume(s, name, method_raw.name, report, compare_all, &c, e);

	if (r == 0)
		*ret_equal = c.equal;
	return r;
}

const struct method method_raw = { .name = "raw", .image = true };
