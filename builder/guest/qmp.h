/* The monitor of a qemu guest: QMP, JSON lines on a socket (QEMU's docs/interop/qmp-spec.txt). */
#pragma once
#include "base/error.h"

#include <stdint.h>

/* What is on its screen, as a PNG file. `monitor`: the socket's path. A few milliseconds; 10 seconds at most. */
int qmp_screenshot(const char *monitor, const char *file, struct error *e);
/* Types printable ASCII and "\n" on its keyboard, as on one of the United States, key by key. -EINVAL for anything else. */
int qmp_type(const char *monitor, const char *text, struct error *e);
/* Is a connection to this machine's `port`, which leads into the guest, taken by the guest itself? qemu accepts it in any case. 1 or 0. */
int qmp_established(const char *monitor, unsigned port, struct error *e);
/* What it writes to the disk with that number of qemu_args() from here on goes to `overlay`, a file that is made; the disk's own file is
 * open for reading only then. The guest has to have written before what it has in memory. */
int qmp_divert(const char *monitor, size_t disk, const char *overlay, struct error *e);
/* `size` bytes of its memory from the address on, as a file. */
int qmp_memory(const char *monitor, uint64_t address, uint64_t size, const char *file, struct error *e);
