/* One file out of an archive. */
#include "backup/files_private.h"

#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

struct source {
	const struct pull *in;
	struct error *e;
};

static la_ssize_t read_piece(struct archive *a, void *user, const void **ret)
{
	struct source *s = user;
	const char *data = NULL;
	ssize_t n = s->in->next(s->in->user, &data, s->e);

	*ret = data;
	if (n < 0)
		archive_set_error(a, EIO, "%s", s->e->text);
	return n;
}

static int extract(struct archive *a, struct archive *disk, const struct listed *f, int fd, const char *name,
		   uint32_t *ret_flags, struct error *e)
{
	_cleanup_(free) char *full = xasprintf("/proc/self/fd/%d/%s", fd, name);
	struct archive_entry *entry;
	unsigned long set = 0, clear = 0;

	if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return error_text(e, EIO, "restore %s: %s", f->path, archive_error_string(a));
	if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != (f->mode & AE_IFMT))
		return error_text(e, EBADMSG, "%s: another file is where the index says", f->path);
	archive_entry_fflags(entry, &set, &clear);
	archive_entry_copy_pathname(entry, full);
	if (archive_read_extract2(a, entry, disk) == ARCHIVE_OK && archive_write_close(disk) == ARCHIVE_OK) {
		*ret_flags = (uint32_t)set;
		return 0;
	}
	const char *why = archive_error_string(a);

	return error_text(e, EIO, "restore %s: %s", f->path, why ? why : archive_error_string(disk));
}

int take_from_archive(const struct pull *in, const struct listed *f, int fd, const char *name,
		      uint32_t *ret_flags, struct error *e)
{
	const int flags = ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_ACL |
			  ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SPARSE;
	struct archive *a = archive_read_new(), *disk = archive_write_disk_new();
	struct error why = { 0 };
	struct source source = { .in = in, .e = &why };
	int r;

	if (!a || !disk)
		r = error_errno(e, ENOMEM, "restore %s", f->path);
	else if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
		 archive_write_disk_set_options(disk, flags) != ARCHIVE_OK ||
		 archive_read_open(a, &source, NULL, read_piece, NULL) != ARCHIVE_OK)
		r = error_text(e, EIO, "restore %s: %s", f->path, archive_error_string(a));
	else
		r = extract(a, disk, f, fd, name, ret_flags, e);
	(void)archive_read_free(a); /* it holds no file */
	(void)archive_write_free(disk); /* closed where it matters */
	return r;
}
