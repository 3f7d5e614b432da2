/* The indexes of a subset: what of the kernel's own ones is about the modules that were taken. They are what
 * depmod(8) would make of these modules, without reading any. */
#include "image/modules_private.h"

#include "base/fs.h"
#include "image/kmod_index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { max_index = 256 << 20 };

/* What the writers below share. */
struct writer {
	struct modules *m;
	const struct reason *why;
	uint32_t *
		rank; /* of each module among those taken, in the order of modules.dep; plus one, 0: not taken */
};

static void cleanup_writer(struct writer *w)
{
	free(w->rank);
}

static int add_text(struct writer *w, const char *name, const struct strbuf *text, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", w->m->folder, name);

	return tree_add_data(w->m->tree, path, 0644, text->data ? text->data : "", text->len, w->why, e);
}

static int add_index(struct writer *w, const char *name, struct kmod_index *index, struct error *e)
{
	_cleanup_(strbuf) struct strbuf file = { 0 };

	kmod_index_write(index, &file);
	return add_text(w, name, &file, e);
}

/* `*ret` is NULL when there is no such file: releases of depmod differ in how many they make. */
static int read_index(struct writer *w, const char *name, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", w->m->kernel->modules, name);

	return access(path, F_OK) < 0 ? 0 : read_file_at(AT_FDCWD, path, max_index, ret, NULL, e);
}

/* 0: not taken. */
static uint32_t find_rank(const struct writer *w, const char *name, const struct moddep_module **ret)
{
	const struct moddep_module *dep = map_get(&w->m->dep.by_name, name);

	*ret = dep;
	return dep ? w->rank[dep - w->m->dep.list] : 0;
}

/* --- modules.dep --- */

static void add_path(struct strbuf *line, const char *path)
{
	strbuf_add(line, path, moddep_plain_len(path));
}

static int write_dep(struct writer *w, struct error *e)
{
	const struct moddep *d = &w->m->dep;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(kmod_index) struct kmod_index index = { 0 };
	_cleanup_(strlist) struct strlist lines = { 0 };

	for (size_t i = 0; i < d->count; i++) {
		_cleanup_(strbuf) struct strbuf line = { 0 };

		if (!w->rank[i])
			continue;
		add_path(&line, d->list[i].path);
		strbuf_puts(&line, ":");
		for (size_t n = 0; n < d->list[i].need_count; n++) {
			strbuf_puts(&line, " ");
			add_path(&line, d->list[d->list[i].needs[n]].path);
		}
		strbuf_printf(&text, "%s\n", line.data);
		strlist_take(&lines, TAKE_PTR(line.data));
		kmod_index_add(&index, xstrdup(d->list[i].name), lines.items[lines.count - 1],
			       w->rank[i] - 1);
	}
	int r = add_text(w, "modules.dep", &text, e);

	return r < 0 ? r : add_index(w, "modules.dep.bin", &index, e);
}

/* --- aliases and symbols --- */

/* As modprobe normalizes what it looks up: '_' for '-' but in brackets. NULL: no valid pattern. */
static char *normalize_alias(const char *alias)
{
	_cleanup_(free) char *normal = xstrdup(alias);

	for (char *p = normal; *p; p++) {
		if (*p == '[')
			p += strcspn(p, "]");
		else if (*p == ']')
			return NULL;
		if (!*p)
			return NULL;
		*p = *p == '-' ? '_' : *p;
	}
	return TAKE_PTR(normal);
}

/* Lines "alias KEY MODULE". */
static int write_aliases(struct writer *w, const char *from, const char *to, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	_cleanup_(kmod_index) struct kmod_index index = { 0 };
	int r = read_index(w, from, &text, e);

	if (r < 0)
		return r;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		const char *keyword = strsep(&line, " "), *key = strsep(&line, " ");
		const struct moddep_module *module;

		if (!line || !streq(keyword, "alias"))
			continue;
		uint32_t rank = find_rank(w, line, &module);
		char *normal = rank ? normalize_alias(key) : NULL;

		if (normal)
			kmod_index_add(&index, normal, module->name, rank - 1);
	}
	return add_index(w, to, &index, e);
}

/* --- lines as they are --- */

/* Those that name a taken module as word `at` (from 0), and the comments. */
static int filter(struct writer *w, const char *name, unsigned at, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	_cleanup_(strbuf) struct strbuf kept = { 0 };
	int r = read_index(w, name, &text, e);

	if (r < 0 || !text)
		return r;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		_cleanup_(strlist) struct strlist words = { 0 };
		const struct moddep_module *module;

		strlist_add_words(&words, line);
		if (*line == '#' || (words.count > at && find_rank(w, words.items[at], &module)))
			strbuf_printf(&kept, "%s\n", line);
	}
	return add_text(w, name, &kept, e);
}

static int copy(struct writer *w, const char *name, struct error *e)
{
	_cleanup_(free) char *source = xasprintf("%s/%s", w->m->kernel->modules, name);
	_cleanup_(free) char *path = xasprintf("%s/%s", w->m->folder, name);
	struct stat st;

	if (stat(source, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(e, errno, "read %s", source);
	return tree_add_file(w->m->tree, path, 0644, source, (uint64_t)st.st_size, w->why, e);
}

int modules_add_indexes(struct modules *m, const struct reason *why, struct error *e)
{
	static const char *const built_in[] = { "modules.builtin", "modules.builtin.bin",
						"modules.builtin.alias.bin" };
	__attribute__((cleanup(
		cleanup_writer))) struct writer w = { m, why, xcalloc(m->dep.count + 1, sizeof(*w.rank)) };
	uint32_t rank = 0;

	for (size_t i = 0; i < m->dep.count; i++)
		w.rank[i] = m->all[i].why ? ++rank : 0;
	int r = write_dep(&w, e);

	if (r == 0)
		r = write_aliases(&w, "modules.alias", "modules.alias.bin", e);
	if (r == 0)
		r = write_aliases(&w, "modules.symbols", "modules.symbols.bin", e);
	if (r == 0)
		r = filter(&w, "modules.softdep", 1, e);
	if (r == 0)
		r = filter(&w, "modules.weakdep", 1, e);
	if (r == 0)
		r = filter(&w, "modules.devname", 0, e);
	for (size_t i = 0; r == 0 && i < sizeof(built_in) / sizeof(*built_in); i++)
		r = copy(&w, built_in[i], e);
	return r;
}
