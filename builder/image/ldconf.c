#include "image/ldconf.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

enum { max_conf = 1 << 20, max_includes = 8 };

static int read_conf(const struct root *root, struct strlist *folders, const char *path, unsigned depth,
		     struct error *e);

/* `include PATTERN`: the pattern's last part may hold wildcards; names are taken in byte order. */
static int include(const struct root *root, struct strlist *folders, const char *pattern, unsigned depth,
		   struct error *e)
{
	const char *slash = strrchr(pattern, '/');
	_cleanup_(free) char *folder = slash ? xstrndup(pattern, (size_t)(slash - pattern)) : xstrdup("/etc");
	_cleanup_(walk) struct walk w = { 0 };
	_cleanup_(strlist) struct strlist names = { 0 };
	struct error ignored;
	int r = 0;

	if (root_walk(root, NULL, folder, &w, &ignored) < 0)
		return 0; /* as ldconfig: nothing matches */
	int fd = openat(root->fd, *w.canonical ? w.canonical : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return error_errno(e, errno, "read folder %s%s", root->path, folder);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (fnmatch(slash ? slash + 1 : pattern, entry->d_name, FNM_PERIOD) == 0)
			strlist_add(&names, entry->d_name);
	(void)closedir(d); /* read side */
	strlist_sort(&names);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, names.items[i]);

		r = read_conf(root, folders, path, depth + 1, e);
	}
	return r;
}

static int read_conf(const struct root *root, struct strlist *folders, const char *path, unsigned depth,
		     struct error *e)
{
	_cleanup_(walk) struct walk w = { 0 };
	_cleanup_(free) char *text = NULL;
	struct error ignored;

	if (depth > max_includes)
		return error_errno(e, ELOOP, "read %s%s", root->path, path);
	if (root_walk(root, NULL, path, &w, &ignored) < 0)
		return 0; /* there need not be any */
	int r = read_file_at(root->fd, w.canonical, max_conf, &text, NULL, e);

	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		line[strcspn(line, "#")] = '\0';
		line = str_strip(line);
		const char *pattern = str_after(line, "include");

		if (pattern && (*pattern == ' ' || *pattern == '\t'))
			r = include(root, folders, pattern + strspn(pattern, " \t"), depth, e);
		else if (*line == '/')
			strlist_add_once(folders, line);
	}
	return r;
}

int ldconf_read(const struct root *root, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist folders = { 0 };
	int r = read_conf(root, &folders, "/etc/ld.so.conf", 0, e);

	if (r < 0)
		return r;
	*ret = folders;
	folders = (struct strlist) { 0 };
	return 0;
}
