/* What the dynamic loader would map into a process, in its order: ld.so(8), glibc's elf/dl-load.c and
 * elf/dl-deps.c, musl's ldso/dynlink.c. Nothing is run, and nothing is put into the tree here. */
#pragma once
#include "image/ldcache.h"
#include "image/loader.h"

/* What all processes of a root share. Libraries for special processors (glibc-hwcaps) are never
 * taken: the rescue system may run on another machine, and each has its plain form beside it. */
struct linker {
	struct objects objects;
	struct ldcache cache; /* the root's; empty when it has none */
	struct strlist conf; /* the folders of its ld.so.conf */
	struct loader **loaders; /* owned */
	size_t count, capacity;
};
/* The loader's files are the root's; without a root (NULL) they are the tree's, and nothing else is seen. */
int linker_open(const struct root *root, const struct tree *tree, struct linker *ret, struct error *e);
void linker_close(struct linker *l);
DEFINE_CLEANUP(linker, struct linker, linker_close)

struct loaded {
	const char *name; /* as it was asked for; NULL: the program itself */
	struct object *object; /* NULL: it is nowhere */
	struct place *place; /* where it was found; NULL: the program itself, or nowhere */
	size_t by; /* index of the one that asked first; 0 for the program */
	bool by_name; /* ld.so.cache has it, or a folder of ld.so.conf: no default folder was needed */
	uint32_t cache_flags; /* then: its kind in ld.so.cache; 0: not known */
};
struct process {
	struct linker *linker;
	struct loader *loader; /* NULL: static, or of an unknown kind */
	struct loaded *list; /* the program is the first; its interpreter, where it has one, the second */
	size_t count, capacity;
};
void process_free(struct process *p);
DEFINE_CLEANUP(process, struct process, process_free)

/* The program or library and its interpreter; the caller frees it also after a failure. An interpreter
 * that is nowhere is a `loaded` without object. */
int process_start(struct linker *l, struct object *program, struct process *ret, struct error *e);

/* What the object at index `by` finds under this name, mapped already or not. Returns the index in `list`
 * (of a `loaded` without object when it is nowhere), or a negative errno. */
ssize_t process_find(struct process *p, size_t by, const char *name, struct error *e);

/* For each library that an object needs: who, its name, and what it got. May return a negative errno. */
typedef int process_edge(void *context, const struct loaded *by, const char *name, const struct loaded *got,
			 struct error *e);

/* Maps all that the objects from index `from` on need, and what those need. `edge` may be NULL. */
int process_close(struct process *p, size_t from, process_edge *edge, void *context, struct error *e);
