/* The model of a machine's disks: what survey reads, machine.conf holds, plan works on.
 *
 * A machine is a list of *devices* in dependency order: each is made of others that stand before
 * it (a partition of its disk; later a volume of its group). Contents (file system, swap) belong
 * to a device. Sizes and offsets are bytes throughout. */
#pragma once
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum device_kind { DEVICE_DISK, DEVICE_PARTITION };
enum table_kind { TABLE_NONE, TABLE_MBR, TABLE_GPT };
enum content_kind {
	CONTENT_NONE,
	CONTENT_FILESYSTEM,
	CONTENT_SWAP,
	CONTENT_EXTENDED, /* an MBR extended partition: holds the logical ones */
	CONTENT_RAW, /* bios_grub and its like: no file system, made again by the boot loader */
};

/* How a disk is recognised. Any of the strings may be NULL. */
struct disk_identity {
	char *path; /* /dev/sda: a hint for people, never an identity */
	char *model, *serial, *wwn, *bus; /* bus: sata, usb, nvme, virtio … */
	bool removable, read_only;
};

struct key_value {
	char *key, *value;
};
/* What a file system's own file knows about it (features, inode size …), in machine.conf as
 * `fs.KEY = VALUE`. */
struct key_values {
	struct key_value *items;
	size_t count, capacity;
};
void key_values_set(struct key_values *kv, const char *key, const char *value);
const char *key_values_get(const struct key_values *kv, const char *key);
void key_values_free(struct key_values *kv);

struct content {
	enum content_kind kind;
	char *type; /* ext4, swap … : the name libblkid gives */
	char *uuid, *label; /* NULL when there is none */
	struct key_values parameters;
	uint64_t used; /* bytes that the data needs; 0 when unknown */
	char *mountpoint, *mount_options; /* from fstab or the running system; NULL when unmounted */
	char *stream, *method; /* NAME and METHOD of its backup; NULL: none */
};

struct device {
	enum device_kind kind;
	char *name; /* its name in machine.conf and messages: sda, sda1 */
	uint64_t size;
	struct content content;
	/* DEVICE_DISK */
	struct disk_identity identity;
	uint32_t sector_size; /* logical */
	enum table_kind table;
	char *table_id; /* GPT disk GUID, or the MBR signature as 0x%08x */
	/* DEVICE_PARTITION */
	struct device *parent; /* its disk; in the same machine */
	unsigned number;
	uint64_t start;
	char *part_type; /* GPT type GUID, or the MBR type as 0x%02x */
	char *part_uuid, *part_name; /* GPT only; NULL otherwise */
	bool active; /* MBR boot flag */
	uint64_t attributes; /* GPT attribute bits */
};

enum firmware { FIRMWARE_BIOS, FIRMWARE_UEFI };

struct machine {
	char *hostname, *arch, *kernel, *created; /* created: ISO 8601 UTC */
	char *os; /* PRETTY_NAME */
	enum firmware firmware;
	char *boot_loader; /* grub, or NULL when none was recognised */
	char *boot_target; /* i386-pc, x86_64-efi */
	char *boot_disk; /* device name of the disk that carries it */
	struct device **devices; /* owned, in dependency order */
	size_t count, capacity;
};
void machine_free(struct machine *m);
DEFINE_CLEANUP(machine, struct machine, machine_free)

/* Appends a zeroed device; the machine owns it. */
struct device *machine_add(struct machine *m, enum device_kind kind, const char *name);
struct device *machine_find(const struct machine *m, const char *name);
