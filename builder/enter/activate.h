/* What has to be started before file systems are there: arrays (md), encrypted disks (LUKS), volume groups (LVM), with
 * their own tools. What was started is stopped again; what was active before stays. */
#pragma once
#include "base/report.h"
#include "base/str.h"

struct activated {
	struct strlist nodes; /* /dev/md127, /dev/mapper/…: in the order in which they came */
};

/* `only`: as in systems_find(); arrays and groups are started all the same, since only their tools know what belongs
 * together. `key`: a file with the passphrase; NULL: cryptsetup asks on the terminal, if `interactive`; else LUKS stays
 * closed. What cannot be started is told by the report; the systems on the rest may be enough. */
int activate(struct activated *ret, const char *only, const char *key, bool interactive,
	     struct report *report, struct error *e);
/* Stops it again. The first failure is the error. */
int deactivate(struct activated *a, struct error *e);
