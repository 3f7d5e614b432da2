#include "image/explain.h"

#include "image/draft.h"

#include <sys/stat.h>

enum { max_links = 40, max_chains = 1000, max_near = 3 };

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where the entry leads in the end, through links of the tree; NULL when that is not in it. */
static const struct entry *follow(const struct tree *t, const struct entry *entry)
{
	for (unsigned i = 0; entry && S_ISLNK(entry->mode); i++) {
		const char *name = file_name(entry->path);
		_cleanup_(free) char *path = NULL, *canonical = NULL;
		struct error ignored;

		path = entry->data[0] == '/'
			       ? xstrdup(entry->data)
			       : xasprintf("%.*s%s", (int)(name - entry->path), entry->path, entry->data);
		if (i == max_links || tree_canonical(t, path, &canonical, &ignored) < 0)
			return NULL;
		entry = tree_find(t, canonical);
	}
	return entry;
}

/* --- finding --- */

static void find_path(const struct tree *t, const char *path, struct strlist *ret)
{
	_cleanup_(free) char *canonical = NULL;
	struct error ignored;

	if (tree_canonical(t, path, &canonical, &ignored) == 0 && tree_find(t, canonical))
		strlist_add_once(ret, canonical);
}

/* A link to a file of the same name says nothing that the file does not. */
static bool stands_for_itself(const struct tree *t, const struct entry *entry)
{
	const struct entry *file = follow(t, entry);

	return !file || file == entry || S_ISDIR(file->mode) ||
	       !streq(file_name(file->path), file_name(entry->path));
}

static void find_name(const struct tree *t, const char *name, struct strlist *ret)
{
	for (size_t i = 0; i < t->count; i++)
		if (!S_ISDIR(t->entries[i]->mode) && streq(file_name(t->entries[i]->path), name) &&
		    stands_for_itself(t, t->entries[i]))
			strlist_add(ret, t->entries[i]->path);
}

static void find_module(const struct image_draft *d, const char *name, struct strlist *ret)
{
	_cleanup_(strlist) struct strlist paths = { 0 };

	(void)modules_find(&d->modules, name, &paths); /* what counts is which are packed */
	for (size_t i = 0; i < paths.count; i++)
		find_path(&d->tree, paths.items[i], ret);
}

void image_find(const struct image_draft *d, const char *what, struct strlist *ret)
{
	if (strchr(what, '/')) {
		find_path(&d->tree, what, ret);
		return;
	}
	find_name(&d->tree, what, ret);
	find_module(d, what, ret);
}

/* --- near --- */

static void near_in_image(const struct image_draft *d, const char *name, struct strlist *ret)
{
	size_t len = strlen(name), count = 0;

	/* of that name elsewhere, or with a version behind it */
	for (size_t i = 0; i < d->tree.count && count < max_near; i++) {
		const struct entry *entry = d->tree.entries[i];
		const char *rest = str_after(file_name(entry->path), name);

		if (len == 0 || S_ISDIR(entry->mode) || !rest || (*rest && !strchr(".-_", *rest)))
			continue;
		strlist_addf(ret, "the image has /%s", entry->path);
		count++;
	}
}

static void near_in_kernel(const struct image_draft *d, const char *name, struct strlist *ret)
{
	_cleanup_(free) char *module = xstrndup(name, strcspn(name, "."));
	_cleanup_(strlist) struct strlist paths = { 0 };

	switch (modules_find(&d->modules, module, &paths)) {
	case MODULE_BUILTIN:
		strlist_addf(ret, "module %s is built into kernel %s", module, d->kernel.version);
		break;
	case MODULE_FILE:
		strlist_addf(ret, "kernel %s has the module, which a profile can name under [modules]",
			     d->kernel.version);
		break;
	case MODULE_UNKNOWN:
		break;
	}
}

static bool on_machine(const struct image_draft *d, const char *path)
{
	_cleanup_(walk) struct walk w = { 0 };
	struct error ignored;

	return root_walk(&d->root, NULL, path, &w, &ignored) == 0;
}

static void near_on_machine(const struct image_draft *d, const char *what, struct strlist *ret)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin" };

	if (strchr(what, '/')) {
		if (on_machine(d, what))
			strlist_addf(ret,
				     "this machine has %s, which a profile can name under [tools] or [files]",
				     what);
		return;
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folders[i], what);

		if (!on_machine(d, path))
			continue;
		strlist_addf(ret, "this machine has %s, which a profile can name under [tools]", path);
		return;
	}
}

void image_near(const struct image_draft *d, const char *what, struct strlist *ret)
{
	near_in_image(d, file_name(what), ret);
	near_in_kernel(d, file_name(what), ret);
	near_on_machine(d, what, ret);
}

/* --- why --- */

void image_why_free(struct image_why *w)
{
	chains_free(&w->chains);
}

static bool same_chain(const struct chain *a, const struct chain *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!streq(a->steps[i], b->steps[i]))
			return false;
	return true;
}

static bool has_chain(const struct chains *c, const struct chain *wanted)
{
	for (size_t i = 0; i < c->count; i++)
		if (same_chain(&c->list[i], wanted))
			return true;
	return false;
}

/* Moves those that `to` does not have yet. */
static void merge_chains(struct chains *from, struct chains *to)
{
	for (size_t i = 0; i < from->count; i++) {
		if (has_chain(to, &from->list[i]))
			continue;
		to->list = xgrow(to->list, to->count + 1, &to->capacity, sizeof(*to->list));
		to->list[to->count++] = from->list[i];
		from->list[i] = (struct chain) { 0 };
	}
	to->more = to->more || from->more;
}

void image_why(const struct image_draft *d, const char *path, struct image_why *ret)
{
	const struct entry *entry = tree_find(&d->tree, path), *file = follow(&d->tree, entry);
	_cleanup_(reasons) struct reasons g = { 0 };
	_cleanup_(chains) struct chains further = { 0 };
	struct image_why w = { .entry = entry, .file = file };

	reasons_make(&d->tree, &g);
	reasons_chains(&g, entry->index, max_chains, &w.chains);
	if (file && file != entry)
		reasons_chains(&g, file->index, max_chains, &further);
	merge_chains(&further, &w.chains);
	*ret = w;
}
