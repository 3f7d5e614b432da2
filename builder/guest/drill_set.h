/* This machine as a machine of drills: its last set, recovered onto blank disks in a guest. */
#pragma once
#include "base/error.h"
#include "base/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct drill_disk {
	const char *name; /* as machine.conf calls it */
	const char *bus; /* of the machine's own; may be NULL */
	uint64_t bytes;
	unsigned sector_size;
};

struct drill_set {
	/* the caller's throughout */
	const char *rescue; /* the folder of this machine's rescue image */
	const char *image, *url; /* a disk with the set, and its URL in the guest: disk://UUID */
	const char *host, *name;
	const struct drill_disk *disks;
	size_t disk_count;
	bool uefi;
	int show_fd; /* the console is copied here; 0: nowhere */
};

/* Makes the machine's files in `folder` (guest/drill.h). What a drill looks at is the serial console, so the recovered
 * system is told to use one, where its boot loader is one that can be told; else a warning says so. */
int drill_set_recover(const struct drill_set *set, const char *folder, struct report *report,
		      struct error *e);
