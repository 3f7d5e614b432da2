#include "backup/tape.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

enum { block = 512, end_size = 2 * block, flush_every = 32 << 20 };

/* ustar Interchange Format */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
		version[2], uname[32], gname[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == block, "a ustar header is a block");

static uint64_t padded(uint64_t size)
{
	return (size + block - 1) / block * block;
}

void tape_free(struct tape *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->files[i].path);
	free(t->files);
	*t = (struct tape) { 0 };
}

/* ---- headers ---- */

static unsigned sum_of(const struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(*h); i++)
		sum += i >= offsetof(struct header, checksum) && i < offsetof(struct header, type) ? ' '
												   : p[i];
	return sum;
}

static void put_octal(char *field, size_t size, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)value); /* fits */
	memcpy(field, text, size);
}

static void put_size(struct header *h, uint64_t size)
{
	if (size < 1ULL << 33) {
		put_octal(h->size, sizeof(h->size), size);
		return;
	}
	memset(h->size, 0, sizeof(h->size));
	h->size[0] = (char)0x80;
	for (int i = 11; size; i--, size >>= 8)
		h->size[i] = (char)(size & 0xff);
}

/* False: an octal field that is none. */
static bool get_number(const char *field, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	if ((unsigned char)field[0] == 0x80) {
		for (i = 1; i < size; i++) {
			if (value >> 55)
				return false;
			value = value << 8 | (unsigned char)field[i];
		}
		*ret = value;
		return true;
	}
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	if (i == 0 || (i < size && field[i] != '\0' && field[i] != ' '))
		return false;
	*ret = value;
	return true;
}

static int make_header(struct header *h, const char *folder, const char *name, uint64_t size, bool is_folder,
		       struct error *e)
{
	memset(h, 0, sizeof(*h));
	if (strlen(folder) > sizeof(h->prefix) || strlen(name) > sizeof(h->name))
		return error_text(e, ENAMETOOLONG, "%s/%s: its name is too long for a tape", folder, name);
	memcpy(h->prefix, folder, strlen(folder));
	memcpy(h->name, name, strlen(name));
	put_octal(h->mode, sizeof(h->mode), is_folder ? 0700 : 0600);
	put_octal(h->uid, sizeof(h->uid), 0);
	put_octal(h->gid, sizeof(h->gid), 0);
	put_size(h, size);
	put_octal(h->mtime, sizeof(h->mtime), (uint64_t)time(NULL));
	h->type = is_folder ? '5' : '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->uname, "root", 4);
	memcpy(h->gname, "root", 4);
	/* six digits, a NUL, a blank */
	put_octal(h->checksum, 7, sum_of(h));
	h->checksum[7] = ' ';
	return 0;
}

static bool is_zero(const void *data, size_t len)
{
	const char *p = data;

	return len == 0 || (*p == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* ---- reading ---- */

static int device_size(int fd, const char *shown, uint64_t *ret, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", shown);
	if (S_ISREG(st.st_mode)) {
		*ret = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return error_text(e, ENOTBLK, "%s: it is neither a block device nor a file", shown);
	return ioctl(fd, BLKGETSIZE64, ret) < 0 ? error_errno(e, errno, "%s: its size", shown) : 0;
}

/* 1: a header, 0: the end mark. */
static int read_header(int fd, const char *shown, uint64_t at, struct header *h, uint64_t *ret_size,
		       struct error *e)
{
	ssize_t n = pread_full(fd, h, sizeof(*h), (off_t)at);
	uint64_t sum;

	if (n < 0)
		return error_errno(e, (int)-n, "read %s at byte %llu", shown, (unsigned long long)at);
	if (n == sizeof(*h) && is_zero(h, sizeof(*h)))
		return 0;
	if (n != sizeof(*h) || memcmp(h->magic, "ustar", 6) != 0 ||
	    !get_number(h->checksum, sizeof(h->checksum), &sum) || sum != sum_of(h) ||
	    !get_number(h->size, sizeof(h->size), ret_size))
		return error_text(e, EBADMSG, "%s: damaged at byte %llu: no header of a file is there", shown,
				  (unsigned long long)at);
	return 1;
}

static void add_file(struct tape *t, const struct header *h, uint64_t at, uint64_t size)
{
	t->files = xgrow(t->files, t->count + 1, &t->capacity, sizeof(*t->files));
	t->files[t->count++] = (struct tape_file) {
		.path = xasprintf("%.155s%s%.100s", h->prefix, *h->prefix ? "/" : "", h->name),
		.at = at,
		.size = size,
	};
}

int tape_scan(int fd, const char *shown, struct tape *ret, struct error *e)
{
	_cleanup_(tape) struct tape t = { 0 };
	struct header h;
	uint64_t at = 0, size = 0;
	int r = device_size(fd, shown, &t.size, e);

	while (r == 0) {
		r = read_header(fd, shown, at, &h, &size, e);
		if (at == 0 && (r == 0 || r == -EBADMSG ||
				(r == 1 && strncmp(h.name, TAPE_README, sizeof(h.name)) != 0)))
			return error_text(e, EMEDIUMTYPE, "%s holds no backups of Lifeboat", shown);
		if (r <= 0)
			break;
		if (size > t.size || at + block + padded(size) > t.size)
			return error_text(e, EBADMSG, "%s: damaged at byte %llu: the file there does not fit",
					  shown, (unsigned long long)at);
		add_file(&t, &h, at + block, size);
		at += block + padded(size);
		r = 0;
	}
	if (r < 0)
		return r;
	t.end = at;
	*ret = t;
	t = (struct tape) { 0 };
	return 0;
}

const struct tape_file *tape_find(const struct tape *t, const char *path)
{
	for (size_t i = 0; i < t->count; i++)
		if (streq(t->files[i].path, path))
			return &t->files[i];
	return NULL;
}

int tape_read(int fd, const struct tape *t, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct error *e)
{
	const struct tape_file *f = tape_find(t, path);

	if (!f || f->size > max)
		return error_errno(e, f ? EFBIG : ENOENT, "open %s", path);
	_cleanup_(free) char *text = xmalloc((size_t)f->size + 1);
	ssize_t n = pread_full(fd, text, (size_t)f->size, (off_t)f->at);

	if (n != (ssize_t)f->size)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", path);
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

/* ---- appending ---- */

void tape_begin(struct tape_writer *w, int fd, const struct tape *t, const char *host, const char *name)
{
	*w = (struct tape_writer) { .fd = fd,
				    .size = t->size,
				    .begin = t->end,
				    .at = t->end + end_size, /* of the two folders */
				    .folder = xasprintf("%s/%s", host, name) };
}

/* What stands behind the last byte has to leave room for the end mark. */
static int put(struct tape_writer *w, const void *data, size_t len, uint64_t at, struct error *e)
{
	if (at + len + end_size > w->size && at >= w->begin + end_size)
		return error_text(e, ENOSPC,
				  "the device is full: take a larger one, or start it anew (--overwrite)");
	int r = pwrite_all(w->fd, data, len, (off_t)at);

	return r < 0 ? error_errno(e, -r, "write at byte %llu", (unsigned long long)at) : 0;
}

int tape_file_begin(struct tape_writer *w, struct error *e)
{
	static const char nothing[block];

	w->header = w->flushed = w->at;
	w->at += block;
	return put(w, nothing, block, w->header, e);
}

int tape_write(struct tape_writer *w, const void *data, size_t len, struct error *e)
{
	int r = put(w, data, len, w->at, e);

	if (r < 0)
		return r;
	w->at += len;
	if (w->at - w->flushed >= flush_every) {
		/* So that the fsync at the end finds little left. */
		(void)sync_file_range(w->fd, (off_t)w->flushed, (off_t)(w->at - w->flushed),
				      SYNC_FILE_RANGE_WRITE);
		w->flushed = w->at;
	}
	return 0;
}

int tape_file_end(struct tape_writer *w, const char *name, struct error *e)
{
	static const char zeros[block];
	uint64_t size = w->at - w->header - block;
	struct header h;
	int r = make_header(&h, w->folder, name, size, false, e);

	if (r == 0)
		r = put(w, zeros, (size_t)(padded(size) - size), w->at, e);
	w->at = w->header + block + padded(size);
	return r < 0 ? r : put(w, &h, sizeof(h), w->header, e);
}

int tape_commit(struct tape_writer *w, struct error *e)
{
	static const char zeros[end_size];
	_cleanup_(free) char *host = xstrdup(w->folder), *set = NULL;
	struct header folders[2];

	*strchr(host, '/') = '\0';
	set = xasprintf("%s/", strchr(w->folder, '/') + 1);
	_cleanup_(free) char *host_folder = xasprintf("%s/", host);
	int r = make_header(&folders[0], "", host_folder, 0, true, e);

	if (r == 0)
		r = make_header(&folders[1], host, set, 0, true, e);
	if (r == 0)
		r = pwrite_all(w->fd, zeros, sizeof(zeros), (off_t)w->at) < 0
			    ? error_errno(e, EIO, "write the end mark")
			    : 0;
	if (r == 0 && fsync(w->fd) < 0)
		r = error_errno(e, errno, "flush");
	/* From here on it is there. */
	if (r == 0)
		r = pwrite_all(w->fd, folders, sizeof(folders), (off_t)w->begin) < 0
			    ? error_errno(e, EIO, "write the folders of the set")
			    : 0;
	if (r == 0 && fsync(w->fd) < 0)
		r = error_errno(e, errno, "flush");
	return r;
}

void tape_writer_free(struct tape_writer *w)
{
	free(w->folder);
	*w = (struct tape_writer) { .fd = -1 };
}
