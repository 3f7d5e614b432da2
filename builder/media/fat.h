/* A FAT file system at an offset of a file, made by mtools: no root, no mount, no loop device. */
#pragma once
#include "media/content.h"

/* Sectors have 512 bytes, clusters 4096. Every part is a multiple of 2048 bytes, so that a file's
 * first byte lies on a CD sector when the file system does. */
struct fat_layout {
	bool fat32; /* else FAT16 */
	uint32_t sectors; /* of the file system; whole MiB */
	uint32_t reserved, fat,
		root; /* sectors: before the FATs, of each of the two FATs, of the root folder */
};

/* What the files of `readers` need, with some room left. */
int fat_plan(const struct content *c, unsigned readers, struct fat_layout *ret, struct error *e);

/* Formats at byte `offset` of the file behind `fd` and copies the files in. The file must be long
 * enough already. `hidden` is the number of sectors before the partition (0 when there is none). */
int fat_make(int fd, uint64_t offset, uint32_t hidden, const struct fat_layout *layout,
	     const struct content *c, unsigned readers, struct error *e);

/* Where a file of a fresh FAT lies: `*ret_offset` bytes from the file system's start. It lies there
 * in one piece, which is checked against the bytes of `file`. */
int fat_locate(int fd, uint64_t offset, const struct fat_layout *layout, const struct content_file *file,
	       uint64_t *ret_offset, struct error *e);

/* The path by which a child of this program reaches our descriptor, whatever the file's name. */
char *fd_path(int fd); /* caller frees */

/* The environment for mtools, and for syslinux, which runs mtools: fixed time, no configuration
 * of the person's, UTC. Proc_options.env; ends with NULL. */
struct fat_env {
	char epoch[48];
	const char *list[5];
};
void fat_env(const struct content *c, struct fat_env *ret);
