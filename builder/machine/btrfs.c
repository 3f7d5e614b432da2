#include "machine/btrfs.h"

#include "base/fs.h"
#include "machine/detached.h"

#include <btrfsutil.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>

static int open_top(const char *node, bool writable, int *ret, struct error *e)
{
	static const struct mount_option top[] = { { "subvolid", "5" }, { NULL, NULL } };
	static const struct mount_option read_only[] = { { "subvolid", "5" },
							 { "ro", NULL },
							 { NULL, NULL } };
	int r = mount_detached("btrfs", node, writable, top, ret, e);

	/* mounted without replay of its log, it can only be mounted so again */
	return r == -EINVAL && !writable ? mount_detached("btrfs", node, writable, read_only, ret, e) : r;
}

/* Below the top level: no link leads out of it. */
static int open_below(int top, const char *path, int *ret, struct error *e)
{
	const char *below = path + strspn(path, "/");

	*ret = openat(top, *below ? below : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? error_errno(e, errno, "open the subvolume %s", path) : 0;
}

int btrfs_open(const struct device *subvolume, int *ret_fd, struct error *e)
{
	_cleanup_(free) char *node = device_node(subvolume->parent);
	_cleanup_(fd) int top = -1;
	int r = open_top(node, false, &top, e);

	return r < 0 ? r : open_below(top, subvolume->subvolume.path, ret_fd, e);
}

/* ---- finding ---- */

struct found {
	char *path;
	struct btrfs_util_subvolume_info info;
};
struct found_list {
	struct found *items;
	size_t count, capacity;
};
static void found_list_free(struct found_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].path);
	free(l->items);
}
DEFINE_CLEANUP(found_list, struct found_list, found_list_free)

/* Owns `path`. */
static void add(struct found_list *l, char *path, const struct btrfs_util_subvolume_info *info)
{
	l->items = xgrow(l->items, l->count + 1, &l->capacity, sizeof(*l->items));
	l->items[l->count++] = (struct found) { path, *info };
}

static int failed(const char *node, struct error *e)
{
	return error_errno(e, errno, "list the subvolumes of %s", node);
}

/* A snapshot of a backup that is running. */
static bool is_ours(const char *path)
{
	return str_after(path, "." SNAPSHOT_TAG) != NULL;
}

static int find_all(int top, const char *node, struct found_list *ret, struct error *e)
{
	struct btrfs_util_subvolume_iterator *i;
	struct btrfs_util_subvolume_info info;
	enum btrfs_util_error code = btrfs_util_subvolume_info_fd(top, BTRFS_FS_TREE_OBJECTID, &info);
	char *path;

	if (code != BTRFS_UTIL_OK)
		return failed(node, e);
	add(ret, xstrdup("/"), &info);
	code = btrfs_util_create_subvolume_iterator_fd(top, BTRFS_FS_TREE_OBJECTID, 0, &i);
	if (code != BTRFS_UTIL_OK)
		return failed(node, e);
	while ((code = btrfs_util_subvolume_iterator_next_info(i, &path, &info)) == BTRFS_UTIL_OK) {
		if (!is_ours(path))
			add(ret, xasprintf("/%s", path), &info);
		free(path);
	}
	int r = code == BTRFS_UTIL_ERROR_STOP_ITERATION ? 0 : failed(node, e);

	btrfs_util_destroy_subvolume_iterator(i);
	return r;
}

static bool is_set(const uint8_t uuid[16])
{
	static const uint8_t none[16];

	return memcmp(uuid, none, sizeof(none)) != 0;
}

static bool is_read_only(const struct found *f)
{
	return f->info.flags & BTRFS_ROOT_SUBVOL_RDONLY;
}

/* What only keeps an earlier state of another one. */
static bool is_snapshot(const struct found *f)
{
	return is_read_only(f) && is_set(f->info.parent_uuid);
}

static const struct found *made_of(const struct found_list *l, const struct found *f)
{
	for (size_t i = 0; i < l->count && is_set(f->info.parent_uuid); i++)
		if (memcmp(l->items[i].info.uuid, f->info.parent_uuid, 16) == 0)
			return &l->items[i];
	return NULL;
}

/* A snapshot that is saved whole: where they are sent, one whose data begins in the top level, which is not, or in what is gone. */
static bool is_copied(const struct machine *m, const struct found_list *l, const struct found *f)
{
	const struct found *of = f;

	if (!is_snapshot(f) || !m->sends_snapshots)
		return is_snapshot(f);
	for (size_t i = 0; of && is_snapshot(of) && i < l->count; i++)
		of = made_of(l, of);
	return !of || is_snapshot(of) || streq(of->path, "/");
}

/* What snapshots share with what they were made of is theirs alone in the copy: whether all fits then is not
 * known until it is read, but that each is at most as large as all that is in use. */
static bool keep_copied(const struct machine *m, const struct device *d, const struct found_list *l,
			struct content *c, struct report *report)
{
	unsigned __int128 most = c->used;
	_cleanup_(strlist) struct strlist names = { 0 };

	for (size_t i = 0; i < l->count; i++)
		if (is_copied(m, l, &l->items[i])) {
			strlist_add(&names, l->items[i].path);
			most += c->used;
		}
	if (names.count == 0)
		return true;
	_cleanup_(free) char *all = strlist_join(&names, ", ");
	bool keep = most <= d->size / 10 * 9;

	if (keep) {
		c->used = (uint64_t)most;
		report_warn(report, "%s: snapshots are saved as full copies, and so are recovered: %s",
			    d->name, all);
	} else {
		report_warn(
			report,
			"%s: snapshots are left out, as they may not fit as the full copies that they would "
			"become: %s",
			d->name, all);
	}
	return keep;
}

/* What came by btrfs-receive(8) is known by the UUID that it had where it was sent; a copy of its files is another. */
static void tell_received(const struct device *d, const struct found_list *l, struct report *report)
{
	_cleanup_(strlist) struct strlist names = { 0 };

	for (size_t i = 0; i < l->count; i++)
		if (is_set(l->items[i].info.received_uuid))
			strlist_add(&names, l->items[i].path);
	_cleanup_(free) char *all = names.count ? strlist_join(&names, ", ") : NULL;

	if (all)
		report_warn(report,
			    "%s: what was received by btrfs receive is not that any more on a recovered "
			    "system, so "
			    "the next btrfs send to it must be a whole one: %s",
			    d->name, all);
}

static int check_path(const struct device *d, const char *path, struct error *e)
{
	return strchr(path, ',') || strchr(path, '\n')
		       ? error_text(
				 e, EOPNOTSUPP,
				 "%s: the subvolume '%s' cannot be mounted by its name: rename it, without "
				 "commas and line breaks",
				 d->name, path)
		       : 0;
}

static int add_device(struct machine *m, struct device *d, const struct found_list *l, size_t index,
		      uint64_t default_id, int top, struct error *e)
{
	const struct found *f = &l->items[index];
	_cleanup_(free) char *name = xasprintf("%s.%zu", d->name, index + 1);
	const struct found *of = made_of(l, f);
	_cleanup_(fd) int fd = -1;
	struct stat st;
	int r = check_path(d, f->path, e);

	if (r == 0)
		r = open_below(top, f->path, &fd, e);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "look at the subvolume %s", f->path);
	for (char *p = name; *p; p++)
		*p = *p == '/' ? '-' : *p; /* of a volume */
	struct device *s = machine_add(m, DEVICE_SUBVOLUME, name);

	s->parent = d;
	s->size = d->size;
	s->subvolume = (struct subvolume) {
		.path = xstrdup(f->path),
		.snapshot_of = of ? xstrdup(of->path) : NULL,
		.read_only = is_read_only(f),
		.is_default = f->info.id == default_id,
	};
	s->content.kind = CONTENT_SUBVOLUME;
	s->content.type = xstrdup(d->content.type);
	s->now.devno = st.st_dev;
	return 0;
}

int btrfs_survey(struct machine *m, struct device *d, struct report *report, struct error *e)
{
	_cleanup_(found_list) struct found_list all = { 0 };
	_cleanup_(free) char *node = device_node(d);
	_cleanup_(fd) int top = -1;
	uint64_t default_id = 0;
	int r = open_top(node, false, &top, e);

	if (r == 0)
		r = find_all(top, node, &all, e);
	if (r < 0)
		return r;
	if (btrfs_util_get_default_subvolume_fd(top, &default_id) != BTRFS_UTIL_OK)
		return failed(node, e);
	if (!m->sends_snapshots)
		tell_received(d, &all, report);
	bool keep = keep_copied(m, d, &all, &d->content, report);

	for (size_t i = 0; i < all.count && r == 0; i++)
		if (keep || !is_copied(m, &all, &all.items[i]))
			r = add_device(m, d, &all, i, default_id, top, e);
	return r;
}

/* ---- snapshots for a backup ---- */

static bool is_subvolume(int parent, const char *name)
{
	_cleanup_(fd) int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && btrfs_util_is_subvolume_fd(fd) == BTRFS_UTIL_OK;
}

/* What comes and goes in the top level leaves its time as it was: `before` is from before that. */
static int keep_time(int top, const struct stat *before, const char *node, struct error *e)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, before->st_mtim };

	return futimens(top, times) < 0
		       ? error_errno(e, errno, "put back the time of the top level of %s", node)
		       : 0;
}

int btrfs_snapshot(const struct device *subvolume, unsigned number, int *ret_fd, struct error *e)
{
	_cleanup_(free) char *node = device_node(subvolume->parent);
	_cleanup_(free) char *name = xasprintf(".%s-%u", SNAPSHOT_TAG, number);
	_cleanup_(fd) int top = -1;
	_cleanup_(fd) int fd = -1;
	struct stat before;
	int r = open_top(node, true, &top, e);

	if (r == 0)
		r = open_below(top, subvolume->subvolume.path, &fd, e);
	if (r == 0 && fstat(top, &before) < 0)
		r = error_errno(e, errno, "look at the top level of %s", node);
	if (r < 0)
		return r;
	if (btrfs_util_create_snapshot_fd2(fd, top, name, BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY, NULL, NULL) !=
	    BTRFS_UTIL_OK)
		return error_errno(e, errno, "make a snapshot of %s", subvolume->subvolume.path);
	r = keep_time(top, &before, node, e);
	return r < 0 ? r : open_below(top, name, ret_fd, e);
}

int btrfs_remove_snapshots(const char *node, struct error *e)
{
	_cleanup_(fd) int top = -1;
	const struct dirent *entry;
	struct stat before;
	bool any = false;
	int r = open_top(node, true, &top, e);

	if (r == 0 && fstat(top, &before) < 0)
		r = error_errno(e, errno, "look at the top level of %s", node);
	DIR *d = r < 0 ? NULL : fdopendir(top);

	if (r < 0)
		return r;
	if (!d)
		return error_errno(e, errno, "read the top level of the btrfs on %s", node);
	(void)TAKE_FD(top); /* the DIR's */
	for (errno = 0; r == 0 && (entry = readdir(d)); errno = 0)
		if (is_ours(entry->d_name) && is_subvolume(dirfd(d), entry->d_name)) {
			any = true;
			if (btrfs_util_delete_subvolume_fd(dirfd(d), entry->d_name, 0) != BTRFS_UTIL_OK)
				r = error_errno(e, errno, "remove the snapshot %s of %s", entry->d_name,
						node);
		}
	if (r == 0 && errno)
		r = error_errno(e, errno, "read the top level of the btrfs on %s", node);
	if (r == 0 && any)
		r = keep_time(dirfd(d), &before, node, e);
	(void)closedir(d); /* read side */
	return r;
}

/* ---- what was received ---- */

static bool is_received(const struct device *s)
{
	return s->kind == DEVICE_SUBVOLUME && s->content.stream && streq(s->content.method, "send");
}

static bool has_path(struct device *const all[], size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (streq(all[i]->subvolume.path, path))
			return true;
	return false;
}

int btrfs_received(const struct machine *m, const struct device *d, struct device ***ret, size_t *ret_count,
		   struct error *e)
{
	_cleanup_(free) struct device **all = xcalloc(m->count + 1, sizeof(struct device *));
	size_t count = 0, before, wanted = 0;

	for (size_t i = 0; i < m->count; i++)
		wanted += is_received(m->devices[i]) && m->devices[i]->parent == d;
	do { /* each time those whose parents are there */
		before = count;
		for (size_t i = 0; i < m->count; i++) {
			struct device *s = m->devices[i];

			if (is_received(s) && s->parent == d && !has_path(all, count, s->subvolume.path) &&
			    (!s->subvolume.send_parent || has_path(all, count, s->subvolume.send_parent)))
				all[count++] = s;
		}
	} while (count > before);
	if (count < wanted)
		return error_text(
			e, EINVAL,
			"the subvolumes of %s: 'send-parent' has to name another one of method send, "
			"and must not go round in a circle",
			d->name);
	*ret = TAKE_PTR(all);
	*ret_count = count;
	return 0;
}

/* The folder that its stream was received in, and the name of the one subvolume there, which the caller frees. -ENOENT: there is
 * none. */
static int find_received(int top, const struct device *s, int *ret_folder, char **ret_name, struct error *e)
{
	_cleanup_(free) char *path = xasprintf(BTRFS_RECEIVED "/%s", s->content.stream);
	_cleanup_(fd) int folder = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int copy = folder < 0 ? -1 : fcntl(folder, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	char *name = NULL;

	if (!d)
		return error_errno(e, errno, "open %s", path);
	while (!name && (entry = readdir(d)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			name = xstrdup(entry->d_name);
	(void)closedir(d); /* read side */
	if (!name)
		return error_text(e, ENOENT, "%s: nothing was received there", path);
	*ret_folder = TAKE_FD(folder);
	*ret_name = name;
	return 0;
}

static int open_received(int top, const struct device *s, int *ret, struct error *e)
{
	_cleanup_(free) char *name = NULL;
	_cleanup_(fd) int folder = -1;
	int r = find_received(top, s, &folder, &name, e);

	if (r < 0)
		return r;
	*ret = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? error_errno(e, errno, "open what was received for %s", s->subvolume.path) : 0;
}

/* A writable snapshot is nobody's copy any more; one that will be read-only is still what it was sent as. */
static int keep_received_uuid(int received, int made, const char *path, struct error *e)
{
	struct btrfs_util_subvolume_info info;
	struct btrfs_ioctl_received_subvol_args args = { 0 };

	if (btrfs_util_subvolume_info_fd(received, 0, &info) != BTRFS_UTIL_OK)
		return error_errno(e, errno, "look at what was received for %s", path);
	memcpy(args.uuid, info.received_uuid, sizeof(args.uuid));
	args.stransid = info.stransid;
	return ioctl(made, BTRFS_IOC_SET_RECEIVED_SUBVOL, &args) < 0
		       ? error_errno(e, errno, "keep the received UUID of %s", path)
		       : 0;
}

static int place_in(int received, int parent, const char *name, const struct device *s, struct error *e)
{
	const struct timespec none = { .tv_nsec = UTIME_OMIT };
	const char *path = s->subvolume.path;
	struct stat before;

	if (fstat(parent, &before) < 0)
		return error_errno(e, errno, "look at what holds %s", path);
	if (btrfs_util_create_snapshot_fd2(received, parent, name, 0, NULL, NULL) != BTRFS_UTIL_OK)
		return error_errno(e, errno, "make the subvolume %s of what was received", path);
	/* into a folder that was received itself */
	if (futimens(parent, (const struct timespec[]) { none, before.st_mtim }) < 0)
		return error_errno(e, errno, "put back the time of what holds %s", path);
	if (!s->subvolume.read_only)
		return 0;
	_cleanup_(fd) int made = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return made < 0 ? error_errno(e, errno, "open the subvolume %s", path)
			: keep_received_uuid(received, made, path, e);
}

/* Gone already, when this was interrupted: good as well. */
static int drop_one(int top, const struct device *s, struct error *e)
{
	_cleanup_(free) char *name = NULL;
	_cleanup_(fd) int folder = -1;
	int r = find_received(top, s, &folder, &name, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return btrfs_util_delete_subvolume_fd(folder, name, 0) == BTRFS_UTIL_OK
		       ? 0
		       : error_errno(e, errno, "remove what was received for %s", s->subvolume.path);
}

/* All are in their places. */
static int drop_received(int top, const struct machine *m, const struct device *d, struct error *e)
{
	int r = 0;
	bool any = false;

	for (size_t i = 0; i < m->count && r == 0; i++)
		if (is_received(m->devices[i]) && m->devices[i]->parent == d) {
			any = true;
			r = drop_one(top, m->devices[i], e);
		}
	return r == 0 && any ? remove_tree_at(top, BTRFS_RECEIVED, e) : r;
}

/* ---- making ---- */

static int make_one(int top, const struct device *s, struct error *e)
{
	const char *path = s->subvolume.path;
	_cleanup_(free) char *folder = xstrdup(path + strspn(path, "/"));
	char *slash = strrchr(folder, '/');
	const char *name = slash ? slash + 1 : folder;
	int r = 0;

	if (slash) {
		*slash = '\0';
		r = mkdir_parents_at(top, folder, 0755, e); /* what they are like is in their own subvolume */
	}
	_cleanup_(fd) int parent =
		r < 0 ? -1 : openat(top, slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (r < 0)
		return r;
	if (parent >= 0 && is_subvolume(parent, name))
		return 0; /* of a run that was interrupted */
	if (parent >= 0 && is_received(s)) {
		_cleanup_(fd) int received = -1;

		r = open_received(top, s, &received, e);
		return r < 0 ? r : place_in(received, parent, name, s, e);
	}
	if (parent < 0 || btrfs_util_create_subvolume_fd(parent, name, 0, NULL, NULL) != BTRFS_UTIL_OK)
		return error_errno(e, errno, "make the subvolume %s", path);
	return 0;
}

static int make_default(int top, const char *path, struct error *e)
{
	_cleanup_(fd) int fd = -1;
	uint64_t id;
	int r = open_below(top, path, &fd, e);

	if (r < 0)
		return r;
	if (btrfs_util_subvolume_id_fd(fd, &id) != BTRFS_UTIL_OK ||
	    btrfs_util_set_default_subvolume_fd(top, id) != BTRFS_UTIL_OK)
		return error_errno(e, errno, "make %s the default subvolume", path);
	return 0;
}

int btrfs_make_subvolumes(const struct machine *m, const struct device *d, const char *node, struct error *e)
{
	_cleanup_(fd) int top = -1;
	int r = open_top(node, true, &top, e);

	for (size_t i = 0; i < m->count && r == 0; i++) {
		const struct device *s = m->devices[i];

		if (s->kind != DEVICE_SUBVOLUME || s->parent != d)
			continue;
		if (!streq(s->subvolume.path, "/"))
			r = make_one(top, s, e);
		if (r == 0 && s->subvolume.is_default && !streq(s->subvolume.path, "/"))
			r = make_default(top, s->subvolume.path, e);
	}
	if (r == 0)
		r = drop_received(top, m, d, e);
	if (r == 0 && syncfs(top) < 0)
		r = error_errno(e, errno, "write %s", node);
	return r;
}

int btrfs_seal(const struct device *subvolume, const char *folder, struct error *e)
{
	if (!subvolume->subvolume.read_only)
		return 0;
	return btrfs_util_set_subvolume_read_only(folder, true) == BTRFS_UTIL_OK
		       ? 0
		       : error_errno(e, errno, "make %s read-only", folder);
}

/* What was compressed is so again: it may not fit otherwise. */
char *btrfs_mount_data(const struct device *subvolume)
{
	const char *options = subvolume->content.mount_options;
	struct strbuf b = { 0 };

	strbuf_printf(&b, "subvol=%s", subvolume->subvolume.path);
	for (const char *at = options ? options : ""; *at;) {
		size_t n = strcspn(at, ",");

		if (strncmp(at, "compress", strlen("compress")) == 0)
			strbuf_printf(&b, ",%.*s", (int)n, at);
		at += n + (at[n] == ',');
	}
	return b.data;
}
