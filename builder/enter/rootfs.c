/* Source: fstab(5). */
#include "enter/rootfs.h"

#include "base/fs.h"
#include "base/in_root.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <sys/stat.h>

struct filling {
	struct recovered *root;
	const struct installed *system;
	struct libmnt_table *fstab; /* NULL: none */
	bool check;
	enum check_answers answers;
	bool same_names; /* /dev/sda1 is here what it was there: at least its root is */
	struct report *report;
};

static void free_fstab(struct libmnt_table **t)
{
	mnt_unref_table(*t);
}
DEFINE_CLEANUP(fstab, struct libmnt_table *, free_fstab)

static void free_context(struct libmnt_context **c)
{
	mnt_free_context(*c);
}
DEFINE_CLEANUP(context, struct libmnt_context *, free_context)

bool fstab_name_lasts(const char *spec)
{
	static const char *const lasting[] = { "/dev/mapper/", "/dev/disk/", "/dev/md" };

	if (*spec != '/')
		return strchr(spec, '=') != NULL;
	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		if (str_after(spec, lasting[i]))
			return true;
	const char *name = str_after(spec, "/dev/");

	return name && strchr(name, '/'); /* GROUP/VOLUME */
}

static bool same_device(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISBLK(one.st_mode) &&
	       one.st_rdev == other.st_rdev;
}

/* By libmount, which knows which options are the kernel's and which are not. */
static int mount_at(const char *node, const char *folder, const char *type, const char *options,
		    struct error *e)
{
	_cleanup_(context) struct libmnt_context *c = mnt_new_context();

	if (!c)
		return error_errno(e, ENOMEM, "mount %s", node);
	if (mnt_context_disable_mtab(c, true) < 0 || mnt_context_disable_helpers(c, true) < 0 ||
	    mnt_context_disable_canonicalize(c, true) < 0 || mnt_context_set_source(c, node) < 0 ||
	    mnt_context_set_target(c, folder) < 0 || mnt_context_set_fstype(c, type) < 0 ||
	    mnt_context_set_options(c, options) < 0)
		return error_errno(e, EINVAL, "mount %s with options '%s'", node, options);
	int r = mnt_context_mount(c);

	if (r == 0)
		return 0;
	int code = mnt_context_get_syscall_errno(c);

	return error_errno(e, code > 0 ? code : r < 0 ? -r : EIO, "mount %s (%s) at %s", node, type, folder);
}

static int check_and_mount(const struct filling *f, const char *node, const char *folder, const char *type,
			   const char *options, struct error *e)
{
	_cleanup_(free) char *path = NULL;
	int r = f->check ? check_fs(node, type, f->answers, f->report, e) : 0;

	if (r == 0)
		r = recovered_inside(f->root, folder, &path, e);
	if (r == 0)
		r = mount_at(node, path, type, options, e);
	if (r < 0)
		return r;
	report_debug(f->report, "%s (%s) is mounted at %s", node, type, folder);
	recovered_add(f->root, TAKE_PTR(path), node);
	return 0;
}

/* ---- the fstab ---- */

static int skip_bad_line(struct libmnt_table *table, const char *file, int line)
{
	(void)table; /* as mount(8) does */
	(void)file;
	(void)line;
	return 1;
}

/* Leaves `f->fstab` NULL where there is none. */
static int read_fstab(struct filling *f, struct error *e)
{
	_cleanup_(fd) int root_fd = open(f->root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(fd) int fd = root_fd < 0 ? -1 : open_in_root(root_fd, "etc/fstab", O_RDONLY | O_NONBLOCK);

	if (fd < 0 && root_fd >= 0 && errno == ENOENT) {
		report_warn(f->report, "this system has no /etc/fstab: only its root is mounted");
		return 0;
	}
	_cleanup_(file) FILE *file = fd < 0 ? NULL : fdopen(fd, "re");

	if (!file)
		return error_errno(e, errno, "read %s/etc/fstab", f->root->path);
	(void)TAKE_FD(fd); /* the stream's */
	_cleanup_(fstab) struct libmnt_table *t = mnt_new_table();

	if (!t || mnt_table_set_parser_errcb(t, skip_bad_line) < 0)
		return error_errno(e, ENOMEM, "read %s/etc/fstab", f->root->path);
	mnt_table_enable_comments(t, false);
	int r = mnt_table_parse_stream(t, file, "fstab");

	if (r != 0)
		return error_errno(e, r < 0 ? -r : EIO, "read %s/etc/fstab", f->root->path);
	f->fstab = TAKE_PTR(t);
	return 0;
}

static struct libmnt_fs *root_entry(const struct filling *f)
{
	return f->fstab ? mnt_table_find_target(f->fstab, "/", MNT_ITER_FORWARD) : NULL;
}

static const char *spec_of(struct libmnt_fs *fs)
{
	const char *source = mnt_fs_get_source(fs);

	return source ? source : "none";
}

/* What is mounted at every boot, but is no disk's: "/srv/share (nfs)"; NULL: it is none of these. The caller frees. */
static char *other_kind(struct libmnt_fs *fs)
{
	const char *folder = mnt_fs_get_target(fs), *type = mnt_fs_get_fstype(fs);
	bool bound = !mnt_fs_match_options(fs, "nobind,norbind");
	bool distant = mnt_fs_is_netfs(fs) || !mnt_fs_match_options(fs, "no_netdev");

	if (!folder || *folder != '/' || !mnt_fs_match_options(fs, "nonoauto") || (!bound && !distant))
		return NULL;
	return xasprintf("%s (%s)", folder, bound ? "bind" : type && !streq(type, "auto") ? type : "network");
}

/* True: one of the file systems of disks, and wanted at every boot. */
static bool wanted(struct libmnt_fs *fs)
{
	const char *folder = mnt_fs_get_target(fs), *spec = spec_of(fs);

	return folder && *folder == '/' && !streq(folder, "/") && !mnt_fs_is_pseudofs(fs) &&
	       !mnt_fs_is_netfs(fs) && !mnt_fs_is_swaparea(fs) &&
	       (*spec == '/' ? !!str_after(spec, "/dev/") : !!strchr(spec, '=')) &&
	       mnt_fs_match_options(fs, "nobind,norbind,nonoauto,no_netdev");
}

static void mount_entry(const struct filling *f, struct libmnt_fs *fs)
{
	const char *folder = mnt_fs_get_target(fs), *spec = spec_of(fs), *options = mnt_fs_get_options(fs);
	struct error e;

	if (!fstab_name_lasts(spec) && !f->same_names) {
		report_warn(f->report, "%s is not mounted: %s may be another disk here than there", folder,
			    spec);
		return;
	}
	_cleanup_(free) char *node = blkid_evaluate_spec(spec, NULL);

	if (!node || access(node, F_OK) < 0) {
		report_warn(f->report, "%s is not mounted: %s is not here", folder, spec);
		return;
	}
	_cleanup_(free) char *type = blkid_get_tag_value(NULL, "TYPE", node);

	if (!type)
		report_warn(f->report, "%s is not mounted: no file system is seen on %s", folder, node);
	else if (check_and_mount(f, node, folder, type, options ? options : "", &e) < 0)
		report_warn(f->report, "%s is not mounted: %s", folder, e.text);
}

static void mount_rest(const struct filling *f)
{
	struct libmnt_iter *i = mnt_new_iter(MNT_ITER_FORWARD);
	_cleanup_(strlist) struct strlist others = { 0 };
	_cleanup_(free) char *all = NULL;
	struct libmnt_fs *fs;

	while (i && f->fstab && mnt_table_next_fs(f->fstab, i, &fs) == 0) {
		char *other = other_kind(fs);

		if (wanted(fs))
			mount_entry(f, fs);
		else if (other)
			strlist_take(&others, TAKE_PTR(other));
		free(other);
	}
	mnt_free_iter(i);
	all = strlist_join(&others, ", ");
	if (others.count)
		report_info(f->report, "not mounted, as they are no disks: %s", all);
}

/* ---- the root ---- */

/* As found; its fstab, which is read from it, may name another subvolume. The other options of / matter at boot only,
 * and are applied by the system itself when it is started. */
static int mount_root(struct filling *f, struct error *e)
{
	const struct installed *s = f->system;
	_cleanup_(free) char *found = s->subvolume ? xasprintf("rw,subvol=/%s", s->subvolume) : xstrdup("rw");
	int r = check_and_mount(f, s->node, "/", s->type, found, e);

	if (r == 0)
		r = read_fstab(f, e);
	struct libmnt_fs *fs = r == 0 ? root_entry(f) : NULL;

	if (r < 0 || !fs)
		return r;
	f->same_names = same_device(spec_of(fs), s->node);
	const char *options = mnt_fs_get_options(fs);

	if (!streq(s->type, "btrfs") || !options || !strstr(options, "subvol"))
		return 0;
	_cleanup_(free) char *named = xasprintf("%s,rw", options);

	if (check_and_mount(f, s->node, "/", s->type, named, e) < 0) /* on top of what was found */
		report_warn(f->report, "the subvolume that its fstab names is not mounted: %s", e->text);
	return 0;
}

int rootfs_mount(struct recovered *root, const struct installed *system, bool check,
		 enum check_answers answers, struct report *report, struct error *e)
{
	struct filling f = { root, system, NULL, check, answers, false, report };
	int r = mount_root(&f, e);

	if (r == 0)
		mount_rest(&f);
	mnt_unref_table(f.fstab);
	return r;
}
