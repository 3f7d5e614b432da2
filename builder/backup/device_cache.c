#include "backup/device_cache.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
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
static int write_journal(int fd)
{
	uint32_t flags = 0;

	if (ioctl(fd, EXT4_IOC_CHECKPOINT, &flags) == 0)
		return 0;
	/* has no journal; is mounted for reading, before which the journal was written */
	return errno == ENODEV || errno == EROFS ? 0 : errno;
}

int device_cache_renew(int fd, const char *device, const char *shown, struct report *report, struct error *e)
{
	_cleanup_(fd) int dev = open(device, O_RDONLY | O_CLOEXEC);

	if (dev < 0)
		return error_errno(e, errno, "open %s", device);
	if (syncfs(fd) < 0)
		return error_errno(e, errno, "flush %s", shown);
	int code = write_journal(fd);

	if ((code == ENOTTY || code == EOPNOTSUPP) && !has_journal(dev))
		code = 0; /* the driver of ext2 has no such thing */
	if (code == ENOTTY || code == EOPNOTSUPP)
		report_warn(report,
			    "%s: this kernel, older than 5.14, cannot be told to write its journal: of files "
			    "written lately, what the "
			    "disk held before may be saved; where there is LVM, a snapshot is read instead",
			    shown);
	else if (code)
		return error_errno(e, code, "write the journal of %s", shown);
	if (ioctl(dev, BLKFLSBUF, 0) < 0)
		return error_errno(e, errno, "flush %s", device);
	return 0;
}
