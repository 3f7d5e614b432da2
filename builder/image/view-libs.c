#include "image/view.h"

#include <errno.h>
#include <sys/stat.h>

void view_close(struct view *v)
{
	if (v->linker)
		linker_close(v->linker);
	free(v->linker);
	map_free(&v->complete);
	free(v->dep);
	free(v->builtin);
	map_free(&v->dep_of);
	map_free(&v->is_builtin);
	strlist_free(&v->names);
	free(v->busybox);
	*v = (struct view) { 0 };
}

/* The loader as it will be in the rescue system: with the tree's ld.so.cache, and no file but the tree's. */
static int get_linker(struct view *v, struct error *e)
{
	struct linker linker;

	if (v->linker)
		return 0;
	int r = linker_open(NULL, v->tree, &linker, e);

	if (r < 0)
		return r;
	v->linker = xmalloc(sizeof(linker));
	*v->linker = linker;
	return 0;
}

static int check_library(void *context, const struct loaded *by, const char *name, const struct loaded *got,
			 struct error *e)
{
	(void)context;
	return got->object ? 0
			   : error_text(e, ENOENT, "library %s, which /%s needs, is not in it", name,
					by->object->canonical);
}

static int check_loader(const struct process *p, struct error *e)
{
	const struct object *program = p->list[0].object;
	const char *path = program->info.interpreter;

	if (!path || (p->list[1].object && (p->list[1].place->walk.st.st_mode & 0111)))
		return 0;
	return error_text(e, ENOENT, "the loader %s of /%s is not in it", path, program->canonical);
}

static int check_opened(struct process *p, const char *name, struct error *e)
{
	ssize_t i = process_find(p, 0, name, e);

	return i < 0 ? (int)i : check_library(NULL, &p->list[0], name, &p->list[i], e);
}

int view_libraries(struct view *v, const struct entry *program, const char *opened, struct error *e)
{
	_cleanup_(process) struct process p = { 0 };
	struct object *object;

	if (!opened && map_get(&v->complete, program->path))
		return 0;
	int r = get_linker(v, e);

	if (r == 0)
		r = objects_get(&v->linker->objects, program->path, &object, e);
	if (r < 0)
		return r;
	if (!object->is_elf)
		return error_text(e, ENOEXEC, "/%s is not a program that opens libraries", program->path);
	r = process_start(v->linker, object, &p, e);
	if (r == 0)
		r = check_loader(&p, e);
	if (r == 0 && opened)
		r = check_opened(&p, opened, e);
	if (r == 0)
		r = process_close(&p, 0, check_library, NULL, e);
	if (r == 0)
		map_put(&v->complete, object->canonical, object);
	return r;
}
