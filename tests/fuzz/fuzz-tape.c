/* The headers of a raw device, which anybody may have written: whatever the bytes, reading ends with a list or an error, and
 * no file of the list reaches beyond the device. */
#include "backup/tape.h"

#include "base/fs.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	_cleanup_(tape) struct tape t = { 0 };
	struct error e;

	if (fd < 0)
		fd = memfd_create("tape", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite_all(fd, data, size, 0) < 0)
		abort();
	if (tape_scan(fd, "tape", &t, &e) < 0)
		return 0;
	for (size_t i = 0; i < t.count; i++)
		if (t.files[i].at > size || t.files[i].size > size - t.files[i].at)
			abort();
	if (t.end > size)
		abort();
	return 0;
}
