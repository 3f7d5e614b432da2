/* What a module says of itself: the section .modinfo of its file (Linux: include/linux/moduleparam.h,
 * modinfo(8)), which may be compressed as a whole. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "image/spool.h"

struct modinfo {
	char *vermagic; /* "6.1.0-13-amd64 SMP preempt mod_unload modversions "; NULL: it has none */
	struct strlist wanted; /* names or aliases of modules that it can use: softdep, weakdep */
	struct strlist firmware; /* names below the firmware folder, patterns among them */
	bool packed; /* the file is compressed */
	uint64_t size; /* bytes of the module itself, unpacked */
	bool spooled; /* a compressed one is in the spool … */
	uint64_t spool_at; /* … there */
};
void modinfo_free(struct modinfo *info);
DEFINE_CLEANUP(modinfo, struct modinfo, modinfo_free)

/* Reads the module's file; what a compressed one holds is left in `spool` (may be NULL). Threads may do so at once, after modinfo_prepare(). A file that is truncated or no
 * module is an error. */
void modinfo_prepare(void);
int modinfo_read(const char *path, struct spool *spool, struct modinfo *ret, struct error *e);

/* One "key=value" of a module's .modinfo or of modules.builtin.modinfo. */
void modinfo_add(struct modinfo *info, const char *key_value);
