/* Microcode for CPUs, which the kernel takes before it unpacks anything: an uncompressed cpio archive in front
 * of the initrd, with one file per vendor (Linux: Documentation/arch/x86/microcode.rst). */
#pragma once
#include "base/report.h"
#include "image/root.h"

struct microcode {
	struct strbuf archive; /* empty: there is nothing to add */
	struct strlist files; /* what is in it */
};
void microcode_free(struct microcode *m);
DEFINE_CLEANUP(microcode, struct microcode, microcode_free)

/* `which` is "no", "machine" (for the CPU of this root's /proc/cpuinfo) or "all". A root without any microcode,
 * unless it was "no", is -ENOENT; that there is none for this CPU is said in the report. */
int microcode_make(const struct root *root, const char *which, struct microcode *ret, struct report *report,
		   struct error *e);
