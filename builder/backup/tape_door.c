/* The one door to writing a raw device for backups: what is on it decides. */
#include "backup/tape.h"

#include "base/fs.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { mib = 1 << 20, look = 4 * mib, samples = 64, sample = 4096 };

static const char readme[] =
	"This device holds backups made by Lifeboat. It is one tar archive, from its first byte on:\n"
	"\n"
	"    tar -tvf DEVICE                        lists it (the end of the device is not its end)\n"
	"    tar -xf DEVICE -C FOLDER HOST/SET      gets a set; then follow RECOVER.txt in it\n"
	"    tar -xOf DEVICE HOST/SET/RECOVER.txt   shows that page\n"
	"\n"
	"Without room for a whole set, each stream can be read where it is, in the order of its chunks:\n"
	"\n"
	"    tar -xOf DEVICE --wildcards 'HOST/SET/root.dump.zst.*' | zstd -d | restore -r -b 1024 -f -\n"
	"\n"
	"sha256sum compares what tar gives with HOST/SET/SHA256SUMS.\n";

static void cleanup_probe(blkid_probe *p)
{
	blkid_free_probe(*p);
}

/* A file system, RAID, volume or table that libblkid knows; NULL: none. The caller frees. */
static int known_content(int fd, const char *shown, char **ret, struct error *e)
{
	_cleanup_(probe) blkid_probe p = blkid_new_probe();
	const char *type = NULL, *table = NULL, *label = NULL;

	if (!p || blkid_probe_set_device(p, fd, 0, 0) < 0 || blkid_probe_enable_superblocks(p, 1) < 0 ||
	    blkid_probe_enable_partitions(p, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL) < 0)
		return error_text(e, EIO, "%s: libblkid cannot look at it", shown);
	int r = blkid_do_safeprobe(p); /* 1: nothing found; -2: several that contradict each other */

	if (r == -1)
		return error_text(e, EIO, "%s: libblkid cannot read it", shown);
	(void)blkid_probe_lookup_value(p, "TYPE", &type, NULL); /* NULL stays when there is none */
	(void)blkid_probe_lookup_value(p, "PTTYPE", &table, NULL);
	(void)blkid_probe_lookup_value(p, "LABEL", &label, NULL);
	if (r == -2)
		*ret = xstrdup("several file systems at a time");
	else if (type)
		*ret = str_printable(
			xasprintf("%s%s%s%s", type, label ? " '" : "", label ? label : "", label ? "'" : ""));
	else if (table)
		*ret = xasprintf("a partition table (%s)", table);
	return 0;
}

/* Are these bytes zeros? 1, 0, or an error. */
static int are_zeros(int fd, const char *shown, char *buffer, size_t len, uint64_t at, struct error *e)
{
	ssize_t n = pread_full(fd, buffer, len, (off_t)at);

	if (n != (ssize_t)len)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", shown);
	return len == 0 || (*buffer == 0 && memcmp(buffer, buffer + 1, len - 1) == 0);
}

/* Its beginning, its end, and places in between. 1, 0, or an error. */
static int is_blank(int fd, const char *shown, uint64_t size, struct error *e)
{
	_cleanup_(free) char *buffer = xmalloc(look);
	size_t ends = size < look ? (size_t)size : look;
	int r = are_zeros(fd, shown, buffer, ends, 0, e);

	if (r == 1)
		r = are_zeros(fd, shown, buffer, ends, size - ends, e);
	for (unsigned i = 1; r == 1 && size > look && i < samples; i++)
		r = are_zeros(fd, shown, buffer, sample, (size - sample) / samples * i / sample * sample, e);
	return r;
}

/* What would be lost. */
static int content_of(int fd, const char *shown, struct tape *t, char **ret, struct error *e)
{
	int r = tape_scan(fd, shown, t, e);

	if (r == 0) {
		if (t->count > 1)
			*ret = xstrdup("backups of Lifeboat");
		return 0;
	}
	if (r == -EBADMSG) {
		*ret = xstrdup("damaged backups of Lifeboat");
		return 0;
	}
	if (r != -EMEDIUMTYPE)
		return r;
	r = known_content(fd, shown, ret, e);
	if (r < 0 || *ret)
		return r;
	struct stat st;
	uint64_t size = 0;

	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", shown);
	if (S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size;
	else if (ioctl(fd, BLKGETSIZE64, &size) < 0)
		return error_errno(e, errno, "%s: its size", shown);
	if (size < mib)
		return error_text(e, ENOSPC, "%s: it is smaller than 1 MiB", shown);
	t->size = size;
	r = is_blank(fd, shown, size, e);
	if (r == 0)
		*ret = xstrdup("something that is not zeros");
	return r < 0 ? r : 0;
}

int tape_content(const char *path, char **ret, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(tape) struct tape t = { 0 };

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	return content_of(fd, path, &t, ret, e);
}

/* A new tape: old signatures go first, at the beginning and at the end. */
static int make(int fd, const char *shown, uint64_t size, struct tape *ret, struct error *e)
{
	_cleanup_(free) char *zeros = xcalloc(1, mib);
	struct tape empty = { .size = size };
	struct tape_writer w = { 0 };
	int r = pwrite_all(fd, zeros, mib, 0);

	if (r == 0)
		r = pwrite_all(fd, zeros, mib, (off_t)(size - mib));
	if (r < 0 || fsync(fd) < 0)
		return error_errno(e, r < 0 ? -r : errno, "write %s", shown);
	tape_begin(&w, fd, &empty, "", "");
	w.at = 0; /* no folders in front of it */
	w.folder[0] = '\0';
	r = tape_file_begin(&w, e);
	if (r == 0)
		r = tape_write(&w, readme, sizeof(readme) - 1, e);
	if (r == 0)
		r = tape_file_end(&w, TAPE_README, e);
	if (r == 0 && fsync(fd) < 0)
		r = error_errno(e, errno, "flush");
	tape_writer_free(&w);
	if (r < 0) {
		error_prefix(e, "write %s", shown);
		return r;
	}
	return tape_scan(fd, shown, ret, e);
}

int tape_open_for_writing(const char *path, const char *shown, bool overwrite, int *ret_fd, struct tape *ret,
			  struct error *e)
{
	/* O_EXCL, of a block device: nothing is mounted from it or its partitions, nothing else holds it, and nothing
	 * can come to as long as we do. */
	_cleanup_(fd) int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	_cleanup_(tape) struct tape t = { 0 };
	_cleanup_(free) char *content = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return errno == EBUSY
			       ? error_text(e, EBUSY, "%s: it is in use (mounted, swap, RAID or a volume)",
					    shown)
			       : error_errno(e, errno, "open %s", shown);
	if (fstat(fd, &st) < 0 || (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)))
		return error_text(e, ENOTBLK, "%s: it is neither a block device nor a file", shown);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) /* of a file in a device's place */
		return error_text(e, EBUSY, "%s: another backup is being written there", shown);
	r = content_of(fd, shown, &t, &content, e);
	if (r < 0)
		return r;
	bool ours = t.count > 0;

	if (content && !ours && !overwrite)
		return error_text(e, EEXIST,
				  "%s: it holds %s, which would be lost (--overwrite, if that is meant)",
				  shown, content);
	if (!ours || overwrite) {
		uint64_t size = t.size;

		if (!size && S_ISREG(st.st_mode))
			size = (uint64_t)st.st_size;
		else if (!size && ioctl(fd, BLKGETSIZE64, &size) < 0)
			return error_errno(e, errno, "%s: its size", shown);
		if (size < mib)
			return error_text(e, ENOSPC, "%s: it is smaller than 1 MiB", shown);
		tape_free(&t);
		r = make(fd, shown, size, &t, e);
		if (r < 0)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	*ret = t;
	t = (struct tape) { 0 };
	return 0;
}
