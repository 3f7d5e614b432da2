#include "image/modules.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>

enum { max_dep = 64 << 20 };

struct module {
	char *name;
	char *path; /* below the modules folder: kernel/fs/ext4/ext4.ko */
};

static void cleanup_kmod_list(struct kmod_list **l)
{
	(void)kmod_module_unref_list(*l); /* NULL is fine; it always returns 0 */
}

static void cleanup_kmod_info(struct kmod_list **l)
{
	kmod_module_info_free_list(*l);
}

int modules_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		 struct report *report, struct modules *ret, struct error *e)
{
	/* This machine's modprobe.d is about this machine: a blacklist must not thin out an image. */
	static const char *const no_config[] = { NULL };
	_cleanup_(modules) struct modules m = {
		.root = root, .kernel = kernel, .tree = tree, .report = report
	};

	if (kernel->modules) {
		m.context = kmod_new(kernel->modules, no_config);
		if (!m.context)
			return error_errno(e, ENOMEM, "open %s", kernel->modules);
		int r = kmod_load_resources(m.context);

		if (r < 0)
			return error_errno(e, -r, "read the module indexes (modules.dep.bin …) in %s",
					   kernel->modules);
	} else {
		report_warn(report,
			    "kernel %s has no lib/modules/%s: taking it that everything needed is built in",
			    kernel->version, kernel->version);
	}
	*ret = m;
	m = (struct modules) { 0 };
	return 0;
}

void modules_close(struct modules *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->list[i]->name);
		free(m->list[i]->path);
		free(m->list[i]);
	}
	free(m->list);
	map_free(&m->by_name);
	free(m->dep);
	strlist_free(&m->missing_firmware);
	(void)kmod_unref(m->context); /* NULL is fine; it returns what is left of it */
	*m = (struct modules) { 0 };
}

/* --- firmware --- */

int modules_add_firmware(struct modules *m, const char *name, const struct reason *because, struct error *e)
{
	/* In the kernel's own order: drivers/base/firmware_loader/main.c, fw_path. */
	_cleanup_(free) char *updates = xasprintf("/lib/firmware/updates/%s", m->kernel->version);
	_cleanup_(free) char *versioned = xasprintf("/lib/firmware/%s", m->kernel->version);
	const char *const folders[] = { updates, "/lib/firmware/updates", versioned, "/lib/firmware" };
	static const char *const suffixes[] = { "", ".zst", ".xz" };
	struct error ignored;

	for (size_t f = 0; f < sizeof(folders) / sizeof(*folders); f++)
		for (size_t s = 0; s < sizeof(suffixes) / sizeof(*suffixes); s++) {
			_cleanup_(free) char *path = xasprintf("%s/%s%s", folders[f], name, suffixes[s]);
			_cleanup_(walk) struct walk w = { 0 };

			if (root_walk(m->root, m->tree, path, &w, &ignored) < 0 || !S_ISREG(w.st.st_mode))
				continue;
			int r = tree_add_walk(m->tree, m->root, &w,
					      tree_reason(m->tree, because, "firmware %s", name), e);

			return r < 0 ? r : 1;
		}
	return 0;
}

/* --- taking modules --- */

static int take(struct modules *m, struct kmod_module *mod, const char *as, const struct reason *because,
		struct error *e);

/* Is it in one of the folders that are to be passed over? */
static bool is_excepted(const struct modules *m, const struct kmod_module *mod)
{
	const char *path = kmod_module_get_path(mod);
	const char *below = path ? str_after(path, m->kernel->modules) : NULL;

	for (size_t i = 0; below && m->except && i < m->except->count; i++) {
		const char *rest = str_after(below + strspn(below, "/"), m->except->items[i]);

		if (rest && *rest == '/')
			return true;
	}
	return false;
}

static int take_list(struct modules *m, const struct kmod_list *list, const char *as,
		     const struct reason *because, struct error *e)
{
	const struct kmod_list *item;

	kmod_list_foreach(item, list)
	{
		struct kmod_module *mod = kmod_module_get_module(item);
		int r = is_excepted(m, mod) ? 0 : take(m, mod, as, because, e);

		(void)kmod_module_unref(mod); /* returns what is left of it */
		if (r < 0)
			return r;
	}
	return 0;
}

/* "pre: a b post: c": names or aliases; what is not there is no matter, it is a soft one. */
static int take_soft(struct modules *m, const char *text, const struct reason *why, struct error *e)
{
	_cleanup_(strlist) struct strlist words = { 0 };

	strlist_add_words(&words, text);
	for (size_t i = 0; i < words.count; i++) {
		const char *word = words.items[i];

		if (str_ends(word, ":"))
			continue;
		int r = modules_add(m, word, tree_reason(m->tree, why, "soft dependency %s", word), e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Soft dependencies and firmware, out of the module itself. */
static int take_info(struct modules *m, const struct kmod_module *mod, const struct reason *why,
		     struct error *e)
{
	_cleanup_(kmod_info) struct kmod_list *info = NULL;
	const struct kmod_list *item;
	int r = kmod_module_get_info(mod, &info);

	if (r < 0)
		return error_errno(e, -r, "read module %s", kmod_module_get_path(mod));
	kmod_list_foreach(item, info)
	{
		const char *key = kmod_module_info_get_key(item), *value = kmod_module_info_get_value(item);

		if (streq(key, "softdep") || streq(key, "weakdep"))
			r = take_soft(m, value, why, e);
		else if (streq(key, "firmware"))
			r = modules_add_firmware(m, value, why, e);
		else
			continue;
		if (r < 0)
			return r;
		if (r == 0 && streq(key, "firmware"))
			strlist_add_once(&m->missing_firmware, value);
	}
	return 0;
}

/* The file, as the loader of the packed kernel will see it. */
static int add_file(struct modules *m, const struct module *module, const char *source,
		    const struct reason *why, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("lib/modules/%s/%s", m->kernel->version, module->path);
	struct stat st;

	if (stat(source, &st) < 0)
		return error_errno(e, errno, "read module %s", source);
	return tree_add_file(m->tree, path, 0644, source, (uint64_t)st.st_size, why, e);
}

/* It is there already: who else wanted it. */
static void add_asked_again(struct modules *m, const struct module *module, const char *as,
			    const struct reason *because)
{
	_cleanup_(free) char *path = xasprintf("lib/modules/%s/%s", m->kernel->version, module->path);

	if (streq(as, module->name))
		tree_also(m->tree, path, because, "module %s", module->name);
	else
		tree_also(m->tree, path, because, "module %s (for %s)", module->name, as);
}

/* Returns 0, also for a built-in one, which has no file. */
static int take(struct modules *m, struct kmod_module *mod, const char *as, const struct reason *because,
		struct error *e)
{
	const char *source = kmod_module_get_path(mod), *name = kmod_module_get_name(mod);

	const struct module *known = map_get(&m->by_name, name);

	if (!source)
		return 0;
	if (known) {
		add_asked_again(m, known, as, because);
		return 0;
	}
	const char *below = str_after(source, m->kernel->modules);

	if (!below || *below != '/')
		return error_text(e, EINVAL, "pack module %s: it is not below %s", source,
				  m->kernel->modules);
	struct module *module = xcalloc(1, sizeof(*module));

	*module = (struct module) { xstrdup(name), xstrdup(below + 1) };
	m->list = xgrow(m->list, m->count + 1, &m->capacity, sizeof(struct module *));
	m->list[m->count++] = module;
	map_put(&m->by_name, module->name, module);

	const struct reason *why = streq(as, name)
					   ? tree_reason(m->tree, because, "module %s", name)
					   : tree_reason(m->tree, because, "module %s (for %s)", name, as);
	_cleanup_(kmod_list) struct kmod_list *needed = kmod_module_get_dependencies(mod);
	const struct kmod_list *item;
	int r = add_file(m, module, source, why, e);

	kmod_list_foreach(item, needed)
	{
		struct kmod_module *dependency = kmod_module_get_module(item);

		if (r == 0)
			r = take(m, dependency, kmod_module_get_name(dependency), why, e);
		(void)kmod_module_unref(dependency); /* returns what is left of it */
	}
	return r < 0 ? r : take_info(m, mod, why, e);
}

int modules_add(struct modules *m, const char *name, const struct reason *because, struct error *e)
{
	_cleanup_(kmod_list) struct kmod_list *found = NULL;
	const struct kmod_list *item;
	int count = 0;

	if (!m->context)
		return 0;
	int r = kmod_module_new_from_lookup(m->context, name, &found);

	/* libkmod refuses names that cannot be aliases: then it is not one. */
	if (r == -EINVAL || r == -ENOENT)
		return 0;
	if (r < 0)
		return error_errno(e, -r, "look up module %s in %s", name, m->kernel->modules);
	r = take_list(m, found, name, because, e);
	kmod_list_foreach(item, found) count++;
	return r < 0 ? r : count;
}

int modules_add_class(struct modules *m, const char *folder, const struct reason *because, struct error *e)
{
	int count = 0;

	if (!m->context)
		return 0;
	if (!m->dep) {
		_cleanup_(free) char *path = xasprintf("%s/modules.dep", m->kernel->modules);
		int r = read_file_at(AT_FDCWD, path, max_dep, &m->dep, NULL, e);

		if (r < 0)
			return r;
	}
	/* Lines "PATH: DEPENDENCIES": the modules themselves are what stands before the colon. */
	for (const char *line = m->dep; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *rest = str_after(line, folder);
		size_t n = strcspn(line, ":\n");

		if (!rest || *rest != '/' || line[n] != ':')
			continue;
		const char *slash = memrchr(line, '/', n);
		const char *base = slash ? slash + 1 : line;
		const char *dot = memmem(base, (size_t)(line + n - base), ".ko", 3);

		if (!dot)
			continue;
		_cleanup_(free) char *name = xstrndup(base, (size_t)(dot - base));
		int r = modules_add(m, name, because, e);

		if (r < 0)
			return r;
		count++;
	}
	return count;
}

bool modules_has(const struct modules *m, const char *name)
{
	_cleanup_(free) char *normal = xstrdup(name);

	for (char *p = normal; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return map_get(&m->by_name, normal);
}

/* --- indexes --- */

/* Stands for the modules folder while depmod looks at it: links to what was taken. */
static int link_modules(const struct modules *m, int fd, struct error *e)
{
	static const char *const lists[] = { "modules.builtin", "modules.builtin.modinfo", "modules.order" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		_cleanup_(free) char *source = xasprintf("%s/%s", m->kernel->modules, lists[i]);

		if (access(source, F_OK) == 0 && symlinkat(source, fd, lists[i]) < 0)
			return error_errno(e, errno, "link %s for depmod", source);
	}
	for (size_t i = 0; i < m->count; i++) {
		_cleanup_(free) char *source = xasprintf("%s/%s", m->kernel->modules, m->list[i]->path);
		_cleanup_(free) char *folder = xstrdup(m->list[i]->path);
		char *slash = strrchr(folder, '/');
		int r = 0;

		if (slash) {
			*slash = '\0';
			r = mkdir_parents_at(fd, folder, 0755, e);
		}
		if (r < 0)
			return r;
		if (symlinkat(source, fd, m->list[i]->path) < 0)
			return error_errno(e, errno, "link %s for depmod", source);
	}
	return 0;
}

static int add_index(struct modules *m, int fd, const char *name, const struct reason *why, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("lib/modules/%s/%s", m->kernel->version, name);
	_cleanup_(free) char *data = NULL;
	size_t len;

	if (faccessat(fd, name, F_OK, 0) < 0)
		return 0; /* older releases of depmod make fewer of them */
	int r = read_file_at(fd, name, max_dep, &data, &len, e);

	return r < 0 ? r : tree_add_data(m->tree, path, 0644, data, len, why, e);
}

int modules_finish(struct modules *m, const struct reason *because, struct error *e)
{
	/* What kmod's modprobe reads, and modules.dep and modules.builtin for people. */
	static const char *const names[] = {
		"modules.dep",         "modules.dep.bin",     "modules.alias.bin",
		"modules.symbols.bin", "modules.softdep",     "modules.devname",
		"modules.builtin",     "modules.builtin.bin", "modules.builtin.alias.bin"
	};
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(free) char *below = xasprintf("lib/modules/%s", m->kernel->version);

	if (!m->context)
		return 0;
	int r = tempdir_make(&temp, e);

	if (r == 0)
		r = mkdir_parents_at(temp.fd, below, 0755, e);
	if (r < 0)
		return r;
	_cleanup_(fd) int fd = openat(temp.fd, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s/%s", temp.path, below);
	r = link_modules(m, fd, e);
	if (r == 0)
		r = proc_run((const char *const[]) { "depmod", "-b", temp.path, m->kernel->version, NULL },
			     NULL, e);
	const struct reason *why = tree_reason(m->tree, because, "modprobe's indexes");

	for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(*names); i++)
		r = add_index(m, fd, names[i], why, e);
	return r;
}
