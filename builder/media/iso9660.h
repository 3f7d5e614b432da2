/* Changes to a finished ISO 9660 image, which libisofs cannot make.
 * Layout: ECMA-119 sections 8.4 (primary volume descriptor) and 9.1 (directory record); El Torito 1.0
 * figures 2 to 7. */
#pragma once
#include "base/error.h"

#include <stdint.h>

/* Files whose bytes are inside another part of the image: lets `name` ("VMLINUZ", as ISO 9660 writes it, without version) in the root folder be the `size`
 * bytes at `offset`, which is a multiple of 2048. `shown` names the image in errors. */
int iso9660_point(int fd, const char *name, uint64_t offset, uint64_t size, const char *shown,
		  struct error *e);

/* Lets the second boot image (UEFI's) reach to the end of the medium: El Torito's 16 bits cannot hold
 * the size of one of 32 MiB or more. UEFI 13.3.2.1 reads the sector count 1 so. */
int iso9660_second_boot_to_end(int fd, const char *shown, struct error *e);

/* Lets the volume be at least `size` bytes long. */
int iso9660_extend(int fd, uint64_t size, const char *shown, struct error *e);
