/* An XFS superblock, foreign bytes: whatever they are, describing ends with parameters that fit each other or with
 * an error, and a plan can work with them. */
#include "machine/fs.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fd) int fd = memfd_create("xfs", MFD_CLOEXEC);
	_cleanup_(free) char *node = xasprintf("/proc/self/fd/%d", fd);
	struct report report;
	struct content c = { 0 };
	struct error e;

	report_init(&report, VERBOSITY_QUIET, false);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || ftruncate(fd, 4096) < 0)
		abort();
	if (fs_xfs.describe(node, NULL, &c, &report, &e) == 0) {
		uint64_t whole = fs_xfs.size(&c);

		if (c.used > whole)
			abort();
		for (size_t i = 0; fs_xfs.keys[i].key; i++) {
			const char *value =
				key_values_get(&c.parameters, str_after(fs_xfs.keys[i].key, "fs."));

			if (value && fs_xfs.keys[i].check(value) < 0)
				abort(); /* machine.conf would not be read again */
		}
		(void)fs_xfs.minimum(&c);
		fs_xfs.resize(&c, whole, whole / 3);
		if (fs_xfs.size(&c) > whole)
			abort();
	}
	key_values_free(&c.parameters);
	free(c.method);
	return 0;
}
