/* How the initrd is packed, and whether the chosen kernel can boot that. There are three ways:
 *
 *     cpio      the kernel unpacks an archive into its first root
 *     classic   the kernel copies the image of a file system into a RAM disk and mounts that; for this it needs
 *               both drivers built in
 *     starter   drivers are modules: a small cpio archive carries them and the image, mounts it and hands
 *               over (image/starter.h) */
#pragma once
#include "conf/recovery.h"
#include "image/kernel.h"
#include "image/pack.h"

enum boot_way { BOOT_CPIO, BOOT_CLASSIC, BOOT_STARTER };

struct format; /* a row of the table in format.c */

struct format_choice {
	const struct format *format;
	enum boot_way way;
	bool compressed; /* the initrd, by the compressor that recovery.conf names */
	bool image_compressed; /* the image, by its own format */
	struct strlist modules; /* that the starter loads */
	struct strlist types; /* as which the starter tries to mount it */
};
void format_choice_free(struct format_choice *c);
DEFINE_CLEANUP(format_choice, struct format_choice, format_choice_free)

/* What `conf` asks for, as `kernel` can boot it. Refuses with -ENOTSUP, the reason and what would work. A kernel
 * whose configuration is not known is taken to have its drivers as modules. */
int format_choose(const struct recovery_conf *conf, const struct kernel *kernel, struct format_choice *ret,
		  struct error *e);

/* Writes the image of the chosen file system (not for cpio) to `fd`, as pack.h says. */
int format_pack(const struct format_choice *c, const struct tree *tree, const struct recovery_conf *conf,
		time_t mtime, int fd, const char *shown, struct pack_totals *ret, struct report *report,
		struct error *e);
