#include "image/search.h"

#include <elf.h>
#include <errno.h>

struct search {
	struct process *p;
	const char *name;
	size_t by;
	struct loaded found;
	struct error *e;
};

static const struct elf_info *asking(const struct search *s)
{
	return &s->p->list[s->by].object->info;
}

/* The loader passes over libraries of another kind. */
static bool of_kind(const struct elf_info *a, const struct elf_info *b)
{
	return a->class == b->class && a->data == b->data && a->machine == b->machine &&
	       (a->type == ET_DYN || a->type == ET_EXEC);
}

/* Returns 1 when a library of the right kind is at that path, 0, or a negative errno. */
static int try_file(struct search *s, const char *path)
{
	struct place *place;
	int r = objects_at(&s->p->linker->objects, path, &place, s->e);

	if (r == 0 && place->object && !place->object->is_elf)
		return error_text(s->e, ENOEXEC, "%s is no library, and the loader stops there",
				  place->object->shown);
	if (r < 0 || !place->object || !of_kind(&place->object->info, asking(s)))
		return r;
	s->found = (struct loaded) { .name = s->name, .by = s->by, .object = place->object, .place = place };
	return 1;
}

static int try_folder(struct search *s, const char *folder)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, s->name);

	return try_file(s, path);
}

/* The folder of the object, as the loader knows it: links of the program's path are followed before
 * the loader sees it, those of libraries are not. */
static void put_origin(struct strbuf *b, const struct loaded *one)
{
	const char *path = one->place ? one->place->path : one->object->canonical;
	const char *slash = strrchr(path, '/');

	strbuf_printf(b, "%s%.*s", *path == '/' ? "" : "/", slash ? (int)(slash - path) : 0, path);
}

/* Puts the value of the token at `*p`, a dollar sign, and moves behind it. false: no such token. */
static bool put_token(const struct search *s, const struct loaded *one, const char **p, struct strbuf *b)
{
	static const char *const names[] = { "ORIGIN", "LIB", "PLATFORM" };
	bool braces = (*p)[1] == '{', musl = s->p->loader && s->p->loader->musl;
	const char *name = *p + 1 + braces, *platform = loader_platform(&one->object->info);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *after = str_after(name, names[i]);

		if (!after || (braces && *after++ != '}'))
			continue;
		if (i == 0)
			put_origin(b, one);
		else if (musl || !s->p->loader || (i == 2 && !platform))
			return false;
		else
			strbuf_puts(b, i == 1 ? s->p->loader->lib : platform);
		*p = after;
		return true;
	}
	return false;
}

/* Replaces the tokens of ld.so(8). NULL: one is not known, and the loader leaves such a folder out. */
static char *expand(const struct search *s, const char *text, const struct loaded *one)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	while (*text) {
		if (*text != '$')
			strbuf_add(&b, text++, 1);
		else if (!put_token(s, one, &text, &b))
			return NULL;
	}
	return TAKE_PTR(b.data);
}

/* A colon-separated DT_RPATH or DT_RUNPATH. Folders that depend on where one stands are left out. */
static int try_path(struct search *s, const char *path, const struct loaded *one)
{
	_cleanup_(free) char *copy = xstrdup(path);
	int r = 0;

	for (char *rest = copy, *folder; r == 0 && (folder = strsep(&rest, ":"));) {
		_cleanup_(free) char *full = expand(s, folder, one);

		if (full && full[0] == '/')
			r = try_folder(s, full);
	}
	return r;
}

/* DT_RPATH of the one that asks and of those that loaded it, one after the other. */
static int try_rpaths(struct search *s)
{
	const struct loaded *list = s->p->list;
	int r = 0;

	for (size_t i = s->by; r == 0; i = list[i].by) {
		const struct elf_info *info = &list[i].object->info;

		if (info->rpath && !info->runpath)
			r = try_path(s, info->rpath, &list[i]);
		if (i == 0)
			break;
	}
	return r;
}

static bool is_in_default_folder(const struct search *s, const char *path)
{
	const struct strlist *folders = &s->p->loader->folders;

	for (size_t i = 0; i < folders->count; i++) {
		const char *rest = str_after(path, folders->items[i]);

		if (rest && *rest == '/')
			return true;
	}
	return false;
}

static int try_cache(struct search *s)
{
	size_t count;
	const struct ldcache_entry *entries = ldcache_find(&s->p->linker->cache, s->name, &count);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (asking(s)->nodeflib && is_in_default_folder(s, entries[i].path))
			continue;
		r = try_file(s, entries[i].path);
		if (r == 1) {
			s->found.by_name = true;
			s->found.cache_flags = entries[i].flags;
		}
	}
	return r;
}

/* What ldconfig would put into the cache, should it run now. */
static int try_conf(struct search *s)
{
	const struct strlist *folders = &s->p->linker->conf;
	int r = 0;

	for (size_t i = 0; r == 0 && i < folders->count; i++)
		if (!asking(s)->nodeflib || !is_in_default_folder(s, folders->items[i]))
			r = try_folder(s, folders->items[i]);
	if (r == 1) {
		s->found.by_name = true;
		(void)ldcache_flags(&s->found.object->info, &s->found.cache_flags); /* 0 when not known */
	}
	return r;
}

static int try_defaults(struct search *s)
{
	const struct strlist *folders = &s->p->loader->folders;
	int r = 0;

	for (size_t i = 0; r == 0 && i < folders->count; i++)
		r = try_folder(s, folders->items[i]);
	return r;
}

/* ld.so(8)'s order. The cache comes first where there is one; a library that was installed since it was
 * made, or that an overlay brings, is found behind it. */
static int search_glibc(struct search *s)
{
	const struct elf_info *info = asking(s);
	const bool cached = s->p->linker->cache.count > 0;
	int r = info->runpath ? try_path(s, info->runpath, &s->p->list[s->by]) : try_rpaths(s);

	if (r == 0)
		r = cached ? try_cache(s) : try_conf(s);
	if (r == 0 && !info->nodeflib)
		r = try_defaults(s);
	if (r == 0 && cached)
		r = try_conf(s);
	return r;
}

/* musl makes no difference between DT_RPATH and DT_RUNPATH: both are also for the libraries of libraries. */
static int search_musl(struct search *s)
{
	const struct loaded *list = s->p->list;
	int r = 0;

	for (size_t i = s->by; r == 0; i = list[i].by) {
		const struct elf_info *info = &list[i].object->info;
		const char *path = info->runpath ? info->runpath : info->rpath;

		if (path)
			r = try_path(s, path, &list[i]);
		if (i == 0)
			break;
	}
	return r != 0 ? r : try_defaults(s);
}

static int run(struct search *s)
{
	if (strchr(s->name, '/')) {
		_cleanup_(free) char *path = expand(s, s->name, &s->p->list[s->by]);

		return path && *path == '/' ? try_file(s, path) : 0;
	}
	if (!s->p->loader)
		return 0;
	return s->p->loader->musl ? search_musl(s) : search_glibc(s);
}

int search_library(struct process *p, size_t by, const char *name, struct loaded *ret, struct error *e)
{
	struct search s = { .p = p, .name = name, .by = by, .e = e };
	int r = run(&s);

	if (r == 1)
		*ret = s.found;
	return r;
}
