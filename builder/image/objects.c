#include "image/objects.h"

#include <errno.h>
#include <fcntl.h>

void objects_look_again(struct objects *o)
{
	map_free(&o->by_path);
	map_free(&o->by_canonical);
}

void objects_free(struct objects *o)
{
	objects_look_again(o);
	for (size_t i = 0; i < o->place_count; i++) {
		free(o->places[i]->path);
		walk_free(&o->places[i]->walk);
		free(o->places[i]);
	}
	for (size_t i = 0; i < o->count; i++) {
		free(o->list[i]->canonical);
		free(o->list[i]->shown);
		elf_info_free(&o->list[i]->info);
		free(o->list[i]);
	}
	free(o->list);
	free(o->places);
	*o = (struct objects) { 0 };
}

/* Returns 1 for an ELF file, 0 for another. What we make ourselves is text. */
static int read_object(const struct objects *o, const char *canonical, char **ret_shown, struct elf_info *ret,
		       struct error *e)
{
	const struct entry *ours = o->tree ? tree_find(o->tree, canonical) : NULL;

	*ret_shown = ours && ours->source ? xstrdup(ours->source) : root_host_path(o->root, canonical);
	if (ours && !ours->source)
		return 0;
	/* It was a regular file when we looked; a FIFO in its place must not keep us waiting. */
	_cleanup_(fd) int fd = open(*ret_shown, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? error_errno(e, errno, "open %s", *ret_shown) : elf_read(fd, *ret_shown, ret, e);
}

int objects_get(struct objects *o, const char *canonical, struct object **ret, struct error *e)
{
	struct object *known = map_get(&o->by_canonical, canonical);

	if (known) {
		*ret = known;
		return 0;
	}
	_cleanup_(free) char *shown = NULL;
	struct elf_info info = { 0 };
	int r = read_object(o, canonical, &shown, &info, e);

	if (r < 0)
		return r;
	struct object *made = xcalloc(1, sizeof(*made));

	*made = (struct object) {
		.canonical = xstrdup(canonical), .shown = TAKE_PTR(shown), .info = info, .is_elf = r == 1
	};
	o->list = xgrow(o->list, o->count + 1, &o->capacity, sizeof(struct object *));
	o->list[o->count++] = made;
	map_put(&o->by_canonical, made->canonical, made);
	*ret = made;
	return 0;
}

int objects_at(struct objects *o, const char *path, struct place **ret, struct error *e)
{
	struct place *place = map_get(&o->by_path, path);
	struct error why;

	if (place) {
		*ret = place;
		return 0;
	}
	_cleanup_(walk) struct walk w = { 0 };
	struct object *object = NULL;
	int r = root_walk(o->root, o->tree, path, &w, &why);

	if (r == -ELOOP) {
		*e = why; /* the loader looks no further either */
		return r;
	}
	r = r == 0 && S_ISREG(w.st.st_mode) ? objects_get(o, w.canonical, &object, e) : 0;
	if (r < 0)
		return r;
	place = xcalloc(1, sizeof(*place));
	*place = (struct place) { .path = xstrdup(path), .walk = w, .object = object };
	w = (struct walk) { 0 };
	o->places = xgrow(o->places, o->place_count + 1, &o->place_capacity, sizeof(struct place *));
	o->places[o->place_count++] = place;
	map_put(&o->by_path, place->path, place);
	*ret = place;
	return 0;
}
