#include "image/process.h"

#include "image/ldconf.h"
#include "image/search.h"

#include <errno.h>

int linker_open(const struct root *root, const struct tree *tree, struct linker *ret, struct error *e)
{
	_cleanup_(linker) struct linker l = { .objects = { .root = root, .tree = tree } };
	int r = ldcache_read(root, root ? NULL : tree, &l.cache, e);

	if (r >= 0 && root)
		r = ldconf_read(root, &l.conf, e);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct linker) { 0 };
	return 0;
}

void linker_close(struct linker *l)
{
	for (size_t i = 0; i < l->count; i++) {
		loader_free(l->loaders[i]);
		free(l->loaders[i]);
	}
	free(l->loaders);
	ldcache_free(&l->cache);
	strlist_free(&l->conf);
	objects_free(&l->objects);
	*l = (struct linker) { 0 };
}

void process_free(struct process *p)
{
	free(p->list);
	*p = (struct process) { 0 };
}

static size_t map_object(struct process *p, const struct loaded *one)
{
	p->list = xgrow(p->list, p->count + 1, &p->capacity, sizeof(*p->list));
	p->list[p->count] = *one;
	return p->count++;
}

/* --- one process --- */

/* The loader, opened once for all that name it. */
static int get_loader(struct linker *l, const char *interpreter, const struct elf_info *like,
		      struct loader **ret, struct error *e)
{
	struct loader made;

	for (size_t i = 0; i < l->count; i++)
		if (streq(l->loaders[i]->interpreter, interpreter)) {
			*ret = l->loaders[i];
			return 0;
		}
	int r = loader_open(&l->objects, interpreter, like, &made, e);

	if (r < 0)
		return r;
	l->loaders = xgrow(l->loaders, l->count + 1, &l->capacity, sizeof(struct loader *));
	*ret = l->loaders[l->count++] = xmalloc(sizeof(made));
	**ret = made;
	return 0;
}

int process_start(struct linker *l, struct object *program, struct process *ret, struct error *e)
{
	const char *named = program->info.interpreter;
	_cleanup_(free) char *interpreter = named ? xstrdup(named) : loader_for_library(&program->info);

	*ret = (struct process) { .linker = l };
	map_object(ret, &(struct loaded) { .object = program });
	if (!interpreter)
		return 0;
	int r = get_loader(l, interpreter, &program->info, &ret->loader, e);

	/* musl's loader is its C library as well */
	if (r == 0 && (named || ret->loader->musl)) {
		struct place *place = ret->loader->place;

		map_object(ret, &(struct loaded) { .name = named, .object = place->object, .place = place });
	}
	return r;
}

static bool is_called(const struct loaded *one, const char *name)
{
	const char *soname = one->object->info.soname;

	return (one->name && streq(one->name, name)) || (soname && streq(soname, name)) ||
	       (one->place && streq(one->place->path, name));
}

/* The index of what is mapped under that name, or -1. What one did not find another may: it is no answer. */
static ssize_t find_mapped(const struct process *p, const char *name)
{
	if (p->loader && p->loader->musl && p->count > 1 && loader_is_musl_libc(name))
		return 1;
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].object && is_called(&p->list[i], name))
			return (ssize_t)i;
	return -1;
}

/* The same file under another name: the loader maps it once. */
static ssize_t find_object(const struct process *p, const struct object *object)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].object == object)
			return (ssize_t)i;
	return -1;
}

ssize_t process_find(struct process *p, size_t by, const char *name, struct error *e)
{
	struct loaded found = { .name = name, .by = by };
	ssize_t known = find_mapped(p, name);

	if (known >= 0)
		return known;
	int r = search_library(p, by, name, &found, e);

	if (r < 0) {
		error_prefix(e, "library %s of %s", name, p->list[by].object->shown);
		return r;
	}
	return (ssize_t)map_object(p, &found);
}

/* One DT_NEEDED or DT_AUXILIARY. */
static int need(struct process *p, size_t by, const char *name, bool optional, process_edge *edge,
		void *context, struct error *e)
{
	size_t before = p->count;
	ssize_t i = process_find(p, by, name, e);

	if (i < 0)
		return (int)i;
	if (optional && !p->list[i].object) {
		p->count = before; /* somebody else may really need it */
		return 0;
	}
	return !edge ? 0 : edge(context, &p->list[by], name, &p->list[i], e);
}

int process_close(struct process *p, size_t from, process_edge *edge, void *context, struct error *e)
{
	for (size_t i = from; i < p->count; i++) {
		if (!p->list[i].object || find_object(p, p->list[i].object) != (ssize_t)i)
			continue; /* nowhere, or seen under another name */
		const struct elf_info *info = &p->list[i].object->info;
		int r = 0;

		for (size_t n = 0; r == 0 && n < info->auxiliary.count; n++)
			r = need(p, i, info->auxiliary.items[n], true, edge, context, e);
		for (size_t n = 0; r == 0 && n < info->needed.count; n++)
			r = need(p, i, info->needed.items[n], false, edge, context, e);
		if (r < 0)
			return r;
	}
	return 0;
}
