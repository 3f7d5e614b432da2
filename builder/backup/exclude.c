#include "backup/exclude.h"

#include <fnmatch.h>

static bool matches(const char *pattern, const char *path)
{
	if (!strchr(pattern, '/')) {
		const char *slash = strrchr(path, '/');
		const char *name = slash ? slash + 1 : path;

		return *name && (streq(pattern, name) || fnmatch(pattern, name, 0) == 0);
	}
	return streq(pattern, path) || fnmatch(pattern, path, FNM_PATHNAME) == 0;
}

bool exclude_matches(const struct strlist *patterns, const char *path)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (matches(patterns->items[i], path))
			return true;
	return false;
}

bool exclude_covers(const struct strlist *patterns, const char *path)
{
	_cleanup_(free) char *above = xstrdup(path);
	char *slash;

	do
		if (*above && exclude_matches(patterns, above))
			return true;
	while ((slash = strrchr(above, '/')) && (*slash = '\0', true));
	return false;
}

/* The part of a path of as many folders as `like` has; "/" has none. NULL: it is shorter. The caller frees. */
static char *begin_of(const char *path, const char *like)
{
	const char *end = path;

	for (const char *p = like; *p; p++) {
		if (*p != '/' || !p[1])
			continue;
		if (*end != '/')
			return NULL;
		end += 1 + strcspn(end + 1, "/");
	}
	return xstrndup(path, (size_t)(end - path));
}

static bool lies_below(const char *path, const char *folder)
{
	const char *rest = streq(folder, "/") ? path : str_after(path, folder);

	return rest && *rest == '/' && rest[1];
}

static bool concerns(const char *pattern, const char *mountpoint, const struct strlist *all)
{
	const struct strlist one = { .items = (char *[]) { (char *)pattern }, .count = 1 };

	if (!strchr(pattern, '/'))
		return true;
	if (!mountpoint)
		return false;
	_cleanup_(free) char *begin = begin_of(pattern, mountpoint);

	if (!begin)
		return exclude_covers(&one, mountpoint);
	if (*begin && !streq(begin, mountpoint) && fnmatch(begin, mountpoint, FNM_PATHNAME) != 0)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (lies_below(all->items[i], mountpoint) &&
		    (streq(pattern, all->items[i]) || lies_below(pattern, all->items[i])))
			return false;
	return true;
}

void exclude_concerning(const struct strlist *patterns, const char *mountpoint, const struct strlist *all,
			struct strlist *ret)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (concerns(patterns->items[i], mountpoint, all))
			strlist_add_once(ret, patterns->items[i]);
}
