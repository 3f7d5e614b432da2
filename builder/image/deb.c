/* Kernel packages, for machines that have no kernel of their own on disk: a .deb is an ar archive
 * (deb(5)) whose member data.tar.* holds the files. Nothing of it is installed. */
#include "image/kernel.h"

#include "base/cache.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/proc.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static void cleanup_reader(struct archive **a)
{
	if (*a)
		(void)archive_read_free(*a); /* read side */
}

static int archive_failed(struct archive *a, const char *what, const char *path, struct error *e)
{
	int code = archive_errno(a);

	return error_text(e, code > 0 && code < 4096 ? code : EIO, "%s %s: %s", what, path,
			  archive_error_string(a) ? archive_error_string(a) : "unknown error");
}

/* The inner archive reads the outer one's present member. */
static la_ssize_t read_member(struct archive *inner, void *user, const void **ret)
{
	static const size_t block = 1 << 16;
	struct archive **outer = user;
	static char buf[1 << 16];
	la_ssize_t n = archive_read_data(*outer, buf, block);

	if (n < 0)
		archive_set_error(inner, archive_errno(*outer), "%s", archive_error_string(*outer));
	*ret = buf;
	return n;
}

/* Only the kernel and its modules; documentation and scripts stay where they are. NULL: not wanted. */
static const char *wanted_path(const char *path)
{
	static const char *const wanted[] = { "boot/", "lib/modules/", "usr/lib/modules/" };

	path = str_after(path, "./") ? path + 2 : path;
	if (strstr(path, "../"))
		return NULL;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (str_after(path, wanted[i]))
			return path;
	return NULL;
}

static int copy_data(struct archive *from, int fd, const char *deb, const char *path, struct error *e)
{
	const void *data;
	size_t len;
	la_int64_t offset;

	for (;;) {
		int r = archive_read_data_block(from, &data, &len, &offset);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return archive_failed(from, "read", deb, e);
		r = pwrite_all(fd, data, len, offset);
		if (r < 0)
			return error_errno(e, -r, "write %s", path);
	}
}

static int unpack_file(struct archive *from, const char *folder, const char *path, const char *deb,
		       struct error *e)
{
	_cleanup_(free) char *full = xasprintf("%s/%s", folder, path);
	_cleanup_(free) char *parent = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	int r = mkdir_parents_at(AT_FDCWD, parent, 0755, e);

	if (r < 0)
		return r;
	_cleanup_(fd) int fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return error_errno(e, errno, "create %s", full);
	r = copy_data(from, fd, deb, full, e);
	if (r == 0 && close(TAKE_FD(fd)) < 0)
		r = error_errno(e, errno, "write %s", full);
	return r;
}

/* The member data.tar.*, which the outer archive stands at. Folders come with their files; the links
 * of a kernel package (to its build folder) lead nowhere here. */
static int unpack_member(struct archive *outer, const char *folder, const char *deb, struct error *e)
{
	_cleanup_(reader) struct archive *tar = archive_read_new();
	struct archive_entry *entry;

	if (!tar)
		return error_errno(e, ENOMEM, "read %s", deb);
	if (archive_read_support_filter_xz(tar) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(tar) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(tar) != ARCHIVE_OK ||
	    archive_read_support_format_tar(tar) != ARCHIVE_OK ||
	    archive_read_open(tar, &outer, NULL, read_member, NULL) != ARCHIVE_OK)
		return archive_failed(tar, "read", deb, e);
	for (;;) {
		int r = archive_read_next_header(tar, &entry);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return archive_failed(tar, "read", deb, e);
		const char *path = wanted_path(archive_entry_pathname(entry));

		if (!path || archive_entry_filetype(entry) != AE_IFREG)
			continue;
		r = unpack_file(tar, folder, path, deb, e);
		if (r < 0)
			return r;
	}
}

static int unpack_data(const char *deb, const char *folder, struct error *e)
{
	_cleanup_(reader) struct archive *ar = archive_read_new();
	struct archive_entry *entry;

	if (!ar)
		return error_errno(e, ENOMEM, "read %s", deb);
	if (archive_read_support_format_ar(ar) != ARCHIVE_OK ||
	    archive_read_open_filename(ar, deb, 1 << 20) != ARCHIVE_OK)
		return archive_failed(ar, "read", deb, e);
	for (;;) {
		int r = archive_read_next_header(ar, &entry);

		if (r == ARCHIVE_EOF)
			return error_text(e, EINVAL, "read %s: not a Debian package: it has no data.tar",
					  deb);
		if (r != ARCHIVE_OK)
			return archive_failed(ar, "read", deb, e);
		if (str_after(archive_entry_pathname(entry), "data.tar"))
			return unpack_member(ar, folder, deb, e);
	}
}

/* The package has no modules.dep: its installation would have made it. */
static int make_indexes(const char *folder, struct error *e)
{
	_cleanup_(free) char *lib = xasprintf("%s/lib", folder);
	_cleanup_(free) char *modules = xasprintf("%s/modules", lib);
	_cleanup_(strlist) struct strlist versions = { 0 };

	/* depmod looks below lib only */
	if (access(lib, F_OK) < 0 && symlink("usr/lib", lib) < 0)
		return error_errno(e, errno, "link %s", lib);
	DIR *d = opendir(modules);

	if (!d)
		return error_errno(e, errno, "open %s", modules);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			strlist_add(&versions, entry->d_name);
	(void)closedir(d); /* read side */
	for (size_t i = 0; i < versions.count; i++) {
		int r = proc_run((const char *const[]) { "depmod", "-b", folder, versions.items[i], NULL },
				 NULL, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_current(const char *folder, const char *stamp)
{
	_cleanup_(free) char *path = xasprintf("%s/package", folder);
	_cleanup_(free) char *text = NULL;
	struct error ignored;

	return read_file_at(AT_FDCWD, path, 4096, &text, NULL, &ignored) == 0 && streq(text, stamp);
}

/* Unpacks into `partial` and gives it its name. */
static int fill(const char *deb, const char *partial, const char *folder, const char *stamp, struct error *e)
{
	_cleanup_(free) char *mark = xasprintf("%s/package", partial);
	/* What a killed run left behind: nobody else is at it, we hold the lock. */
	int r = remove_tree_at(AT_FDCWD, partial, e);

	if (r == 0)
		r = mkdir_parents_at(AT_FDCWD, partial, 0755, e);
	if (r == 0)
		r = unpack_data(deb, partial, e);
	if (r == 0)
		r = make_indexes(partial, e);
	if (r == 0)
		r = write_file_at(AT_FDCWD, mark, 0644, stamp, strlen(stamp), e);
	if (r == 0)
		r = remove_tree_at(AT_FDCWD, folder, e);
	if (r == 0 && rename(partial, folder) < 0)
		r = error_errno(e, errno, "unpack %s into %s", deb, folder);
	if (r < 0)
		(void)remove_tree_at(AT_FDCWD, partial, NULL); /* the error in hand comes first */
	return r;
}

/* Tells packages of the same name apart: another one is unpacked anew, while a copy is the same one. What is
 * first in a package, its control archive, has the sums of all files. */
static int make_stamp(const char *deb, char **ret, struct error *e)
{
	enum { beginning = 1 << 20 };
	_cleanup_(fd) int fd = open(deb, O_RDONLY | O_CLOEXEC);
	_cleanup_(free) char *data = xmalloc(beginning);
	_cleanup_(digest) struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", deb);
	ssize_t n = read_full(fd, data, beginning);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", deb);
	digest_add(d, data, (size_t)n);
	digest_hex(d, hex);
	*ret = xasprintf("%lld %s\n", (long long)st.st_size, hex);
	return 0;
}

int deb_unpack(const char *deb, char **ret, struct report *report, struct error *e)
{
	_cleanup_(free) char *cache = NULL;
	_cleanup_(free) char *stamp = NULL;
	int r = make_stamp(deb, &stamp, e);

	if (r == 0)
		r = cache_folder("kernels", &cache, e);
	if (r < 0)
		return r;
	const char *slash = strrchr(deb, '/');
	const char *name = slash ? slash + 1 : deb;
	_cleanup_(free) char *folder = xasprintf("%s/%.*s", cache, (int)(strlen(name) - 4), name);
	_cleanup_(free) char *partial = xasprintf("%s/partial", cache);
	_cleanup_(free) char *lock_path = xasprintf("%s/lock", cache);
	_cleanup_(fd) int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_errno(e, errno, "lock %s", lock_path);
	if (!is_current(folder, stamp)) {
		report_info(report, "unpacking %s into %s (once; it is not installed)", name, folder);
		r = fill(deb, partial, folder, stamp, e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(folder);
	return 0;
}
