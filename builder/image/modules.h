/* Kernel modules: by name, by folder, by alias; with their hard and soft dependencies and the firmware that
 * they name. The kernel's own indexes are read in place; the image gets indexes of its own, which name only
 * what is packed. Compressed modules go in unpacked: every kernel and every modprobe can load them then, and
 * an image that is compressed as a whole is smaller with them. */
#pragma once
#include "base/report.h"
#include "image/firmware.h"
#include "image/kernel.h"
#include "image/moddep.h"
#include "image/root.h"
#include "image/spool.h"

struct kmod_ctx;
struct module;

struct modules {
	const struct root *root; /* firmware comes from here; caller's */
	const struct kernel *kernel; /* caller's */
	struct tree *tree; /* caller's */
	struct report *report; /* caller's */
	struct kmod_ctx *context; /* NULL: the kernel has no modules */
	struct moddep dep; /* all modules that the kernel has */
	struct module *all; /* beside each of dep.list: what we know about it */
	uint32_t *taken; /* places in both, in the order in which they were taken */
	size_t taken_count, read_count; /* how many of them have been read */
	char *above; /* lib/modules as the tree has it */
	char *folder; /* and that kernel's in it */
	const struct strlist *except; /* folders whose modules modules_add() passes over, or NULL; caller's */
	struct firmware firmware;
	struct spool
		*spool; /* compressed modules, unpacked: the tree's entries point here; NULL: there is none */
	struct strlist missing_firmware; /* names that no firmware folder has */
};
/* What is opened here must be there as long as the tree is read. The tree has its links to folders (lib → usr/lib) by now;
 * the kernel may still be looked for. */
int modules_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		 struct report *report, struct modules *ret, struct error *e);
/* Reads what the kernel, which is known by now, has; before anything below. The tree is left alone: another thread may
 * fill it meanwhile. */
int modules_read(struct modules *m, struct error *e);
void modules_close(struct modules *m);
DEFINE_CLEANUP(modules, struct modules, modules_close)

/* Takes what a name or alias stands for. Returns how many modules it stands for, built-in ones
 * counted; 0: none. */
int modules_add(struct modules *m, const char *name, const struct reason *because, struct error *e);
/* Takes every module below a folder such as kernel/drivers/ata. */
int modules_add_class(struct modules *m, const char *folder, const struct reason *because, struct error *e);
/* Adds a file of /lib/firmware or its update folders. Returns 1, or 0 when there is none. */
int modules_add_firmware(struct modules *m, const char *name, const struct reason *because, struct error *e);

/* Reads what was taken, adds all that it needs (modules, firmware), and the indexes that modprobe reads. A
 * module that is not there, is broken or is for another kernel is an error. */
int modules_finish(struct modules *m, const struct reason *because, struct error *e);

/* True when a module of this name is packed (built-in ones are not). */
bool modules_has(const struct modules *m, const char *name);

/* What the kernel has under a name or alias, packed or not. The paths that the files have in the tree, or would
 * have there, are added to `ret_paths`. */
enum module_place { MODULE_UNKNOWN, MODULE_BUILTIN, MODULE_FILE };
enum module_place modules_find(const struct modules *m, const char *name, struct strlist *ret_paths);
