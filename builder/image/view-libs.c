#include "image/view.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct view_object {
	const struct entry *entry;
	struct elf_info info;
	bool is_elf;
	bool complete; /* as a program: all of its libraries were found */
};

void view_close(struct view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		elf_info_free(&v->objects[i]->info);
		free(v->objects[i]);
	}
	free(v->objects);
	map_free(&v->by_path);
	free(v->dep);
	free(v->builtin);
	map_free(&v->dep_of);
	map_free(&v->is_builtin);
	strlist_free(&v->names);
	free(v->busybox);
	*v = (struct view) { 0 };
}

/* Reads each file once. */
static int get_object(struct view *v, const struct entry *entry, struct view_object **ret, struct error *e)
{
	struct view_object *known = map_get(&v->by_path, entry->path);
	struct elf_info info = { 0 };
	int is_elf = 0;

	if (known) {
		*ret = known;
		return 0;
	}
	if (entry->source) { /* what we make ourselves is text */
		_cleanup_(fd) int fd = open(entry->source, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return error_errno(e, errno, "open %s", entry->source);
		is_elf = elf_read(fd, entry->source, &info, e);
		if (is_elf < 0)
			return is_elf;
	}
	struct view_object *o = xcalloc(1, sizeof(*o));

	*o = (struct view_object) { .entry = entry, .info = info, .is_elf = is_elf };
	v->objects = xgrow(v->objects, v->count + 1, &v->capacity, sizeof(struct view_object *));
	v->objects[v->count++] = o;
	map_put(&v->by_path, entry->path, o);
	*ret = o;
	return 0;
}

/* --- one process: what the loader would map --- */

struct mapped {
	struct view_object *object;
	const char *name; /* as it was asked for; NULL: the program itself */
	size_t by; /* index of the one that asked; its own index for the program */
};
struct process {
	struct view *view;
	struct mapped *list;
	size_t count, capacity;
	struct error *e;
};
static void process_free(struct process *p)
{
	free(p->list);
}
DEFINE_CLEANUP(process, struct process, process_free)

static void map_object(struct process *p, struct view_object *o, const char *name, size_t by)
{
	p->list = xgrow(p->list, p->count + 1, &p->capacity, sizeof(*p->list));
	p->list[p->count++] = (struct mapped) { o, name, by };
}

static bool is_mapped(const struct process *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct mapped *one = &p->list[i];

		if ((one->name && streq(one->name, name)) ||
		    (one->object->info.soname && streq(one->object->info.soname, name)))
			return true;
	}
	return false;
}

/* FOLDER/NAME: 1 when it is there and of the kind of `like`, 0 when not. */
static int try_folder(struct process *p, const char *folder, const char *name, const struct view_object *like,
		      struct view_object **ret)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, name);
	const struct entry *entry = view_follow(p->view, path);
	struct view_object *o;

	if (!entry || !S_ISREG(entry->mode))
		return 0;
	int r = get_object(p->view, entry, &o, p->e);

	if (r < 0 || !o->is_elf || o->info.class != like->info.class || o->info.machine != like->info.machine)
		return r;
	*ret = o;
	return 1;
}

static const char *triplet(const struct view_object *o)
{
	switch (o->info.machine) {
	case EM_X86_64:
		return o->info.class == ELFCLASS64 ? "x86_64-linux-gnu" : "x86_64-linux-gnux32";
	case EM_386:
		return "i386-linux-gnu";
	case EM_AARCH64:
		return "aarch64-linux-gnu";
	default:
		return "arm-linux-gnueabihf";
	}
}

/* ld.so(8): $ORIGIN is the object's folder, $LIB what the distribution has; `lib` is one guess of it. */
static char *expand(const char *folder, const struct view_object *o, const char *lib)
{
	const char *slash = strrchr(o->entry->path, '/');
	_cleanup_(free) char *origin =
		xasprintf("/%.*s", slash ? (int)(slash - o->entry->path) : 0, o->entry->path);
	const struct {
		const char *token, *value;
	} tokens[] = { { "$ORIGIN", origin }, { "${ORIGIN}", origin },   { "$LIB", lib },
		       { "${LIB}", lib },     { "$PLATFORM", "x86_64" }, { "${PLATFORM}", "x86_64" } };
	struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	while (*folder) {
		const char *after = NULL, *value = NULL;

		for (size_t i = 0; !after && i < sizeof(tokens) / sizeof(*tokens); i++) {
			after = str_after(folder, tokens[i].token);
			value = tokens[i].value;
		}
		if (after)
			strbuf_puts(&b, value);
		else
			strbuf_add(&b, folder, 1);
		folder = after ? after : folder + 1;
	}
	return b.data;
}

/* A DT_RPATH or DT_RUNPATH of `o`. */
static int try_path(struct process *p, const char *path, const struct view_object *o, const char *name,
		    struct view_object **ret)
{
	_cleanup_(free) char *own = xasprintf("lib/%s", triplet(o));
	const char *const libs[] = { own, "lib64", "lib" };
	_cleanup_(strlist) struct strlist folders = { 0 };
	int r = 0;

	strlist_add_parts(&folders, path, ':');
	for (size_t i = 0; r == 0 && i < folders.count; i++)
		for (size_t k = 0; r == 0 && k < sizeof(libs) / sizeof(*libs); k++) {
			_cleanup_(free) char *full = expand(folders.items[i], o, libs[k]);

			if (full[0] == '/') /* relative ones would depend on who calls */
				r = try_folder(p, full, name, o, ret);
		}
	return r;
}

/* The folders that the loaders have built in. Those of glibc-hwcaps do not count: the machine that is
 * recovered may have another processor. */
static int try_default(struct process *p, const char *name, const struct view_object *like,
		       struct view_object **ret)
{
	_cleanup_(free) char *lib = xasprintf("lib/%s", triplet(like));
	_cleanup_(free) char *usr = xasprintf("usr/lib/%s", triplet(like));
	const char *const folders[] = { lib, usr, "lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(*folders); i++)
		r = try_folder(p, folders[i], name, like, ret);
	return r;
}

/* ld.so(8)'s order, for what the object at index `by` asks. 1, 0 (nowhere) or a negative errno. */
static int search(struct process *p, size_t by, const char *name, struct view_object **ret)
{
	const struct view_object *asking = p->list[by].object;
	int r = 0;

	if (strchr(name, '/'))
		return name[0] == '/' ? try_folder(p, "", name, asking, ret) : 0;
	if (asking->info.runpath)
		r = try_path(p, asking->info.runpath, asking, name, ret);
	else
		for (size_t i = by;; i = p->list[i].by) {
			const struct view_object *o = p->list[i].object;

			if (o->info.rpath && !o->info.runpath)
				r = try_path(p, o->info.rpath, o, name, ret);
			if (r != 0 || p->list[i].by == i)
				break;
		}
	return r != 0 ? r : try_default(p, name, asking, ret);
}

static int map_library(struct process *p, size_t by, const char *name)
{
	struct view_object *found;
	int r = is_mapped(p, name) ? 0 : search(p, by, name, &found);

	if (r == 1)
		map_object(p, found, name, by);
	else if (r == 0 && !is_mapped(p, name))
		r = error_text(p->e, ENOENT, "library %s, which /%s needs, is not in it", name,
			       p->list[by].object->entry->path);
	return r < 0 ? r : 0;
}

/* The loader is a library of the process as well. */
static int map_loader(struct process *p)
{
	const struct view_object *program = p->list[0].object;
	const char *path = program->info.interpreter;
	struct view_object *o;

	if (!path)
		return 0;
	const struct entry *entry = view_follow(p->view, path);

	if (!entry || !S_ISREG(entry->mode) || !(entry->mode & 0111))
		return error_text(p->e, ENOENT, "the loader %s of /%s is not in it", path,
				  program->entry->path);
	int r = get_object(p->view, entry, &o, p->e);

	if (r == 0)
		map_object(p, o, path, 0);
	return r;
}

int view_libraries(struct view *v, const struct entry *program, const char *opened, struct error *e)
{
	_cleanup_(process) struct process p = { .view = v, .e = e };
	struct view_object *o;
	int r = get_object(v, program, &o, e);

	if (r < 0 || (o->complete && !opened))
		return r;
	if (!o->is_elf)
		return error_text(e, ENOEXEC, "/%s is not a program that opens libraries", program->path);
	map_object(&p, o, NULL, 0);
	r = map_loader(&p);
	if (r == 0 && opened)
		r = map_library(&p, 0, opened);
	for (size_t i = 0; r == 0 && i < p.count; i++) {
		const struct strlist *needed = &p.list[i].object->info.needed;

		for (size_t n = 0; r == 0 && n < needed->count; n++)
			r = map_library(&p, i, needed->items[n]);
	}
	o->complete = r == 0;
	return r;
}
