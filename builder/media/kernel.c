#include "media/media.h"

#include "base/fs.h"

#include <endian.h>
#include <fcntl.h>

/* Documentation/arch/x86/boot.rst: "HdrS" at 0x202, and at 0x20e the offset, less 0x200, of a text
 * that begins with the release. */
enum { magic_at = 0x202, pointer_at = 0x20e, pointer_base = 0x200 };

char *media_kernel_version(int dirfd, const char *vmlinuz)
{
	_cleanup_(fd) int fd = openat(dirfd, vmlinuz, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char magic[4], text[128];
	uint16_t pointer;

	if (fd < 0 || pread_full(fd, magic, sizeof(magic), magic_at) != sizeof(magic) ||
	    memcmp(magic, "HdrS", sizeof(magic)) != 0 ||
	    pread_full(fd, &pointer, sizeof(pointer), pointer_at) != sizeof(pointer) || pointer == 0)
		return NULL;
	ssize_t n = pread_full(fd, text, sizeof(text) - 1, le16toh(pointer) + pointer_base);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	size_t len = strcspn(text, " ");

	return len ? xstrndup(text, len) : NULL;
}
