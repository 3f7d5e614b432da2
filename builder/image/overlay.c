#include "image/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

struct overlay {
	struct tools *tools;
	const char *folder;
	bool ours;
	struct strlist *secrets;
	struct strlist files; /* canonical paths of what was added */
	const struct reason *why;
	struct error *e;
};

static int add_folder(struct overlay *o, int fd, const char *below);

static int add_link(const struct overlay *o, int dirfd, const char *name, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return error_errno(o->e, errno, "read %s/%s", o->folder, path);
	target[n] = '\0';
	return tree_add_link(o->tools->tree, path, target, o->why, o->e);
}

static int add_regular(struct overlay *o, const char *path, const struct stat *st)
{
	char *canonical;
	_cleanup_(free) char *source = xasprintf("%s/%s", o->folder, path);
	mode_t permissions = st->st_mode & 07777;

	if (o->ours)
		permissions = permissions & 0100 ? 0755 : 0644;
	else if (!(permissions & 0004))
		strlist_addf(o->secrets, "/%s", path);
	int r = tree_add_file(o->tools->tree, path, permissions, source, (uint64_t)st->st_size, o->why, o->e);

	if (r == 0)
		r = tree_canonical(o->tools->tree, path, &canonical, o->e);
	if (r == 0)
		strlist_take(&o->files, canonical);
	return r;
}

static int add_entry(struct overlay *o, int dirfd, const char *name, const char *path)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(o->e, errno, "read %s/%s", o->folder, path);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return add_regular(o, path, &st);
	case S_IFLNK:
		return add_link(o, dirfd, name, path);
	case S_IFCHR:
	case S_IFBLK:
		return tree_add_device(o->tools->tree, path, st.st_mode, st.st_rdev, o->why, o->e);
	case S_IFDIR:
		break;
	default:
		return error_text(o->e, EINVAL, "pack %s/%s: neither file, folder, link nor device",
				  o->folder, path);
	}
	/* Our folders are only there to hold files: /root stays private though git keeps it 0755. */
	o->tools->tree->replace = !o->ours;
	int r = tree_add_folder(o->tools->tree, path, o->ours ? 0755 : st.st_mode & 07777, o->why, o->e);

	o->tools->tree->replace = true;

	if (r < 0)
		return r;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_errno(o->e, errno, "open %s/%s", o->folder, path);
	return add_folder(o, fd, path);
}

/* Takes over `fd`. `below` is its path inside the overlay, "" for the overlay itself. */
static int add_folder(struct overlay *o, int fd, const char *below)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	DIR *d = fdopendir(fd);
	int r = 0;

	if (!d) {
		r = error_errno(o->e, errno, "read %s/%s", o->folder, below);
		(void)close(fd); /* read side */
		return r;
	}
	for (const struct dirent *entry; (entry = readdir(d));)
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			strlist_add(&names, entry->d_name);
	strlist_sort(&names);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s%s%s", below, *below ? "/" : "", names.items[i]);

		r = add_entry(o, dirfd(d), names.items[i], path);
	}
	(void)closedir(d); /* read side */
	return r;
}

/* What the overlay's programs, libraries and scripts need to run, in the overlay or on the machine. */
static int add_needs(const struct overlay *o)
{
	int r = 0;

	objects_look_again(&o->tools->libs.linker.objects);
	for (size_t i = 0; r >= 0 && i < o->files.count; i++) {
		const char *path = o->files.items[i];
		const struct entry *entry = tree_find(o->tools->tree, path);

		r = entry->mode & 0111 ? tools_add_needs(o->tools, path, o->why, o->e)
				       : tools_add_library_needs(o->tools, path, o->why, o->e);
	}
	return r < 0 ? r : 0;
}

int overlay_add(struct tools *tools, const char *folder, bool ours, struct strlist *secrets, struct error *e)
{
	struct overlay o = { .tools = tools, .folder = folder, .ours = ours, .secrets = secrets, .e = e };
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open the overlay %s", folder);
	o.why = tree_reason(tools->tree, NULL, "overlay%s%s", ours ? "" : " ", ours ? "" : folder);
	tools->tree->replace = true;
	int r = add_folder(&o, fd, "");

	tools->tree->replace = false;
	if (r == 0)
		r = add_needs(&o);
	strlist_free(&o.files);
	return r;
}
