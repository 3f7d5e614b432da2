#include "machine/recovered.h"

#include "base/fs.h"
#include "base/in_root.h"
#include "machine/btrfs.h"
#include "machine/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

/* Opens a folder inside the root, made when it is missing; links, absolute ones too, do not lead out of it. */
static int open_inside(const char *root, const char *path, struct error *e)
{
	_cleanup_(fd) int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return error_errno(e, errno, "open %s", root);
	int fd = make_folder_in_root(root_fd, path, 0755, e);

	if (fd < 0)
		error_prefix(e, "below %s", root);
	return fd;
}

/* The real path of an open folder. The caller frees. */
static int path_of(int fd, char **ret, struct error *e)
{
	_cleanup_(free) char *link = xasprintf("/proc/self/fd/%d", fd);
	char path[4096];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n < 0)
		return error_errno(e, errno, "read %s", link);
	*ret = xstrndup(path, (size_t)n);
	return 0;
}

int recovered_inside(const struct recovered *r, const char *folder, char **ret, struct error *e)
{
	_cleanup_(fd) int fd = open_inside(r->path, streq(folder, "/") ? "." : folder, e);

	return fd < 0 ? fd : path_of(fd, ret, e);
}

void recovered_add(struct recovered *r, char *path, const char *name)
{
	strlist_take(&r->mounts, path);
	strlist_add(&r->names, name);
}

int recovered_mount(struct recovered *r, const struct device *d, const char *node, struct error *e)
{
	const char *mountpoint = d->content.mountpoint ? d->content.mountpoint : "/";
	_cleanup_(free) char *root =
		d->content.mountpoint ? xstrdup(r->path) : xasprintf("%s.%s", r->path, d->name);
	_cleanup_(free) char *folder = NULL;
	const struct fs_ops *ops = fs_find(d->content.type);
	int code = mkdir_parents_at(AT_FDCWD, root, 0755, e);

	if (code < 0)
		return code;
	_cleanup_(fd) int fd = open_inside(root, streq(mountpoint, "/") ? "." : mountpoint, e);

	if (fd < 0)
		return fd;
	code = path_of(fd, &folder, e);
	if (code < 0)
		return code;
	_cleanup_(free) char *subvolume = d->kind == DEVICE_SUBVOLUME ? btrfs_mount_data(d) : NULL;

	if (mount(node, folder, ops->mount_type, 0, subvolume ? subvolume : ops->mount_data) < 0)
		return error_errno(e, errno, "mount %s (%s) at %s", node, ops->mount_type, folder);
	recovered_add(r, TAKE_PTR(folder), d->name);
	return 0;
}

int recovered_mount_top(struct recovered *r, const struct device *d, const char *node,
			const char **ret_folder, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s.top-%s", r->path, d->name);
	int code = 0;

	for (char *p = path + strlen(r->path); *p; p++)
		*p = *p == '/' ? '-' : *p; /* of a volume */
	if (!strlist_has(&r->mounts, path)) {
		code = mkdir_parents_at(AT_FDCWD, path, 0755, e);
		if (code == 0 && mount(node, path, "btrfs", 0, "subvolid=5") < 0)
			code = error_errno(e, errno, "mount %s (btrfs) at %s", node, path);
		if (code < 0)
			return code;
		strlist_add(&r->mounts, path);
		strlist_addf(&r->names, "top of %s", d->name);
	}
	for (size_t i = 0; i < r->mounts.count; i++)
		if (streq(r->mounts.items[i], path))
			*ret_folder = r->mounts.items[i];
	return 0;
}

const char *recovered_folder(const struct recovered *r, const struct device *d)
{
	for (size_t i = 0; i < r->names.count; i++)
		if (streq(r->names.items[i], d->name))
			return r->mounts.items[i];
	return NULL;
}

int recovered_make_folders(const struct recovered *r, struct error *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} folders[] = {
		{ "dev", 0755 }, { "proc", 0555 }, { "sys", 0555 }, { "run", 0755 }, { "tmp", 01777 }
	};
	_cleanup_(fd) int fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", r->path);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		const char *name = folders[i].name;

		if (mkdirat(fd, name, folders[i].mode) < 0) {
			if (errno != EEXIST)
				return error_errno(e, errno, "make %s/%s", r->path, name);
		} else if (fchmodat(fd, name, folders[i].mode, 0) < 0) {
			return error_errno(e, errno, "make %s/%s", r->path, name); /* whatever the umask */
		}
	}
	return 0;
}

int recovered_bind(struct recovered *r, struct error *e)
{
	static const char *const folders[] = { "/dev", "/proc", "/sys", "/run" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *path = NULL;
		int code = recovered_inside(r, folders[i], &path, e);

		if (code < 0)
			return code;
		if (strlist_has(&r->mounts, path))
			continue; /* bound before */
		if (mount(folders[i], path, NULL, MS_BIND, NULL) < 0)
			return error_errno(e, errno, "bind %s at %s", folders[i], path);
		recovered_add(r, TAKE_PTR(path), "");
	}
	return 0;
}

static void forget_last(struct strlist *l)
{
	free(l->items[--l->count]);
	l->items[l->count] = NULL;
}

/* umount(2) does not tell when the last bytes could not be written; syncfs(2) does. */
static int flush(const char *path)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? negative_errno() : 0;
}

/* A program that has just ended may still be letting go. */
static int unmount(const char *path)
{
	for (int i = 0; umount2(path, UMOUNT_NOFOLLOW) < 0; i++) {
		if (errno != EBUSY || i == 20)
			return -errno;
		(void)nanosleep(&(struct timespec) { .tv_nsec = 100 * 1000 * 1000 }, NULL); /* or shorter */
	}
	return 0;
}

static bool is_ours(const char *target, const char *path)
{
	const char *rest = str_after(target, path);

	return rest && (*rest == '\0' || *rest == '/' || *rest == '.');
}

int recovered_clear(const char *path, struct error *e)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_BACKWARD); /* the last one mounted comes first */
	struct libmnt_fs *fs;
	int code = table && i ? 0 : error_errno(e, ENOMEM, "read /proc/self/mountinfo");

	while (code == 0 && mnt_table_next_fs(table, i, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs);

		if (!target || !is_ours(target, path))
			continue;
		code = unmount(target);
		if (code < 0)
			code = error_errno(e, -code, "unmount %s, which a recovery has left", target);
	}
	mnt_free_iter(i);
	mnt_unref_table(table);
	return code;
}

int recovered_unmount(struct recovered *r, struct error *e)
{
	int first = 0;

	while (r->mounts.count) {
		const char *path = r->mounts.items[r->mounts.count - 1];
		bool ours = *r->names.items[r->names.count - 1] != '\0';
		int code = ours ? flush(path) : 0;

		if (code < 0 && first == 0)
			first = error_errno(e, -code, "write %s", path);
		code = unmount(path);
		if (code < 0 && first == 0)
			first = error_errno(e, -code, "unmount %s", path);
		forget_last(&r->mounts);
		forget_last(&r->names);
	}
	strlist_free(&r->mounts);
	strlist_free(&r->names);
	return first;
}
