/* What starts a machine with BIOS firmware: the code in the first sectors of its disks and partitions. A loader that can be
 * installed again by its own program is named; any other code of a disk's first sector is kept as it is. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

enum {
	boot_code_size = 440
}; /* bytes before the signature and the partition table in a disk's first sector */

/* Base64 of code as it stands in machine.conf. 0 and `*ret_len` bytes, or -EINVAL when that is too long or none. */
int boot_code_parse(const char *text, unsigned char ret[static boot_code_size], size_t *ret_len);

/* Reads the first sectors of each disk that is not broken: `now.loader`, and `boot_code` where it is not GRUB's. Of partitions
 * `now.loader`. */
int boot_loader_look(struct machine *m, struct error *e);

/* After boot_loader_look(), of the running machine: its loader, with what its program needs to install it again, below
 * `root` ("" or a folder). Warns when none is recognised. */
void boot_loader_survey(struct machine *m, const char *root, struct report *report);

/* The command that installs it from within the recovered system; `node` is that of the disk. */
void boot_loader_command(const char *loader, const char *target, const char *node, struct strlist *ret);
/* "GRUB (i386-pc) on NODE": in words. The caller frees. */
char *boot_loader_words(const char *loader, const char *target, const char *node);
