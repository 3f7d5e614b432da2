/* The model of a machine's disks: what survey reads, machine.conf holds, plan works on.
 *
 * A machine is a list of *devices* in dependency order: each is made of others that stand before
 * it (a partition of its disk, a volume of its group). Disks and their partitions are called *plain*, what
 * the kernel makes of them *layers*; so are the partitions of an array. Contents (file system, swap) belong to a
 * device. Sizes and offsets are bytes throughout. */
#pragma once
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* LVM's tag on the snapshots that a backup makes (snapshot.h), and the beginning of all their names: no survey takes them
 * for the machine's. */
#define SNAPSHOT_TAG "lifeboat-snapshot"

enum device_kind {
	DEVICE_DISK,
	DEVICE_PARTITION,
	DEVICE_RAID, /* an array of Linux md: md0 */
	DEVICE_CRYPT, /* an opened LUKS device: sda3_crypt */
	DEVICE_GROUP, /* a volume group of LVM: vg0. Has no node; its size is that of all its extents */
	DEVICE_VOLUME, /* vg0/root */
	DEVICE_BTRFS, /* a btrfs on several devices: btrfs-5f0c91aa. Its node is that of the first one, its content itself */
	DEVICE_SUBVOLUME, /* a tree of files of a btrfs, which is mounted and backed up by itself: sda2.1 */
};
enum table_kind { TABLE_NONE, TABLE_MBR, TABLE_GPT };
enum content_kind {
	CONTENT_NONE,
	CONTENT_FILESYSTEM,
	CONTENT_SWAP,
	CONTENT_EXTENDED, /* an MBR extended partition: holds the logical ones */
	CONTENT_MEMBER, /* a part of the layer that is made of it; type: linux_raid_member, LVM2_member, crypto_LUKS */
	CONTENT_SUBVOLUME, /* of the btrfs on its parent; type: btrfs */
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
	unsigned line; /* of its section in the machine.conf that it was read from; 0: none */
};

/* What holds only for a disk that is in this very system; never in machine.conf. */
struct presence {
	dev_t devno; /* 0: not known */
	char *in_use; /* "mounted at /home": why it cannot be touched; NULL when it can */
	char *broken; /* "read /dev/sdb: Input/output error": why nothing is known of a disk; NULL */
	const char *loader; /* whose code its first sector has: grub or extlinux; NULL: another's, or none */
	char *holds; /* "gpt table, ext4, swap": what is on it, in words; NULL when it is blank */
	/* Of a disk: what runs on it, unused, and is stopped before it is written; machine/stack.h. */
	struct strlist stop, stop_shown;
};

/* Names of levels, layouts and versions are mdadm's. */
struct raid {
	char *level; /* raid0, raid1, raid4, raid5, raid6, raid10 */
	char *metadata; /* 0.90, 1.0, 1.1, 1.2 */
	char *uuid; /* xxxxxxxx:xxxxxxxx:xxxxxxxx:xxxxxxxx */
	char *name; /* host:0; NULL: none */
	char *layout; /* left-symmetric, n2 …; NULL where the level has none */
	uint64_t chunk; /* 0 where the level has none */
	uint64_t component_size; /* what is used of each member */
	uint64_t data_offset; /* where that begins; 0: as mdadm chooses */
	uint64_t overhead; /* what each member holds beside that; see raid_set_overhead() */
	unsigned spares; /* so many of `below`, the last ones */
	bool bitmap; /* a write-intent bitmap inside */
};

struct crypt {
	char *type; /* luks1, luks2 */
	char *uuid, *label;
	char *cipher; /* aes-xts-plain64 */
	unsigned key_bits;
	uint64_t offset; /* where the data begins */
	uint32_t sector_size;
	/* its header is the stream of what is below it; without one it is made fresh, with a new passphrase */
};

/* Where a volume group uses one of its devices. */
struct physical_volume {
	char *uuid;
	uint64_t start; /* of the first extent */
};
struct group {
	char *uuid;
	char *tags; /* with commas between them; NULL: none */
	char *spare_uuid; /* of the spare for the metadata of thin pools; NULL: none */
	char *allocation; /* how extents are chosen: contiguous, cling, anywhere; NULL: normal */
	uint64_t extent_size;
	struct physical_volume *physical; /* one for each of `below` */
	bool displaced; /* its volumes do not fit where they lay: LVM chooses */
};

/* A stretch of a volume, with the group's devices that it lies on; machine/placement.h. */
struct segment {
	uint64_t size; /* 0: what is left for it, the last one */
	struct strlist on; /* their names: one, or one for each stripe or image */
};

/* What a btrfs knows of one of its devices. Numbers and UUIDs are new when it is made again, as mkfs.btrfs gives them. */
struct btrfs_device {
	uint64_t id; /* 0: not known */
	char *uuid; /* NULL: not known */
	uint64_t size; /* what it uses of the device; 0: all of it */
};
struct btrfs {
	struct btrfs_device *devices; /* one for each of `below` */
};

/* Types are LVM's segment types. */
struct volume {
	char *type; /* linear, striped, raid1 …, thin-pool, thin */
	char *uuid;
	char *tags; /* as a group's */
	unsigned stripes; /* striped and the raids with parity: devices with data; 0: none */
	unsigned mirrors; /* raid1, raid10, mirror: copies beside the first; 0: none */
	uint64_t stripe_size; /* 0: none */
	uint64_t region_size; /* of which a mirror or raid notes whether it is in step; 0: none */
	bool read_only;
	char *allocation; /* as a group's; NULL: its group's */
	uint64_t metadata_size, chunk_size; /* of a thin pool */
	/* What a thin pool does with discarded blocks (ignore, nopassdown, passdown; NULL: as LVM chooses), with new ones
	 * (not zero them), and when it is full (fail at once). */
	char *discards;
	bool unzeroed, error_when_full;
	struct device *pool; /* of a thin volume */
	struct segment *segments;
	size_t segment_count; /* 0: LVM chooses */
	struct key_values parts; /* UUIDs of the hidden volumes that it is made of: tdata, rimage_0 … */
};

/* The top level of a btrfs is one of them, with the path "/". */
struct subvolume {
	char *path; /* from the top level: /@home */
	char *snapshot_of; /* path of what it was made of, for people; NULL: nothing that is there */
	char *send_parent; /* path of the one that has to be received before its stream (method send); NULL: none */
	bool read_only, is_default; /* is_default: mounted where nothing else is said */
};

struct device {
	enum device_kind kind;
	char *name; /* its name in machine.conf and messages: sda, sda1, vg0/root */
	uint64_t size;
	struct content content;
	/* What a layer is made of, in the same machine: an array's members by role (NULL: missing) and then its
	 * spares; a group's devices; a btrfs's by number (NULL: missing); the one below a crypt; the group of a volume. */
	struct device **below;
	size_t below_count;
	struct raid raid; /* DEVICE_RAID … and so on */
	struct crypt crypt;
	struct group group;
	struct volume volume;
	struct btrfs btrfs;
	struct subvolume subvolume;
	/* DEVICE_DISK */
	struct disk_identity identity;
	/* DEVICE_DISK, DEVICE_RAID: what can have a partition table */
	uint32_t sector_size; /* logical; an array has that of what it is made of */
	enum table_kind table;
	char *table_id; /* GPT disk GUID, or the MBR signature as 0x%08x */
	uint64_t first_usable; /* GPT: where partitions may begin; 0 otherwise */
	char *boot_code; /* of the first sector, as boot_loader.h has it; NULL: none, or GRUB's, which is installed anew */
	/* DEVICE_PARTITION */
	struct device
		*parent; /* its disk or array; a subvolume's: what holds its btrfs; in the same machine */
	unsigned number;
	uint64_t start;
	char *part_type; /* GPT type GUID, or the MBR type as 0x%02x */
	char *part_uuid, *part_name; /* GPT only; NULL otherwise */
	bool active; /* MBR boot flag */
	uint64_t attributes; /* GPT attribute bits */
	struct presence now;
};

enum firmware { FIRMWARE_BIOS, FIRMWARE_UEFI };

/* What UEFI firmware starts: a file on a partition, known by the partition's GUID. */
struct boot_entry {
	char *label;
	struct device *partition; /* in the same machine */
	char *path; /* with slashes: /EFI/debian/shimx64.efi */
};

struct machine {
	unsigned hostname_line; /* in the machine.conf that it was read from; 0: none */
	bool sends_snapshots; /* as survey() was told */
	char *hostname, *arch, *kernel, *created; /* created: ISO 8601 UTC */
	char *os; /* PRETTY_NAME */
	enum firmware firmware;
	/* BIOS */
	char *boot_loader; /* grub or extlinux, or NULL when none was recognised */
	char *boot_target; /* grub: i386-pc; extlinux: the folder of its second stage, /boot/extlinux */
	struct strlist boot_disks; /* device names of the disks that carry it */
	/* UEFI: in the order in which they are tried */
	struct boot_entry *boot_entries;
	size_t boot_entry_count;
	struct device **devices; /* owned, in dependency order */
	size_t count, capacity;
};
void machine_free(struct machine *m);
DEFINE_CLEANUP(machine, struct machine, machine_free)

/* As if nothing were in the device. */
void content_clear(struct content *c);

/* Appends a zeroed device; the machine owns it. */
struct device *machine_add(struct machine *m, enum device_kind kind, const char *name);
/* Removes all devices but the first `count`. */
void machine_cut(struct machine *m, size_t count);
/* Removes those that are marked, by index; nothing that stays may point to them. */
void machine_remove(struct machine *m, const bool *marks);
/* Appends a copy. */
void machine_add_boot_entry(struct machine *m, const char *label, struct device *partition, const char *path);
struct device *machine_find(const struct machine *m, const char *name);
/* A disk as people call it: sda, /dev/sda, its serial number, its WWN. NULL when there is none. */
struct device *machine_find_disk(const struct machine *m, const char *name);

/* Appends one to what `d` is made of; NULL: a missing one. */
void device_add_below(struct device *d, struct device *below);
static inline bool is_partition_of(const struct device *d, const struct device *holder)
{
	return d->kind == DEVICE_PARTITION && d->parent == holder;
}
/* The first of them that is not missing; NULL: there is none. */
struct device *device_first_below(const struct device *d);
static inline bool device_is_plain(const struct device *d)
{
	return d->kind == DEVICE_DISK || (d->kind == DEVICE_PARTITION && d->parent->kind == DEVICE_DISK);
}
/* The disk of a plain device: itself, or its partition's parent. NULL for a layer, which may lie on many. */
struct device *device_disk(const struct device *d);
/* Is `d` the disk, a partition of it, or a layer that is made of such? */
bool device_lies_on(const struct device *d, const struct device *disk);
/* Is it a kind of device whose partitions the kernel shows? (Of device-mapper's, only other programs do.) */
static inline bool device_can_have_table(const struct device *d)
{
	return d->kind == DEVICE_DISK || d->kind == DEVICE_RAID;
}
/* The layer that `d` is a member of; NULL when there is none. */
struct device *machine_above(const struct machine *m, const struct device *d);
/* The kernel's node of partition `number` of the disk /dev/X: /dev/X1, or /dev/X1p1 when the disk's
 * own name ends in a digit. The caller frees. */
char *partition_node(const char *disk_path, unsigned number);
/* The node of a device: a plain one's by its disk's path, a layer's by its name; NULL when that is unknown or
 * there is none. The caller frees. */
char *device_node(const struct device *d);
/* Extended partitions hold the logical ones, which are numbered from 5. */
static inline bool device_is_logical(const struct device *d)
{
	return d->kind == DEVICE_PARTITION && d->parent->table == TABLE_MBR && d->number > 4;
}

/* Everything by which a disk and its content are told from others, as one text: equal texts mean
 * that nothing was exchanged or changed in between. The caller frees. */
char *disk_fingerprint(const struct machine *m, const struct device *disk);
/* "vda (QEMU HARDDISK, serial X, 4.0 GiB)": a disk as a person knows it. The caller frees. */
char *disk_describe(const struct device *disk);
