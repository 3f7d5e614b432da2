#include "image/modules_private.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>

enum { max_dep = 64 << 20 };

static void cleanup_kmod_list(struct kmod_list **l)
{
	(void)kmod_module_unref_list(*l); /* NULL is fine; it always returns 0 */
}

/* --- opening --- */

static int read_dep(struct modules *m, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/modules.dep", m->kernel->modules);
	char *text;
	int r = read_file_at(AT_FDCWD, path, max_dep, &text, NULL, e);

	if (r == -ENOENT)
		return error_text(e, ENOENT, "read %s: there is none; run: depmod %s", path,
				  m->kernel->version);
	if (r == 0)
		r = moddep_parse(text, path, &m->dep, e);
	if (r < 0)
		return r;
	m->all = xcalloc(m->dep.count + 1, sizeof(*m->all));
	m->taken = xcalloc(m->dep.count + 1, sizeof(*m->taken));
	return 0;
}

static int open_indexes(struct modules *m, struct error *e)
{
	/* This machine's modprobe.d is about this machine: a blacklist must not thin out an image. */
	static const char *const no_config[] = { NULL };

	m->context = kmod_new(m->kernel->modules, no_config);
	if (!m->context)
		return error_errno(e, ENOMEM, "open %s", m->kernel->modules);
	int r = kmod_load_resources(m->context);

	return r < 0 ? error_errno(e, -r, "read the module indexes (modules.dep.bin …) in %s",
				   m->kernel->modules)
		     : 0;
}

int modules_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		 struct report *report, struct modules *ret, struct error *e)
{
	_cleanup_(modules) struct modules m = {
		.root = root, .kernel = kernel, .tree = tree, .report = report
	};
	int r = tree_canonical(tree, "lib/modules/.", &m.above, e);

	if (r < 0)
		return r;
	m.spool = spool_new();
	*ret = m;
	m = (struct modules) { 0 };
	return 0;
}

int modules_read(struct modules *m, struct error *e)
{
	m->folder = xasprintf("%s/%s", m->above, m->kernel->version);
	firmware_open(m->root, m->kernel, m->tree, &m->firmware);
	if (!m->kernel->modules) {
		report_warn(m->report,
			    "kernel %s has no lib/modules/%s: taking it that everything needed is built in",
			    m->kernel->version, m->kernel->version);
		return 0;
	}
	int r = read_dep(m, e);

	return r < 0 ? r : open_indexes(m, e);
}

void modules_close(struct modules *m)
{
	for (size_t i = 0; i < m->dep.count; i++)
		modinfo_free(&m->all[i].info);
	free(m->all);
	free(m->taken);
	free(m->above);
	free(m->folder);
	moddep_free(&m->dep);
	firmware_close(&m->firmware);
	spool_free(m->spool);
	strlist_free(&m->missing_firmware);
	(void)kmod_unref(m->context); /* NULL is fine; it returns what is left of it */
	*m = (struct modules) { 0 };
}

/* --- taking modules --- */

char *modules_tree_path(const struct modules *m, const struct moddep_module *dep)
{
	return xasprintf("%s/%.*s", m->folder, (int)moddep_plain_len(dep->path), dep->path);
}

int modules_take(struct modules *m, const struct moddep_module *dep, const char *as,
		 const struct reason *because, struct error *e)
{
	size_t place = (size_t)(dep - m->dep.list);
	struct module *module = &m->all[place];
	_cleanup_(free) char *path = modules_tree_path(m, dep);
	_cleanup_(free) char *source = xasprintf("%s/%s", m->kernel->modules, dep->path);
	_cleanup_(free) char *text = streq(as, dep->name) ? xasprintf("module %s", dep->name)
							  : xasprintf("module %s (for %s)", dep->name, as);

	if (module->why) {
		tree_also(m->tree, path, because, "%s", text);
		return 0;
	}
	module->why = tree_reason(m->tree, because, "%s", text);
	m->taken[m->taken_count++] = (uint32_t)place;
	return tree_add_file(m->tree, path, 0644, source, 0, module->why, e);
}

/* Is it in one of the folders that are to be passed over? */
static bool is_excepted(const struct modules *m, const struct moddep_module *dep)
{
	for (size_t i = 0; m->except && i < m->except->count; i++) {
		const char *rest = str_after(dep->path, m->except->items[i]);

		if (rest && *rest == '/')
			return true;
	}
	return false;
}

static int take_unless_excepted(struct modules *m, const struct moddep_module *dep, const char *as,
				const struct reason *because, struct error *e)
{
	return is_excepted(m, dep) ? 0 : modules_take(m, dep, as, because, e);
}

/* An alias, which may stand for several; built-in modules have no file. */
static int add_alias(struct modules *m, const char *alias, const struct reason *because, struct error *e)
{
	_cleanup_(kmod_list) struct kmod_list *found = NULL;
	const struct kmod_list *item;
	int count = 0, r = kmod_module_new_from_lookup(m->context, alias, &found);

	/* libkmod refuses names that cannot be aliases: then it is not one. */
	if (r == -EINVAL || r == -ENOENT)
		return 0;
	if (r < 0)
		return error_errno(e, -r, "look up module %s in %s", alias, m->kernel->modules);
	kmod_list_foreach(item, found)
	{
		struct kmod_module *mod = kmod_module_get_module(item);
		const struct moddep_module *dep = map_get(&m->dep.by_name, kmod_module_get_name(mod));

		if (dep && r >= 0)
			r = take_unless_excepted(m, dep, alias, because, e);
		(void)kmod_module_unref(mod); /* returns what is left of it */
		count++;
	}
	return r < 0 ? r : count;
}

int modules_add(struct modules *m, const char *name, const struct reason *because, struct error *e)
{
	if (!m->context)
		return 0;
	_cleanup_(free) char *plain = moddep_name(name);
	const struct moddep_module *dep = map_get(&m->dep.by_name, plain);

	if (!dep)
		return add_alias(m, name, because, e);
	int r = take_unless_excepted(m, dep, plain, because, e);

	return r < 0 ? r : 1;
}

int modules_add_class(struct modules *m, const char *folder, const struct reason *because, struct error *e)
{
	int count = 0;

	for (size_t i = 0; i < m->dep.count; i++) {
		const struct moddep_module *dep = &m->dep.list[i];
		const char *rest = str_after(dep->path, folder);

		if (!rest || *rest != '/')
			continue;
		int r = modules_take(m, dep, dep->name, because, e);

		if (r < 0)
			return r;
		count++;
	}
	return count;
}

int modules_add_firmware(struct modules *m, const char *name, const struct reason *because, struct error *e)
{
	return firmware_add(&m->firmware, name, because, e);
}

bool modules_has(const struct modules *m, const char *name)
{
	_cleanup_(free) char *plain = moddep_name(name);
	const struct moddep_module *dep = map_get(&m->dep.by_name, plain);

	return dep && m->all[dep - m->dep.list].why;
}

int modules_finish(struct modules *m, const struct reason *because, struct error *e)
{
	if (!m->context)
		return 0;
	int r = modules_resolve(m, e);

	if (r < 0)
		return r;
	if (m->missing_firmware.count)
		report_warn(
			m->report,
			"firmware that packed modules name is not in /lib/firmware: %zu files; -v lists them",
			m->missing_firmware.count);
	return modules_add_indexes(m, tree_reason(m->tree, because, "modprobe's indexes"), e);
}
