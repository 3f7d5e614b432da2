#include "guest/cow.h"

#include "base/fs.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Linux: arch/um/drivers/cow_user.c; numbers are big-endian. The header goes on with the disk's path. */
struct cow_header {
	uint32_t magic, version, mtime;
	uint64_t size;
} __attribute__((packed));
enum { COW_MAGIC = 0x4f4f4f4d, COW_VERSION = 3 };

static int compare(const char *cow, const struct cow_header *h, const char *base, const struct stat *st,
		   struct error *e)
{
	if (be32toh(h->magic) != COW_MAGIC || be32toh(h->version) != COW_VERSION)
		return error_text(e, EINVAL, "use the COW file %s: it is none (of version %d)", cow,
				  COW_VERSION);
	if (S_ISREG(st->st_mode) && be64toh(h->size) != (uint64_t)st->st_size)
		return error_text(e, ESTALE,
				  "use the COW file %s: it was made for a disk of another size than %s", cow,
				  base);
	if (be32toh(h->mtime) != (uint32_t)st->st_mtime)
		return error_text(e, ESTALE, "use the COW file %s: %s has been written to since it was made",
				  cow, base);
	return 0;
}

int cow_check(const char *cow, const char *base, struct error *e)
{
	_cleanup_(fd) int fd = open(cow, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct cow_header h;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0; /* the guest makes it */
	if (fd < 0)
		return error_errno(e, errno, "use the COW file %s", cow);
	if (stat(base, &st) < 0)
		return error_errno(e, errno, "open the guest's disk %s", base);
	ssize_t n = read_full(fd, &h, sizeof(h));

	if (n < 0)
		return error_errno(e, (int)-n, "read the COW file %s", cow);
	if ((size_t)n < sizeof(h))
		memset(&h, 0, sizeof(h));
	return compare(cow, &h, base, &st, e);
}
