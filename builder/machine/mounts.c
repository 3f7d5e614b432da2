#include "machine/mounts.h"

#include "machine/btrfs.h"

#include <errno.h>
#include <libmount/libmount.h>
#include <strings.h>
#include <sys/stat.h>

struct mounts {
	struct libmnt_table *live, *fstab, *swaps;
};

void mounts_free(struct mounts *m)
{
	if (!m)
		return;
	mnt_unref_table(m->live);
	mnt_unref_table(m->fstab);
	mnt_unref_table(m->swaps);
	free(m);
}

/* A line that libmount does not understand is skipped, as mount(8) does. */
static int skip_bad_line(struct libmnt_table *table, const char *file, int line)
{
	(void)table; /* every table alike */
	(void)file;
	(void)line;
	return 1;
}

static struct libmnt_table *new_table(void)
{
	struct libmnt_table *t = mnt_new_table();

	if (t && mnt_table_set_parser_errcb(t, skip_bad_line) < 0) {
		mnt_unref_table(t);
		return NULL;
	}
	return t;
}

int mounts_load(struct mounts **ret, struct error *e)
{
	_cleanup_(mounts) struct mounts *m = xcalloc(1, sizeof(*m));
	struct stat st;

	m->live = new_table();
	m->fstab = new_table();
	m->swaps = new_table();
	if (!m->live || !m->fstab || !m->swaps)
		return error_errno(e, ENOMEM, "read the mount table");
	int r = mnt_table_parse_mtab(m->live, "/proc/self/mountinfo");

	if (r != 0)
		return error_errno(e, r < 0 ? -r : EIO, "read /proc/self/mountinfo");
	if (stat("/etc/fstab", &st) == 0) {
		r = mnt_table_parse_fstab(m->fstab, "/etc/fstab");
		if (r != 0)
			return error_errno(e, r < 0 ? -r : EIO, "read /etc/fstab");
	}
	if (stat("/proc/swaps", &st) == 0) { /* a kernel need not have swap */
		r = mnt_table_parse_swaps(m->swaps, "/proc/swaps");
		if (r != 0)
			return error_errno(e, r < 0 ? -r : EIO, "read /proc/swaps");
	}
	*ret = TAKE_PTR(m);
	return 0;
}

/* The numbers that btrfs gives its mounts are no device's, and of several devices the mount names one. */
static bool is_btrfs_on(struct libmnt_fs *fs, dev_t devno)
{
	const char *type = mnt_fs_get_fstype(fs), *source = mnt_fs_get_srcpath(fs);
	struct stat st;

	return type && streq(type, "btrfs") && source && stat(source, &st) == 0 && S_ISBLK(st.st_mode) &&
	       (st.st_rdev == devno || btrfs_is_same(st.st_rdev, devno));
}

const char *mounts_subvolume(const struct mounts *m, dev_t devno, const char *path)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	const char *folder = NULL;
	struct libmnt_fs *fs;

	while (i && mnt_table_next_fs(m->live, i, &fs) == 0) {
		const char *root = mnt_fs_get_root(fs), *target = mnt_fs_get_target(fs);

		if (root && streq(root, path) && is_btrfs_on(fs, devno) && (!folder || streq(target, "/")))
			folder = target;
	}
	mnt_free_iter(i);
	return folder;
}

static const char *any_subvolume(const struct mounts *m, dev_t devno)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	const char *folder = NULL;
	struct libmnt_fs *fs;

	while (i && mnt_table_next_fs(m->live, i, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs);

		if (is_btrfs_on(fs, devno) && (!folder || streq(target, "/")))
			folder = target;
	}
	mnt_free_iter(i);
	return folder;
}

void mounts_btrfs(const struct mounts *m, struct strlist *ret)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (i && mnt_table_next_fs(m->live, i, &fs) == 0) {
		const char *type = mnt_fs_get_fstype(fs), *source = mnt_fs_get_srcpath(fs);

		if (type && streq(type, "btrfs") && source && *source == '/')
			strlist_add_once(ret, source);
	}
	mnt_free_iter(i);
}

/* Is it what one sees there? Another may be mounted over it. btrfs has numbers of its own for each subvolume. */
static bool is_on_top(struct libmnt_fs *fs)
{
	const char *type = mnt_fs_get_fstype(fs);
	struct stat st;

	return (type && streq(type, "btrfs")) || stat(mnt_fs_get_target(fs), &st) < 0 ||
	       st.st_dev == mnt_fs_get_devno(fs);
}

static const char *find_folder(const struct mounts *m, dev_t devno, bool seen)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	const char *folder = NULL;
	struct libmnt_fs *fs;

	while (i && !folder && mnt_table_next_fs(m->live, i, &fs) == 0) {
		const char *root = mnt_fs_get_root(fs);

		if (mnt_fs_get_devno(fs) == devno && root && streq(root, "/") && (!seen || is_on_top(fs)))
			folder = mnt_fs_get_target(fs);
	}
	mnt_free_iter(i);
	return folder || !devno ? folder : any_subvolume(m, devno);
}

const char *mounts_folder(const struct mounts *m, dev_t devno)
{
	return find_folder(m, devno, false);
}

const char *mounts_seen(const struct mounts *m, dev_t devno)
{
	return find_folder(m, devno, true);
}

bool mounts_is_swap(const struct mounts *m, dev_t devno)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool is = false;

	while (i && !is && mnt_table_next_fs(m->swaps, i, &fs) == 0) {
		const char *path = mnt_fs_get_srcpath(fs);
		struct stat st;

		is = path && stat(path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == devno;
	}
	mnt_free_iter(i);
	return is;
}

/* The PARTUUID of a partition: on an MBR disk made of its signature and the number. */
static char *part_uuid(const struct device *d)
{
	if (d->part_uuid)
		return xstrdup(d->part_uuid);
	if (d->kind == DEVICE_PARTITION && d->parent->table == TABLE_MBR && d->parent->table_id)
		return xasprintf("%s-%02x", d->parent->table_id + strlen("0x"), d->number);
	return NULL;
}

/* /dev/disk/by-…, /dev/mapper/… stand for nodes. */
static bool is_at(const struct device *d, const char *path)
{
	_cleanup_(free) char *node = device_node(d);
	/* NULL when it is not there */
	_cleanup_(free) char *real = realpath(path, NULL), *real_node = node ? realpath(node, NULL) : NULL;

	return node && (streq(path, node) || (real && real_node && streq(real, real_node)));
}

static bool names(struct libmnt_fs *fs, const struct device *d)
{
	_cleanup_(free) char *partition = part_uuid(d);
	const struct {
		const char *tag, *value;
	} tags[] = {
		{ "UUID", d->content.uuid },
		{ "LABEL", d->content.label },
		{ "PARTUUID", partition },
		{ "PARTLABEL", d->part_name },
	};
	const char *tag, *value, *path = mnt_fs_get_srcpath(fs);

	if (mnt_fs_get_tag(fs, &tag, &value) == 0) {
		for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
			if (streq(tag, tags[i].tag) && tags[i].value && strcasecmp(value, tags[i].value) == 0)
				return true;
		return false;
	}
	if (!path || *path != '/')
		return false;
	for (size_t i = 0; d->kind == DEVICE_BTRFS && i < d->below_count; i++)
		if (d->below[i] && is_at(d->below[i], path))
			return true;
	return is_at(d, path);
}

bool mounts_fstab(const struct mounts *m, const struct device *d, const char **ret_folder,
		  const char **ret_options)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool is = false;

	while (i && !is && mnt_table_next_fs(m->fstab, i, &fs) == 0) {
		is = names(fs, d);
		if (is) {
			*ret_folder = mnt_fs_get_target(fs);
			*ret_options = mnt_fs_get_options(fs);
		}
	}
	mnt_free_iter(i);
	return is;
}

const char *mounts_options(const struct mounts *m, const struct device *d, const char *folder)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	const char *options = NULL;
	struct libmnt_fs *fs;

	while (i && !options && mnt_table_next_fs(m->fstab, i, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs);

		if (target && streq(target, folder) && names(fs, d))
			options = mnt_fs_get_options(fs);
	}
	mnt_free_iter(i);
	return options;
}

const char *mounts_needed(const struct mounts *m, const struct device *d)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	const char *folder = NULL;
	struct libmnt_fs *fs;

	while (i && !folder && mnt_table_next_fs(m->fstab, i, &fs) == 0)
		if (names(fs, d) && mnt_fs_match_options(fs, "nonofail,nonoauto"))
			folder = mnt_fs_get_target(fs);
	mnt_free_iter(i);
	return folder;
}
