#include "backup/swap_file.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The signature fills the end of the first page, as the kernel's union swap_header says. */
static bool is_swap(int fd)
{
	static const unsigned pages[] = { 4096, 8192, 16384, 65536 };

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		char magic[10];

		if (pread_full(fd, magic, sizeof(magic), (off_t)(pages[i] - sizeof(magic))) ==
			    sizeof(magic) &&
		    memcmp(magic, "SWAPSPACE2", sizeof(magic)) == 0)
			return true;
	}
	return false;
}

/* Zeros come back as holes, but swap to a file with holes the kernel does not. */
int swap_file_fill(const char *full, mode_t mode, int64_t size, struct error *e)
{
	if (mode & 077 || size < 10 * 4096)
		return 0; /* no swap file: others may not read it, and it has ten pages at least */
	_cleanup_(fd) int fd = open(full, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || !is_swap(fd))
		return 0; /* one that may not be written is none either */
	struct stat st;

	if (fstat(fd, &st) < 0 || fallocate(fd, 0, 0, size) < 0 ||
	    futimens(fd, (struct timespec[]) { { .tv_nsec = UTIME_OMIT }, st.st_mtim }) < 0)
		return error_errno(e, errno, "allocate %s, a swap file", full);
	return 0;
}
