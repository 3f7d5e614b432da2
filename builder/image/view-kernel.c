#include "image/view.h"

#include <errno.h>
#include <sys/stat.h>

/* "kernel/fs/nls/nls_utf8.ko.xz" → "nls_utf8": the name as the kernel has it, with '-' as '_'. */
static char *module_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = xstrdup(slash ? slash + 1 : path);
	char *end = strstr(name, ".ko");

	if (end)
		*end = '\0';
	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return name;
}

/* Reads a list whose lines begin with a module's path: name → line. The text owns the lines. */
static int read_list(struct view *v, const char *file, char **ret_text, struct map *ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", v->modules, file);
	const struct entry *entry = view_follow(v, path);

	if (!entry || !S_ISREG(entry->mode))
		return error_text(e, ENOENT, "/%s is not in it", path);
	int r = view_read(entry, ret_text, NULL, e);

	if (r < 0)
		return r;
	for (char *rest = *ret_text, *line; (line = strsep(&rest, "\n"));) {
		_cleanup_(free) char *first = xstrndup(line, strcspn(line, ":"));

		strlist_take(&v->names, module_name(first));
		map_put(ret, v->names.items[v->names.count - 1], line);
	}
	return 0;
}

/* All paths of a line of modules.dep: the module's own, then those that it depends on. */
static int check_paths(const struct view *v, const char *line, struct error *e)
{
	_cleanup_(free) char *copy = xstrdup(line);
	_cleanup_(strlist) struct strlist paths = { 0 };

	for (char *p = copy; *p; p++)
		*p = *p == ':' ? ' ' : *p;
	strlist_add_words(&paths, copy);
	for (size_t i = 0; i < paths.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", v->modules, paths.items[i]);
		const struct entry *entry = view_follow(v, path);

		if (!entry || !S_ISREG(entry->mode))
			return error_text(e, ENOENT, "module %s%s%s is not in it", paths.items[i],
					  i ? ", needed by " : "", i ? paths.items[0] : "");
	}
	return 0;
}

int view_module(struct view *v, const char *name, struct error *e)
{
	_cleanup_(free) char *normal = module_name(name);
	int r = v->dep ? 0 : read_list(v, "modules.dep", &v->dep, &v->dep_of, e);

	if (r == 0 && !v->builtin)
		r = read_list(v, "modules.builtin", &v->builtin, &v->is_builtin, e);
	if (r < 0 || map_get(&v->is_builtin, normal))
		return r;
	const char *line = map_get(&v->dep_of, normal);

	if (!line)
		return error_text(e, ENOENT, "module %s is neither in it nor built into its kernel", name);
	return check_paths(v, line, e);
}
