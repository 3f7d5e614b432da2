#include "base/cache.h"

#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>

int cache_folder(const char *name, char **ret, struct error *e)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_(free) char *folder = NULL;

	if (xdg && *xdg)
		folder = xasprintf("%s/lifeboat/%s", xdg, name);
	else if (home && *home)
		folder = xasprintf("%s/.cache/lifeboat/%s", home, name);
	else
		return error_text(e, ENOENT, "find a cache folder: neither XDG_CACHE_HOME nor HOME is set");
	int r = mkdir_parents_at(AT_FDCWD, folder, 0755, e);

	if (r == 0)
		*ret = TAKE_PTR(folder);
	return r;
}
