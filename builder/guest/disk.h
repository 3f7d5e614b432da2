/* A disk that a guest gets, as options name it: "FILE[,if=virtio|sata|nvme|usb][,serial=S][,sector=4096][,rw|,cow=FILE]". */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

enum disk_bus { BUS_DEFAULT, BUS_VIRTIO, BUS_SATA, BUS_NVME, BUS_USB };

struct guest_disk {
	char *file; /* as it was given */
	enum disk_bus bus; /* BUS_DEFAULT: the guest's own choice */
	char *serial; /* at most 20 characters, which every bus can carry; NULL: none was given */
	unsigned sector_size; /* what it says its sectors are; 0: 512 bytes. Not by SATA */
	bool writable; /* false: the guest writes to a temporary copy */
	char *cow; /* what the guest writes is kept here, made when it is not there; NULL: nowhere */
	int held; /* a device that the guest writes to, open so that nobody mounts it meanwhile; or -1 */
	bool qcow2; /* by its first bytes; otherwise it is raw */
};
struct guest_disks {
	struct guest_disk *items;
	size_t count, capacity;
};

/* Parses each text and looks at each file: it is there, readable, writable if `rw`. */
int guest_disks_parse(const struct strlist *texts, struct guest_disks *ret, struct error *e);
void guest_disks_free(struct guest_disks *d);
DEFINE_CLEANUP(guest_disks, struct guest_disks, guest_disks_free)
