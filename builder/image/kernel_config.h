/* What a kernel was configured with (Kconfig's .config), wherever that can be read: a file of its
 * distribution, or the copy inside the kernel itself (CONFIG_IKCONFIG). */
#pragma once
#include "image/root.h"

struct kernel_config {
	char *text; /* lines CONFIG_NAME=VALUE; NULL: no configuration was found */
	char *source; /* where it was found, for messages; NULL: nowhere */
};
void kernel_config_free(struct kernel_config *c);
DEFINE_CLEANUP(kernel_config, struct kernel_config, kernel_config_free)

enum kernel_option {
	KERNEL_OPTION_UNKNOWN, /* no configuration was found */
	KERNEL_OPTION_NO,
	KERNEL_OPTION_MODULE,
	KERNEL_OPTION_YES, /* built in; numbers and texts count as that too */
};

/* `name` as in "CONFIG_RD_ZSTD". */
enum kernel_option kernel_config_get(const struct kernel_config *c, const char *name);

/* The value of a number or text, without its quotes. The caller frees; NULL: not set, or not known. */
char *kernel_config_value(const struct kernel_config *c, const char *name);

/* Looks for the configuration of the kernel `version` in the file `vmlinuz` with its modules in the folder
 * `modules` (may be NULL): config-VERSION beside the kernel or in the root's boot/, the modules folder's
 * config and build/.config, inside the kernel, and /proc/config.gz when it is the running one. That there is
 * none is no error: `ret` is empty then. A kernel that is damaged is one. */
int kernel_config_find(const struct root *root, const char *version, const char *vmlinuz, const char *modules,
		       struct kernel_config *ret, struct error *e);

/* The configuration inside a kernel (Linux: kernel/configs.c). Returns 1, or 0 when it has none. */
int kernel_config_embedded(const char *vmlinuz, struct strbuf *ret, struct error *e);
