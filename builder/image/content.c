#include "image/content.h"

#include "base/fs.h"
#include "image/decompress.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { max_packed = 1 << 30 };

static int write_piece(void *user, const void *data, size_t len)
{
	return write_all(*(const int *)user, data, len);
}

int content_open(const struct entry *entry, struct error *e)
{
	if (!entry->packed) {
		int plain = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);

		return plain < 0 ? error_errno(e, errno, "pack %s", entry->source) : plain;
	}
	_cleanup_(free) char *packed = NULL;
	_cleanup_(fd) int fd = memfd_create("unpacked", MFD_CLOEXEC);
	size_t len;

	if (fd < 0)
		return error_errno(e, errno, "unpack %s", entry->source);
	int r = read_file_at(AT_FDCWD, entry->source, max_packed, &packed, &len, e);

	if (r == 0)
		r = decompress(packed, len, entry->source, write_piece, &fd, e);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(e, errno, "unpack %s", entry->source);
	return TAKE_FD(fd);
}
