/* What recovery would do, as ordered steps. Planning changes nothing; machine/apply.h runs it. */
#pragma once
#include "base/report.h"
#include "machine/model.h"

#include <sys/types.h>

enum step_kind {
	STEP_WIPE, /* old signatures off a disk: the first destructive step */
	STEP_TABLE, /* partition table with all partitions */
	STEP_RAID, /* an array, made and started */
	STEP_IMAGE, /* what must come back bit for bit onto a device: a LUKS header */
	STEP_CRYPT, /* a LUKS device opened, its header made fresh first unless it came by STEP_IMAGE */
	STEP_GROUP, /* a volume group with all its volumes */
	STEP_MKFS,
	STEP_MKSWAP,
	STEP_RECEIVE, /* a subvolume out of its stream, to be put in its place by the next */
	STEP_SUBVOLUMES, /* of a btrfs, empty or received */
	STEP_MOUNT,
	STEP_RESTORE, /* one stream into a mounted file system */
	STEP_MEND, /* device names in fstab and the boot configuration that are no longer right */
	STEP_INITRAMFS, /* for a disk on another bus, where the old one was made for the old bus only */
	STEP_BOOT_LOADER,
	STEP_BOOT_FALLBACK, /* UEFI: the loader also where firmware looks that has no entry for the disk */
	STEP_BOOT_ENTRY, /* UEFI: in the firmware's own memory */
	STEP_UNMOUNT,
};
struct step {
	enum step_kind kind;
	char *text; /* one line for people: "make ext4 on /dev/vda1 (UUID …)" */
	char *destroys; /* what is lost by it, for people; NULL: nothing */
	struct strlist changes; /* what will not be as it was, for people: "sda1 has 3.0 GiB, had 8.0 GiB" */
	struct device *device; /* of plan->machine: what it works on; NULL: the whole system */
	const struct boot_entry *entry; /* of plan->machine: STEP_BOOT_FALLBACK, STEP_BOOT_ENTRY */
	char *node; /* the device node that it works on: /dev/vda1; NULL: none */
	bool done; /* by the recovery that goes on; machine/journal.h */
};

/* A disk of the old machine and the disk that takes its place. */
struct mapping {
	struct device *from; /* in plan->machine, where it has the size of the new one */
	uint64_t from_size; /* what it had */
	struct device *to; /* in plan->present */
	char *reason; /* "same serial", "the only blank disk that fits" … */
};

struct plan {
	struct machine machine; /* what will be there: the old machine, scaled to the new disks */
	struct machine present; /* the disks as they are now */
	uint64_t *old_sizes; /* of machine.devices, before they were scaled */
	struct strlist left_out; /* what becomes different without the disks that are left out, for people */
	struct mapping *mappings;
	size_t mapping_count;
	struct step *steps;
	size_t step_count, step_capacity;
	size_t done; /* so many steps were done before; 0: it begins */
};
void plan_free(struct plan *p);
DEFINE_CLEANUP(plan, struct plan, plan_free)

struct plan_options {
	const struct strlist *map; /* "old=new", "old=none" by the person; may be empty */
	const struct strlist *begun; /* "old=new" of a recovery that goes on; NULL: none */
	const struct strlist
		*grow; /* mount points or devices that take what larger disks have more; NULL: none */
	const dev_t *forbidden; /* whole disks that are never targets: the medium, the backup's disk */
	size_t forbidden_count;
	bool unattended; /* ambiguous or not blank and not the same disk → refused */
	/* Asked when several disks could take the place of `old`: the index of the one that does, or a negative
	 * error. NULL: nobody is there to be asked, and it is refused. */
	int (*choose)(void *user, const struct device *old, const struct device *const candidates[],
		      size_t count, struct error *e);
	void *user;
};

/* Takes over `machine` and `present` (they are empty afterwards, also on failure). */
int plan_make(struct machine *machine, struct machine *present, const struct plan_options *options,
	      struct plan *ret, struct error *e);

/* The mapping of a disk of plan->machine. */
const struct mapping *plan_mapping(const struct plan *p, const struct device *disk);
/* Where a device of plan->machine will be: /dev/vda1. The caller frees. */
char *plan_node(const struct plan *p, const struct device *d);
/* Where it was on the old machine; NULL when that is unknown. The caller frees. */
static inline char *plan_old_node(const struct device *d)
{
	return device_node(d);
}
