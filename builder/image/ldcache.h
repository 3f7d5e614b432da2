/* /etc/ld.so.cache: which file the loader takes for a library's name. On-disk format: glibc's
 * sysdeps/generic/dl-cache.h (the "new" one, 1.1, alone or behind the old one's entries); ld.so(8). */
#pragma once
#include "image/elf.h"
#include "image/root.h"

struct ldcache_entry {
	const char *name, *path; /* owner's */
	uint32_t flags; /* kind of library: FLAG_ELF_LIBC6 and the machine's */
};
struct ldcache {
	char *data; /* the file, which the entries point into */
	struct ldcache_entry
		*entries; /* as they stand there: those of one name side by side, the best first */
	size_t count;
	struct map by_name; /* name → its first entry */
};
/* As root_read() finds it. Returns 1, or 0 when there is none that can be read as one: `*ret` is empty then. Entries for
 * special processors (glibc-hwcaps and older) are left out. */
int ldcache_read(const struct root *root, const struct tree *tree, struct ldcache *ret, struct error *e);
void ldcache_free(struct ldcache *c);
DEFINE_CLEANUP(ldcache, struct ldcache, ldcache_free)

/* The first entry of that name; `*ret_count` of them follow each other. NULL: none. */
const struct ldcache_entry *ldcache_find(const struct ldcache *c, const char *name, size_t *ret_count);

/* The flags of a library of that kind: 1, or 0 when they are not known here. */
int ldcache_flags(const struct elf_info *info, uint32_t *ret);

/* The file for these entries, in whatever order they are. */
void ldcache_format(struct ldcache_entry *entries, size_t count, struct strbuf *ret);
