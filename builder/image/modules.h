/* Kernel modules through libkmod: by name, by folder, by alias; with their hard and soft
 * dependencies and the firmware that they name. The kernel's own indexes are read in place; the
 * image gets indexes of its own, which name only what is packed. */
#pragma once
#include "base/report.h"
#include "image/kernel.h"
#include "image/root.h"

struct kmod_ctx;
struct module;

struct modules {
	const struct root *root; /* firmware comes from here; caller's */
	const struct kernel *kernel; /* caller's */
	struct tree *tree; /* caller's */
	struct report *report; /* caller's */
	struct kmod_ctx *context; /* NULL: the kernel has no modules */
	struct module **list; /* owned, in the order they were taken */
	size_t count, capacity;
	struct map by_name;
	const struct strlist *except; /* folders whose modules modules_add() passes over, or NULL; caller's */
	char *dep; /* modules.dep as it is, for the search by folder; NULL until needed */
	struct strlist missing_firmware; /* names that no firmware folder has */
};
int modules_open(const struct root *root, const struct kernel *kernel, struct tree *tree,
		 struct report *report, struct modules *ret, struct error *e);
void modules_close(struct modules *m);
DEFINE_CLEANUP(modules, struct modules, modules_close)

/* Takes what a name or alias stands for. Returns how many modules it stands for, built-in ones
 * counted; 0: none. */
int modules_add(struct modules *m, const char *name, const struct reason *because, struct error *e);
/* Takes every module below a folder such as kernel/drivers/ata. */
int modules_add_class(struct modules *m, const char *folder, const struct reason *because, struct error *e);
/* Adds a file of /lib/firmware or its update folders. Returns 1, or 0 when there is none. */
int modules_add_firmware(struct modules *m, const char *name, const struct reason *because, struct error *e);

/* True when a module of this name is packed (built-in ones are not). */
bool modules_has(const struct modules *m, const char *name);

/* Adds the indexes that modprobe reads, made by depmod(8) of this machine for what was taken. */
int modules_finish(struct modules *m, const struct reason *because, struct error *e);
