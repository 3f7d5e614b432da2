#include "image/libs.h"

#include "image/hwcaps.h"

#include <errno.h>

int libs_open(const struct root *root, struct tree *tree, struct libs *ret, struct error *e)
{
	struct libs l = { .tree = tree };
	int r = linker_open(root, tree, &l.linker, e);

	if (r < 0)
		return r;
	*ret = l;
	return 0;
}

void libs_close(struct libs *l)
{
	linker_close(&l->linker);
	for (size_t i = 0; i < l->count; i++) {
		free((char *)l->cached[i].name);
		free((char *)l->cached[i].path);
	}
	free(l->cached);
	strlist_free(&l->keys);
	map_free(&l->by_key);
	*l = (struct libs) { 0 };
}

/* --- the image's ld.so.cache --- */

static int remember(struct libs *l, const struct loaded *got, struct error *e)
{
	_cleanup_(free) char *key = xasprintf("%x %s", (unsigned)got->cache_flags, got->name);

	if (map_get(&l->by_key, key))
		return 0;
	if (!got->cache_flags)
		return error_text(e, ENOTSUP,
				  "pack %s: only ld.so.conf leads to it, and what ld.so.cache calls its kind "
				  "is not known here; run ldconfig",
				  got->object->shown);
	l->cached = xgrow(l->cached, l->count + 1, &l->capacity, sizeof(*l->cached));
	l->cached[l->count++] = (struct ldcache_entry) { .name = xstrdup(got->name),
							 .path = xstrdup(got->place->path),
							 .flags = got->cache_flags };
	strlist_take(&l->keys, TAKE_PTR(key));
	map_put(&l->by_key, l->keys.items[l->keys.count - 1], l);
	return 0;
}

int libs_finish(struct libs *l, struct error *e)
{
	_cleanup_(strbuf) struct strbuf data = { 0 };

	if (!l->count)
		return 0;
	ldcache_format(l->cached, l->count, &data);
	return tree_add_data(l->tree, "etc/ld.so.cache", 0644, data.data, data.len,
			     tree_reason(l->tree, NULL, "the loader finds libraries by name"), e);
}

/* --- into the tree --- */

/* Who asks for a library asks for the file and for the links of that name that lead to it. */
static void add_asker(struct libs *l, const struct reason *why, const char *name, const struct loaded *got)
{
	const struct strlist *links = got->place ? &got->place->walk.links : NULL;

	tree_also(l->tree, got->object->canonical, why, "library %s", name);
	for (size_t i = 0; links && i < links->count; i += 2)
		if (str_ends(links->items[i], name))
			tree_also(l->tree, links->items[i], why, "library %s", name);
}

static int add_library(struct libs *l, const struct reason *why, const char *name, const struct loaded *got,
		       struct error *e)
{
	if (!got->object->reason)
		got->object->reason = tree_reason(l->tree, why, "library %s", name);
	if (!got->place)
		return 0; /* the program itself, which its own library needs */
	if (!got->place->in_tree) {
		int r = tree_add_walk(l->tree, l->linker.objects.root, &got->place->walk, got->object->reason,
				      e);

		if (r < 0)
			return r;
		got->place->in_tree = true;
	}
	add_asker(l, why, name, got);
	return got->by_name ? remember(l, got, e) : 0;
}

/* One closure. */
struct adding {
	struct libs *libs;
	const struct process *process;
	const struct object *program;
};

static int nowhere(const struct adding *a, const struct object *by, const char *name, struct error *e)
{
	const struct linker *l = &a->libs->linker;
	const struct loader *loader = a->process->loader;
	char *variant = loader ? hwcaps_find(l->objects.root, &loader->folders, name) : NULL;

	if (!variant)
		variant = hwcaps_find(l->objects.root, &l->conf, name);
	int r = variant ? error_text(e, ENOENT,
				     "pack %s: its library %s is there for some processors only, as %s, "
				     "which stays "
				     "out: the rescue system may run on another machine; install the one for "
				     "all",
				     by->shown, name, variant)
			: error_text(e, ENOENT, "pack %s: its library %s is in no folder of ld.so", by->shown,
				     name);

	free(variant);
	return r;
}

static bool is_packed(const struct libs *l, const char *name)
{
	const struct objects *o = &l->linker.objects;

	for (size_t i = 0; i < o->count; i++)
		if (o->list[i]->reason && o->list[i]->info.soname && streq(o->list[i]->info.soname, name))
			return true;
	return false;
}

static int add_edge(void *context, const struct loaded *by, const char *name, const struct loaded *got,
		    struct error *e)
{
	const struct adding *a = context;

	if (!got->object && !a->program->info.interpreter && is_packed(a->libs, name))
		return 0;
	if (!got->object)
		return nowhere(a, by->object, name, e);
	return add_library(a->libs, by->object->reason, name, got, e);
}

/* The interpreter is a library of its process as well. */
static int add_interpreter(struct libs *l, const struct process *p, struct error *e)
{
	const struct object *program = p->list[0].object;
	const char *name = program->info.interpreter;

	if (!name)
		return 0;
	const struct reason *why = tree_reason(l->tree, program->reason, "interpreter %s", name);
	int r = tree_add_from_root(l->tree, l->linker.objects.root, name, why, NULL, e);

	if (r == 0 && p->loader->path_file)
		r = tree_add_from_root(l->tree, l->linker.objects.root, p->loader->path_file,
				       tree_reason(l->tree, why, "its folders"), NULL, e);
	if (r < 0)
		error_prefix(e, "pack %s", program->shown);
	else if (p->list[1].object && !p->list[1].object->reason)
		p->list[1].object->reason = why;
	return r;
}

static int get_program(struct libs *l, const char *canonical, const struct reason *why, struct object **ret,
		       struct error *e)
{
	int r = objects_get(&l->linker.objects, canonical, ret, e);

	if (r == 0 && !(*ret)->reason)
		(*ret)->reason = why;
	return r;
}

int libs_add_needed(struct libs *l, const char *canonical, const struct reason *why, struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *program;
	int r = get_program(l, canonical, why, &program, e);

	if (r < 0 || !program->is_elf)
		return r;
	r = process_start(&l->linker, program, &p, e);
	if (r == 0)
		r = add_interpreter(l, &p, e);
	if (r == 0)
		r = process_close(&p, 0, add_edge, &(struct adding) { l, &p, program }, e);
	return r < 0 ? r : 1;
}

int libs_folders(struct libs *l, const char *canonical, struct strlist *ret, struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *object;
	int r = objects_get(&l->linker.objects, canonical, &object, e);

	if (r == 0 && object->is_elf)
		r = process_start(&l->linker, object, &p, e);
	for (size_t i = 0; r == 0 && p.loader && i < p.loader->folders.count; i++)
		strlist_add(ret, p.loader->folders.items[i]);
	return r;
}

int libs_add_opened(struct libs *l, const char *canonical, const char *name, const struct reason *why,
		    struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *opener;
	int r = get_program(l, canonical, why, &opener, e);

	if (r < 0 || !opener->is_elf)
		return r;
	r = process_start(&l->linker, opener, &p, e);
	if (r < 0)
		return r;
	ssize_t i = process_find(&p, 0, name, e);

	if (i < 0 || !p.list[i].object)
		return i < 0 ? (int)i : 0;
	r = add_library(l, why, name, &p.list[i], e);
	if (r == 0)
		r = process_close(&p, (size_t)i, add_edge, &(struct adding) { l, &p, opener }, e);
	return r < 0 ? r : 1;
}
