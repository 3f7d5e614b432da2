/* The kernel of an image: which one, where its file and its modules are, how it was configured. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "image/kernel_config.h"
#include "image/root.h"

struct kernel {
	char *version; /* as uname -r gives it */
	char *vmlinuz; /* path on this machine */
	char *modules; /* path on this machine of lib/modules/VERSION; NULL: it has none */
	struct kernel_config config;
};
void kernel_free(struct kernel *k);
DEFINE_CLEANUP(kernel, struct kernel, kernel_free)

/* `wanted` is "running", "uml" (the package user-mode-linux), a version, the path of a vmlinuz, or of a .deb, which is unpacked once
 * into a cache folder. */
int kernel_find(const struct root *root, const char *wanted, struct kernel *ret, struct report *report,
		struct error *e);

/* Unpacks the kernel out of a Debian package into the cache folder, unless it is there already, and
 * makes its module indexes. `*ret` is that folder: it has boot/ and lib/modules/. */
int deb_unpack(const char *deb, char **ret, struct report *report, struct error *e);
