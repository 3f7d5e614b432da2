/* What an archive holds, from its stream. */
#include "backup/archive.h"

#include "base/fs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

enum { block = 256 << 10 };

static int failed(struct archive *a, struct error *e)
{
	const char *why = archive_error_string(a);

	return error_text(e, EBADMSG, "read the archive: %s", why ? why : "it is damaged");
}

/* The content with its holes, as a reader of the file would get it. */
static int hash(struct archive *a, uint64_t size, unsigned char ret[DIGEST_SIZE], struct error *e)
{
	_cleanup_(free) char *buf = xmalloc(block);
	_cleanup_(digest) struct digest *d = digest_new();
	uint64_t done = 0;
	la_ssize_t n;

	while ((n = archive_read_data(a, buf, block)) > 0) {
		digest_add(d, buf, (size_t)n);
		done += (uint64_t)n;
	}
	if (n < 0)
		return failed(a, e);
	if (done > size)
		return error_text(e, EBADMSG, "read the archive: a file longer than its size");
	memset(buf, 0, block);
	while (done < size) { /* libarchive gives no hole at the end */
		size_t zeros = size - done < block ? (size_t)(size - done) : block;

		digest_add(d, buf, zeros);
		done += zeros;
	}
	digest_bytes(d, ret);
	return 0;
}

static int list_entry(struct archive *a, struct archive_entry *entry,
		      int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		      struct error *e)
{
	_cleanup_(listed) struct listed f = { .mode = archive_entry_mode(entry),
					      .uid = (uint32_t)archive_entry_uid(entry),
					      .gid = (uint32_t)archive_entry_gid(entry),
					      .size = (uint64_t)archive_entry_size(entry) };
	const char *path = archive_entry_pathname(entry), *target = archive_entry_symlink(entry);
	bool link = archive_entry_hardlink(entry) != NULL;

	if (!path)
		return error_text(e, EBADMSG, "read the archive: an entry without a path");
	path = streq(path, "./") ? "." : path;
	f.path = xasprintf("%s%s", *path == '.' && (!path[1] || path[1] == '/') ? "" : "./", path);
	for (size_t n = strlen(f.path); n > 1 && f.path[n - 1] == '/'; n--)
		f.path[n - 1] = '\0';
	if (link)
		f.mode = 0;
	f.target = target ? xstrdup(target) : NULL;
	if (S_ISREG(f.mode)) {
		int r = hash(a, f.size, f.sha, e);

		if (r < 0)
			return r;
		f.has_sha = true;
	}
	return each(user, &f, e);
}

int archive_list(int fd, int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		 struct error *e)
{
	_cleanup_(fd) int in = fd;
	_cleanup_(free) char *rest = xmalloc(block);
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int r = 0, code = ARCHIVE_OK;
	ssize_t n = 1;

	if (!a)
		return error_errno(e, ENOMEM, "read the archive");
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open_fd(a, in, block) != ARCHIVE_OK)
		r = failed(a, e);
	while (r == 0 && (code = archive_read_next_header(a, &entry)) == ARCHIVE_OK)
		r = list_entry(a, entry, each, user, e);
	if (r == 0 && code != ARCHIVE_EOF)
		r = failed(a, e);
	(void)archive_read_free(a); /* it holds no file */
	while (r == 0 && n > 0) /* what fills the last block */
		n = read_full(in, rest, block);
	return n < 0 ? error_errno(e, (int)-n, "read the archive") : r;
}
