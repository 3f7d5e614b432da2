/* Partition tables through libfdisk, which reads and writes all that a table holds: identifiers, GUIDs,
 * names, attribute bits, types, the active flag. One file for each kind of table. */
#pragma once
#include "base/error.h"
#include "machine/model.h"

#include <libfdisk/libfdisk.h>

struct table_ops {
	enum table_kind kind;
	const char *name; /* in machine.conf: mbr, gpt */
	const char *label; /* libfdisk's name */
	unsigned last_number; /* of a partition */
	const char *id_expected, *type_expected; /* for messages */
	int (*check_id)(const char *id); /* 0 or -EINVAL */
	int (*check_type)(const char *type);
	/* Where partitions may lie: [first, end) in bytes. */
	uint64_t (*first)(const struct device *disk);
	uint64_t (*end)(uint64_t disk_size, uint32_t sector_size);
	/* The table's own part of the disk. NULL: there is none. */
	int (*read_disk)(struct fdisk_context *context, struct device *to, struct error *e);
	/* The table's own part of a partition, from libfdisk's and to it. */
	int (*read)(struct fdisk_context *context, struct fdisk_partition *from, struct device *to,
		    struct error *e);
	int (*write)(struct fdisk_context *context, const struct device *from, struct fdisk_partition *to,
		     struct error *e);
	/* The rest of it, once it is in place. */
	int (*finish)(struct fdisk_context *context, const struct device *partition, struct error *e);
};
extern const struct table_ops table_mbr, table_gpt;

/* NULL for TABLE_NONE, or an unknown name. */
const struct table_ops *table_find(enum table_kind kind);
const struct table_ops *table_find_name(const char *name);

/* Reads the table of `disk` (or an array) from its node (a device or a file with the sector size
 * `disk->sector_size`) into it, and adds its partitions to `m`. One without a table gets
 * TABLE_NONE; one of an unknown kind is -EOPNOTSUPP. */
int table_read(struct machine *m, struct device *disk, struct error *e);

/* Writes the table of `disk` as `m` describes it to the open, writable `fd` (a device or a file),
 * over whatever is there. `shown` names it in messages. The kernel is not told. */
int table_write(const struct machine *m, const struct device *disk, int fd, const char *shown,
		struct error *e);

/* Is the table of `now` (of the machine `present`) the one of `planned` (of `m`), but for the names? -ESTALE: it is
 * not, and the error says what differs on `shown`. */
int table_compare(const struct machine *m, const struct device *planned, const struct machine *present,
		  const struct device *now, const char *shown, struct error *e);
