#include "image/spool.h"

#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/sendfile.h>

struct spool {
	int fd;
	_Atomic uint64_t used; /* bytes */
};

struct spool *spool_new(void)
{
	int fd = open(temp_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return NULL;
	struct spool *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	return s;
}

void spool_free(struct spool *s)
{
	if (s)
		(void)close(s->fd); /* what is in it is wanted no more */
	free(s);
}

int spool_add(struct spool *s, const void *data, size_t len, uint64_t *ret_at)
{
	uint64_t at = atomic_fetch_add(&s->used, len);
	int r = pwrite_all(s->fd, data, len, (off_t)at);

	if (r == 0)
		*ret_at = at;
	return r;
}

int spool_copy(const struct spool *s, uint64_t at, uint64_t len, int fd)
{
	off_t offset = (off_t)at;

	while (len > 0) {
		ssize_t n = sendfile(fd, s->fd, &offset, len);

		if (n <= 0)
			return n < 0 ? negative_errno() : -ENODATA;
		len -= (uint64_t)n;
	}
	return 0;
}
