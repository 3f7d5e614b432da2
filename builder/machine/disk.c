#include "machine/disk.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/probe.h"
#include "machine/table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

/* The lock by which programs that write to disks keep out of each other's way (systemd's BLOCK_DEVICE_LOCKING):
 * two recoveries on two consoles, a udev that would look at half of a table. */
static int lock(int fd, const char *path, struct error *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? error_text(e, EBUSY, "%s is being written by another program", path)
				    : error_errno(e, errno, "lock %s", path);
}

int disk_hold(const struct device *present, int *ret_fd, struct error *e)
{
	const char *path = present->identity.path;
	_cleanup_(fd) int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	struct stat st;
	uint64_t size;

	if (fd < 0)
		return error_errno(e, errno, "open %s for this program alone", path);
	if (fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0)
		return error_errno(e, errno, "look at %s", path);
	if (!S_ISBLK(st.st_mode) || st.st_rdev != present->now.devno || size != present->size)
		return error_text(e, ESTALE, "%s is another disk than planned; nothing was written to it",
				  path);
	int r = lock(fd, path, e);

	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int zero_range(int fd, const char *shown, uint64_t start, uint64_t size, struct error *e)
{
	_cleanup_(free) char *zeros = xcalloc(size, 1);
	int r = pwrite_all(fd, zeros, size, (off_t)start);

	return r < 0 ? error_errno(e, -r, "wipe %s", shown) : 0;
}

static int wipe_partitions(const struct machine *m, const struct device *disk, int fd, const char *shown,
			   struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		if (is_partition_of(d, disk) && d->start < disk->size && d->size <= disk->size - d->start)
			r = wipe_signatures(fd, shown, d->start, d->size, e);
	}
	return r;
}

int disk_wipe(const struct machine *present, const struct device *disk, int fd, struct error *e)
{
	static const uint64_t mib = 1 << 20;
	const char *path = disk->identity.path;
	uint64_t len = disk->size < mib ? disk->size : mib;
	int r = wipe_partitions(present, disk, fd, path, e);

	if (r == 0)
		r = wipe_signatures(fd, path, 0, disk->size, e);
	/* what libblkid does not know: boot code, the rest of tables and of other people's RAID */
	if (r == 0)
		r = zero_range(fd, path, 0, len, e);
	if (r == 0)
		r = zero_range(fd, path, disk->size - len, len, e);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? error_errno(e, errno, "wipe %s", path) : 0;
}

int disk_partition(const struct machine *m, const struct device *disk, const char *node, int fd,
		   struct error *e)
{
	int r = table_write(m, disk, fd, node, e);

	/* not in extended ones: the logical partitions' descriptions are signatures too */
	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		if (is_partition_of(d, disk) && d->content.kind != CONTENT_EXTENDED)
			r = wipe_signatures(fd, node, d->start, d->size, e);
	}
	if (r == 0 && fsync(fd) < 0)
		return error_errno(e, errno, "write %s", node);
	return r;
}

static void pause_briefly(void)
{
	(void)nanosleep(&(struct timespec) { .tv_nsec = 50 * 1000 * 1000 }, NULL); /* shorter is fine */
}

enum { patience = 200 }; /* pauses: ten seconds */

/* Somebody may look at the disk for a moment (udev does): try again. */
static int reread(int fd, const char *node, struct error *e)
{
	for (int i = 0; ioctl(fd, BLKRRPART) < 0; i++) {
		if (errno != EBUSY || i == patience)
			return error_errno(e, errno, "let the kernel read the partition table of %s again",
					   node);
		pause_briefly();
	}
	return 0;
}

int disk_check_node(int fd, const char *node, unsigned number, struct error *e)
{
	struct stat disk, st;

	if (fstat(fd, &disk) < 0 || stat(node, &st) < 0)
		return error_errno(e, errno, "look at %s", node);
	if (S_ISBLK(st.st_mode) && block_partition(st.st_rdev) == number &&
	    block_disk(st.st_rdev) == disk.st_rdev)
		return 0;
	return error_text(e, ESTALE, "%s belongs to another disk than planned; nothing was written to it",
			  node);
}

static bool has_size(const char *node, uint64_t size)
{
	_cleanup_(fd) int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	uint64_t now;

	return fd >= 0 && ioctl(fd, BLKGETSIZE64, &now) == 0 && now == size;
}

static int wait_for_partition(int disk_fd, const char *node, const struct device *d, struct error *e)
{
	int r;

	for (int i = 0; (r = disk_check_node(disk_fd, node, d->number, e)) < 0 || !has_size(node, d->size);
	     i++) {
		if (i == patience)
			return r < 0 && r != -ENOENT
				       ? r
				       : error_text(e, ENODEV, "%s has not appeared in ten seconds", node);
		pause_briefly();
	}
	return 0;
}

/* Exclusively no more, and only to read. */
static int reopen(const char *node, int *fd, struct error *e)
{
	_cleanup_(fd) int again = open(node, O_RDONLY | O_CLOEXEC);

	if (again < 0)
		return error_errno(e, errno, "open %s", node);
	int r = disk_check_node(*fd, node, 0, e);

	if (r < 0)
		return r;
	if (close(TAKE_FD(*fd)) < 0)
		return error_errno(e, errno, "close %s", node);
	*fd = TAKE_FD(again);
	return lock(*fd, node, e);
}

int disk_release(const struct machine *m, const struct device *disk, const char *node, int *fd,
		 struct error *e)
{
	/* also without one: partitions of the old table must not stay. What cannot have any need not forget them */
	int r = reread(*fd, node, e);

	if (disk->table == TABLE_NONE && (r == -EINVAL || r == -ENOTTY))
		r = 0;
	if (r == 0)
		r = reopen(node, fd, e);
	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		/* the kernel shows only the beginning of an extended one */
		if (!is_partition_of(d, disk) || d->content.kind == CONTENT_EXTENDED)
			continue;
		_cleanup_(free) char *partition = partition_node(node, d->number);

		r = wait_for_partition(*fd, partition, d, e);
	}
	return r;
}

int disk_expect_table(const struct machine *m, const struct device *array, struct error *e)
{
	_cleanup_(machine) struct machine found = { 0 };
	struct device *now = machine_add(&found, DEVICE_RAID, array->name);
	_cleanup_(free) char *node = device_node(array);

	now->size = array->size;
	now->sector_size = array->sector_size;
	int r = table_read(&found, now, e);

	return r < 0 ? r : table_compare(m, array, &found, now, node, e);
}
