#include "backup/pull.h"

#include "base/fs.h"
#include "base/str.h"

ssize_t pull_fd_next(void *user, const char **ret, struct error *e)
{
	enum { block = 256 << 10 };
	struct pull_fd *p = user;

	if (!p->buf)
		p->buf = xmalloc(block);
	ssize_t n = read_full(p->fd, p->buf, block);

	*ret = p->buf;
	return n < 0 ? error_errno(e, (int)-n, "read the stream") : n;
}

void pull_fd_free(struct pull_fd *p)
{
	free(p->buf);
	if (p->fd >= 0)
		(void)close(p->fd); /* read side */
	*p = (struct pull_fd) { .fd = -1 };
}
