/* What has to be done inside a recovered system so that it boots from its new disks. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/plan.h"
#include "machine/recovered.h"

/* Where files that matter for booting name a device of the old machine by its path, puts its UUID. */
int mend_names(const struct recovered *root, const struct plan *plan, struct report *report, struct error *e);

/* An initramfs that was made for the old disks only (MODULES=dep) is made again. */
int mend_initramfs(struct recovered *root, struct report *report, struct error *e);

/* The program of machine/boot_loader.h inside the recovered system; `node` is that of the disk. */
int mend_boot_loader(struct recovered *root, const struct machine *m, const char *node, struct error *e);
