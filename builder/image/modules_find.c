#include "image/modules_private.h"

#include <libkmod.h>

static void cleanup_kmod_list(struct kmod_list **l)
{
	(void)kmod_module_unref_list(*l); /* NULL is fine; it always returns 0 */
}

enum module_place modules_find(const struct modules *m, const char *name, struct strlist *ret_paths)
{
	_cleanup_(kmod_list) struct kmod_list *found = NULL;
	const struct kmod_list *item;
	enum module_place place = MODULE_UNKNOWN;

	if (!m->context || kmod_module_new_from_lookup(m->context, name, &found) < 0)
		return MODULE_UNKNOWN;
	kmod_list_foreach(item, found)
	{
		struct kmod_module *mod = kmod_module_get_module(item);
		const struct moddep_module *dep = map_get(&m->dep.by_name, kmod_module_get_name(mod));

		if (dep)
			strlist_take(ret_paths, modules_tree_path(m, dep));
		place = dep || place == MODULE_FILE ? MODULE_FILE : MODULE_BUILTIN;
		(void)kmod_module_unref(mod); /* returns what is left of it */
	}
	return place;
}
