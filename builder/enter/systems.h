/* The installed systems on this machine's disks. Looks by mounting read-only without replaying any journal. */
#pragma once
#include "base/report.h"
#include "enter/devices.h"

struct installed {
	char *node, *type;
	char *subvolume; /* of a btrfs; NULL: its default one */
	char *name; /* os-release's PRETTY_NAME, or "unknown system" */
	char *host; /* its /etc/hostname; NULL: it has none */
};
struct systems {
	struct installed *items;
	size_t count, capacity;
};

/* A root file system has an os-release or an fstab. When `only` itself is a file system it counts as one in any case:
 * the person says so. Mounts at `folder`, in passing; the caller sees to it that nobody else sees these mounts.
 * What cannot be mounted is told by the report. */
int systems_find(const char *only, const char *folder, struct systems *ret, struct report *report,
		 struct error *e);
void systems_free(struct systems *s);
DEFINE_CLEANUP(systems, struct systems, systems_free)

/* PRETTY_NAME (or NAME, or ID) of an os-release(5) text; NULL: none. The caller frees. */
char *os_release_name(const char *text);
