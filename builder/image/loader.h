/* Dynamic loaders: the program that PT_INTERP names, and where it looks. glibc's has its default folders
 * built in (elf/dl-load.c: system_dirs), musl's reads /etc/ld-musl-ARCH.path (ldso/dynlink.c). Both
 * are read, neither is run. */
#pragma once
#include "image/objects.h"

struct loader {
	char *interpreter; /* as PT_INTERP says */
	struct place *place; /* where it is; its object may be NULL */
	bool musl;
	char *path_file; /* musl: where it reads its folders; NULL: it has them built in */
	struct strlist folders; /* the default ones, without a slash at the end */
	const char *lib; /* $LIB; points into `folders` or is constant */
};
void loader_free(struct loader *l);
DEFINE_CLEANUP(loader, struct loader, loader_free)

/* `like` is what will be loaded: it says which folders to expect where the loader does not. */
int loader_open(struct objects *objects, const char *interpreter, const struct elf_info *like,
		struct loader *ret, struct error *e);

/* The interpreter of a library, which names none: by its machine and C library. NULL: not known. The
 * caller frees. */
char *loader_for_library(const struct elf_info *info);

/* $PLATFORM: the plainest processor of its kind. NULL: not known. */
const char *loader_platform(const struct elf_info *info);

/* Is it one of the names that musl's loader answers itself (its C library is the loader)? */
bool loader_is_musl_libc(const char *name);
