/* Whether the tools that are here can make what a machine needs: on sparse files, never on a disk. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "machine/model.h"

/* Makes every file system and swap space of `m` as recovery would, each on a sparse file of its device's size in a
 * temporary folder. The first that cannot be made is the error: "SHOWN:LINE: …" at its section of the machine.conf
 * called `shown`, or without a place when that is NULL. What cannot be tried for want of room is a warning. */
int try_machine(const struct machine *m, const char *shown, struct report *report, struct error *e);
