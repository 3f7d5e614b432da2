/* The indexes of a subset: what of the kernel's own ones is about the modules that were taken. They are what
 * depmod(8) would make of these modules, without reading any. */
#include "image/modules_private.h"

#include "base/fs.h"
#include "base/parallel.h"
#include "image/kmod_index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { max_index = 256 << 20 };

/* What the makers below share; none of them changes it. */
struct writer {
	const struct modules *m;
	uint32_t *
		rank; /* of each module among those taken, in the order of modules.dep; plus one, 0: not taken */
};

static void cleanup_writer(struct writer *w)
{
	free(w->rank);
}

/* One file of the image's indexes. */
struct index {
	const char *name;
	/* Fills in `ret`. Returns 1, or 0 when there is to be no such file. */
	int (*make)(const struct writer *w, const struct index *index, struct strbuf *ret, struct error *e);
	const char *
		from; /* which of the kernel's own indexes it is made of; NULL: of modules.dep as it was read */
	unsigned word; /* of a line there: the one that names the module, from 0 */
};

/* `*ret` is NULL when there is no such file: releases of depmod differ in how many they make. */
static int read_index(const struct writer *w, const char *name, char **ret, struct error *e)
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

static void add_dep_line(const struct moddep *d, size_t place, struct strbuf *to)
{
	const struct moddep_module *module = &d->list[place];

	add_path(to, module->path);
	strbuf_puts(to, ":");
	for (size_t n = 0; n < module->need_count; n++) {
		strbuf_puts(to, " ");
		add_path(to, d->list[module->needs[n]].path);
	}
}

static int make_dep(const struct writer *w, const struct index *index, struct strbuf *ret, struct error *e)
{
	(void)index, (void)e; /* it is of what was read already */
	for (size_t i = 0; i < w->m->dep.count; i++)
		if (w->rank[i]) {
			add_dep_line(&w->m->dep, i, ret);
			strbuf_puts(ret, "\n");
		}
	return 1;
}

static int make_dep_bin(const struct writer *w, const struct index *index, struct strbuf *ret,
			struct error *e)
{
	const struct moddep *d = &w->m->dep;
	_cleanup_(kmod_index) struct kmod_index entries = { 0 };
	_cleanup_(strlist) struct strlist lines = { 0 };

	(void)index, (void)e; /* it is of what was read already */
	for (size_t i = 0; i < d->count; i++) {
		_cleanup_(strbuf) struct strbuf line = { 0 };

		if (!w->rank[i])
			continue;
		add_dep_line(d, i, &line);
		strlist_take(&lines, TAKE_PTR(line.data));
		kmod_index_add(&entries, xstrdup(d->list[i].name), lines.items[lines.count - 1],
			       w->rank[i] - 1);
	}
	kmod_index_write(&entries, ret);
	return 1;
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
static int make_aliases(const struct writer *w, const struct index *index, struct strbuf *ret,
			struct error *e)
{
	_cleanup_(free) char *text = NULL;
	_cleanup_(kmod_index) struct kmod_index entries = { 0 };
	int r = read_index(w, index->from, &text, e);

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
			kmod_index_add(&entries, normal, module->name, rank - 1);
	}
	kmod_index_write(&entries, ret);
	return 1;
}

/* --- lines as they are --- */

/* Those that name a taken module, and the comments. */
static int make_filtered(const struct writer *w, const struct index *index, struct strbuf *ret,
			 struct error *e)
{
	_cleanup_(free) char *text = NULL;
	int r = read_index(w, index->from, &text, e);

	if (r < 0 || !text)
		return r;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		_cleanup_(strlist) struct strlist words = { 0 };
		const struct moddep_module *module;

		strlist_add_words(&words, line);
		if (*line == '#' ||
		    (words.count > index->word && find_rank(w, words.items[index->word], &module)))
			strbuf_printf(ret, "%s\n", line);
	}
	return 1;
}

/* --- all of them --- */

/* The longest first: cores share them. */
static const struct index indexes[] = {
	{ "modules.alias.bin", make_aliases, "modules.alias", 0 },
	{ "modules.symbols.bin", make_aliases, "modules.symbols", 0 },
	{ "modules.dep.bin", make_dep_bin, NULL, 0 },
	{ "modules.dep", make_dep, NULL, 0 },
	{ "modules.softdep", make_filtered, "modules.softdep", 1 },
	{ "modules.weakdep", make_filtered, "modules.weakdep", 1 },
	{ "modules.devname", make_filtered, "modules.devname", 0 },
};
enum { index_count = sizeof(indexes) / sizeof(*indexes) };

struct making {
	const struct writer *writer;
	struct made {
		struct strbuf text;
		int result;
		struct error error;
	} made[index_count];
};

static void make_one(void *user, size_t at, unsigned thread)
{
	struct making *all = user;
	struct made *made = &all->made[at];

	(void)thread; /* nothing is kept from one to the next */
	made->result = indexes[at].make(all->writer, &indexes[at], &made->text, &made->error);
}

static int add_made(struct modules *m, const char *name, const struct made *made, const struct reason *why,
		    struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", m->folder, name);

	if (made->result < 0 && e)
		*e = made->error;
	if (made->result <= 0)
		return made->result;
	return tree_add_data(m->tree, path, 0644, made->text.data ? made->text.data : "", made->text.len, why,
			     e);
}

static int copy(struct modules *m, const char *name, const struct reason *why, struct error *e)
{
	_cleanup_(free) char *source = xasprintf("%s/%s", m->kernel->modules, name);
	_cleanup_(free) char *path = xasprintf("%s/%s", m->folder, name);
	struct stat st;

	if (stat(source, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(e, errno, "read %s", source);
	return tree_add_file(m->tree, path, 0644, source, (uint64_t)st.st_size, why, e);
}

int modules_add_indexes(struct modules *m, const struct reason *why, struct error *e)
{
	static const char *const built_in[] = { "modules.builtin", "modules.builtin.bin",
						"modules.builtin.alias.bin" };
	__attribute__((cleanup(cleanup_writer))) struct writer w = { m, xcalloc(m->dep.count + 1,
										sizeof(*w.rank)) };
	struct making all = { .writer = &w };
	uint32_t rank = 0;
	int r = 0;

	for (size_t i = 0; i < m->dep.count; i++)
		w.rank[i] = m->all[i].why ? ++rank : 0;
	parallel_run(index_count, make_one, &all);
	for (size_t i = 0; i < index_count; i++) {
		r = r < 0 ? r : add_made(m, indexes[i].name, &all.made[i], why, e);
		strbuf_free(&all.made[i].text);
	}
	for (size_t i = 0; r == 0 && i < sizeof(built_in) / sizeof(*built_in); i++)
		r = copy(m, built_in[i], why, e);
	return r;
}
