#include "image/hwcaps.h"

#include <dirent.h>
#include <fcntl.h>

static char *find_below(const struct root *root, const char *folder, const char *name)
{
	_cleanup_(free) char *path = xasprintf("%s/glibc-hwcaps", folder);
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;

	if (root_walk(root, NULL, path, &w, &ignored) < 0)
		return NULL;
	int fd = openat(root->fd, w.canonical, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char *found = NULL;

	if (!d)
		return NULL; /* there is another error to be told */
	for (const struct dirent *entry; !found && (entry = readdir(d));) {
		_cleanup_(free) char *library = xasprintf("%s/%s/%s", path, entry->d_name, name);
		_cleanup_(walk) struct walk to = { 0 };

		if (entry->d_name[0] != '.' && root_walk(root, NULL, library, &to, &ignored) == 0 &&
		    S_ISREG(to.st.st_mode))
			found = root_host_path(root, to.canonical);
	}
	(void)closedir(d); /* read side */
	return found;
}

char *hwcaps_find(const struct root *root, const struct strlist *folders, const char *name)
{
	char *found = NULL;

	for (size_t i = 0; !found && !strchr(name, '/') && i < folders->count; i++)
		found = find_below(root, folders->items[i], name);
	return found;
}
