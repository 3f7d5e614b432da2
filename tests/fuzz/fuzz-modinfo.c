/* Module files, plain and compressed: whatever the bytes, reading what a module says of itself ends with a value
 * or an error. */
#include "base/fs.h"
#include "image/modinfo.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_(modinfo) struct modinfo info = { 0 };
	struct error e;

	if (fd < 0 || write_all(fd, data, size) < 0)
		abort();
	modinfo_prepare();
	if (modinfo_read(path, NULL, &info, &e) == 0 && !info.packed && info.size != size)
		abort();
	return 0;
}
