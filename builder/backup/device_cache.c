#include "backup/device_cache.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The kernel's fs/ext4/ext4.h; what it does: Documentation/filesystems/ext4/journal.rst. No header for programs has it. */
#define EXT4_IOC_CHECKPOINT _IOW('f', 43, uint32_t)

/* Superblock: Documentation/filesystems/ext4/super.rst. */
static bool has_journal(int dev)
{
	enum { at_superblock = 1024, at_compatible = 0x5c, journal = 4 };
	char features[4] = { 0 };

	return pread_full(dev, features, sizeof(features), at_superblock + at_compatible) ==
		       sizeof(features) &&
	       le32_at(features) & journal;
}

/* 0, or the errno. */
static int write_journal(int fd, int dev)
{
	uint32_t flags = 0;

	int code = ioctl(fd, EXT4_IOC_CHECKPOINT, &flags) < 0 ? errno : 0;

	/* without one it is ENODEV, or ENOTTY from the driver of ext2 */
	return code == ENODEV || (code == ENOTTY && !has_journal(dev)) ? 0 : code;
}

/* `*ret_code`: why the journal could not be written, or 0. */
static int renew(int fd, int dev, const char *device, const char *shown, int *ret_code, struct error *e)
{
	if (syncfs(fd) < 0)
		return error_errno(e, errno, "flush %s", shown);
	*ret_code = write_journal(fd, dev);
	return ioctl(dev, BLKFLSBUF, 0) < 0 ? error_errno(e, errno, "flush %s", device) : 0;
}

int device_cache_renew(int fd, const char *device, const char *shown, struct report *report, struct error *e)
{
	/* What is changed between the two of one, and all that shares its page, stays for the next. */
	enum { rounds = 3 };
	_cleanup_(fd) int dev = open(device, O_RDONLY | O_CLOEXEC);
	int code = 0, r = dev < 0 ? error_errno(e, errno, "open %s", device) : 0;

	for (int i = 0; r == 0 && !code && i < rounds; i++)
		r = renew(fd, dev, device, shown, &code, e);
	if (r == 0 && code)
		report_warn(
			report,
			"%s: its journal cannot be written out (%s): a file written lately may be saved with "
			"what the disk held before",
			shown, code == ENOTTY ? "kernels before 5.14 do not do that" : strerror(code));
	return r;
}
