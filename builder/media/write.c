/* A stick file onto the device that a person has consented to. */
#include "media/device.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum {
	mib = 1 << 20,
	step = 4 * mib, /* of one write or read */
	alignment = 4096, /* what O_DIRECT may want of memory and offsets */
};

/* A plan of one write: `head` is the first MiB, with the MBR. It is written last, so that a stick
 * that was pulled out half-way does not look like a good one. */
struct job {
	const struct usb_device *device;
	const char *file; /* for messages */
	int in, out;
	uint64_t size; /* of the stick file, whole MiB */
	void *buffer, *other; /* `step` bytes each, aligned */
	struct report *report;
};

static void job_free(struct job *j)
{
	if (j->in >= 0)
		(void)close(j->in); /* read side */
	if (j->out >= 0)
		(void)close(j->out); /* fsync has spoken, or the write has failed already */
	free(j->buffer);
	free(j->other);
}
DEFINE_CLEANUP(job, struct job, job_free)

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

static bool same_device(const struct usb_device *a, const struct usb_device *b)
{
	return a->number == b->number && a->diskseq == b->diskseq && a->size == b->size &&
	       same_text(a->serial, b->serial) && same_text(a->wwn, b->wwn) && same_text(a->model, b->model);
}

static bool same_content(const struct usb_device *a, const struct usb_device *b)
{
	_cleanup_(free) char *x = strlist_join(&a->content, "\n"), *y = strlist_join(&b->content, "\n");

	return streq(x, y);
}

/* Between question and answer sticks may have been swapped, or the one may have been written to. */
static int recheck(const struct usb_device *device, struct error *e)
{
	_cleanup_(usb_device) struct usb_device now = { 0 };
	int r = usb_inspect(device->path, &now, e);

	if (r < 0)
		return r;
	if (!same_device(device, &now))
		return error_text(e, ENODEV, "write %s: it is not the disk any more that was shown",
				  device->path);
	if (now.refusal)
		return error_text(e, EBUSY, "write %s: %s", device->path, now.refusal);
	if (!same_content(device, &now))
		return error_text(e, ESTALE, "write %s: what is on it has changed since it was shown",
				  device->path);
	return 0;
}

/* Again, of the descriptor that is written to: from here on the disk cannot be exchanged. */
static bool is_device(int fd, const struct usb_device *device)
{
	uint64_t size, sequence = 0;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == device->number &&
	       ioctl(fd, BLKGETSIZE64, &size) == 0 && size == device->size &&
	       /* an old kernel knows neither the number nor the request */
	       (ioctl(fd, BLKGETDISKSEQ, &sequence) < 0 || sequence == device->diskseq);
}

static int open_both(struct job *j, struct error *e)
{
	struct stat st;
	char need[SIZE_TEXT_MAX], there[SIZE_TEXT_MAX];

	j->in = open(j->file, O_RDONLY | O_CLOEXEC);
	if (j->in < 0 || fstat(j->in, &st) < 0)
		return error_errno(e, errno, "open %s", j->file);
	if (st.st_size <= 0 || st.st_size % mib != 0)
		return error_text(e, EINVAL, "%s is not a stick file: its size is not whole MiB", j->file);
	j->size = (uint64_t)st.st_size;
	if (j->size > j->device->size)
		return error_text(e, ENOSPC, "write %s: it needs %s and the device has %s", j->device->path,
				  format_size(j->size, need), format_size(j->device->size, there));
	j->out = open(j->device->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (j->out < 0)
		return error_errno(e, errno, "open %s for writing", j->device->path);
	if (!is_device(j->out, j->device))
		return error_text(e, ENODEV, "write %s: it is not the disk any more that was shown",
				  j->device->path);
	if (posix_memalign(&j->buffer, alignment, step) != 0 ||
	    posix_memalign(&j->other, alignment, step) != 0)
		return error_errno(e, ENOMEM, "write %s", j->device->path);
	return 0;
}

static int put(struct job *j, const void *data, size_t len, uint64_t at, struct error *e)
{
	int r = pwrite_all(j->out, data, len, (off_t)at);

	return r < 0 ? error_errno(e, -r, "write %s at %" PRIu64, j->device->path, at) : 0;
}

/* Old signatures go first: the beginning, and the end with its backup GPT or RAID superblock. */
static int wipe_ends(struct job *j, struct error *e)
{
	uint64_t end = j->device->size > j->size + mib ? j->device->size - mib : j->size;
	int r;

	memset(j->buffer, 0, mib);
	r = put(j, j->buffer, mib, 0, e);
	if (r == 0)
		r = put(j, j->buffer, (size_t)(j->device->size - end < mib ? j->device->size - end : mib),
			end, e);
	return r;
}

static int copy(struct job *j, uint64_t from, uint64_t to, struct error *e)
{
	for (uint64_t at = from; at < to; at += step) {
		size_t len = to - at < step ? (size_t)(to - at) : step;
		ssize_t n = pread_full(j->in, j->buffer, len, (off_t)at);

		if (n != (ssize_t)len)
			return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", j->file);
		int r = put(j, j->buffer, len, at, e);

		if (r < 0)
			return r;
		report_progress(j->report, at - from + len);
	}
	return 0;
}

static int flush(const struct job *j, struct error *e)
{
	return fsync(j->out) < 0 ? error_errno(e, errno, "write %s", j->device->path) : 0;
}

static int write_stick(struct job *j, struct error *e)
{
	report_begin(j->report, "writing", j->size);
	int r = wipe_ends(j, e);

	if (r == 0)
		r = flush(j, e); /* else the old head could outlive the new data */
	if (r == 0)
		r = copy(j, mib, j->size, e);
	if (r == 0)
		r = flush(j, e);
	if (r == 0)
		r = copy(j, 0, mib, e);
	if (r == 0)
		r = flush(j, e);
	report_end(j->report);
	return r;
}

/* From the medium, not from memory: the kernel's copy is dropped, and O_DIRECT passes it by. */
static int read_back(struct job *j, struct error *e)
{
	int direct = O_DIRECT;

	if (ioctl(j->out, BLKFLSBUF, 0) < 0)
		return error_errno(e, errno, "drop the kernel's copy of %s", j->device->path);
	_cleanup_(fd) int fd = open(j->device->path, O_RDONLY | O_CLOEXEC | direct);

	if (fd < 0 && errno == EINVAL)
		fd = open(j->device->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(e, errno, "open %s", j->device->path);
	for (uint64_t at = 0; at < j->size; at += step) {
		size_t len = j->size - at < step ? (size_t)(j->size - at) : step;
		ssize_t n = pread_full(fd, j->buffer, len, (off_t)at);

		if (n != (ssize_t)len)
			return error_errno(e, n < 0 ? (int)-n : EIO, "read back %s at %" PRIu64,
					   j->device->path, at);
		n = pread_full(j->in, j->other, len, (off_t)at);
		if (n != (ssize_t)len)
			return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", j->file);
		if (memcmp(j->buffer, j->other, len) != 0)
			return error_text(
				e, EIO,
				"%s does not give back what was written (first difference after byte "
				"%" PRIu64 "): the device is faulty, use another",
				j->device->path, at);
		report_progress(j->report, at + len);
	}
	return 0;
}

int usb_write_device(const struct usb_device *device, const char *stick_file, struct report *report,
		     struct error *e)
{
	_cleanup_(job) struct job j = {
		.device = device, .file = stick_file, .in = -1, .out = -1, .report = report
	};
	int r;

	if (device->refusal)
		return error_text(e, EBUSY, "write %s: %s", device->path, device->refusal);
	r = recheck(device, e);
	if (r == 0)
		r = open_both(&j, e);
	if (r == 0)
		r = write_stick(&j, e);
	if (r < 0)
		return r;
	report_begin(report, "reading back", j.size);
	r = read_back(&j, e);
	report_end(report);
	if (r < 0)
		return r;
	if (ioctl(j.out, BLKRRPART) < 0 && errno != EINVAL) /* EINVAL: it has no partitions, as loops have */
		report_warn(report, "%s: the kernel still sees the old partitions: %s; plug it in anew",
			    device->path, strerror(errno));
	return 0;
}
