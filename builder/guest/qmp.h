/* The monitor of a qemu guest: QMP, JSON lines on a socket (QEMU's docs/interop/qmp-spec.txt). */
#pragma once
#include "base/error.h"

#include <stdint.h>

/* What is on its screen, as a PNG file. `monitor`: the socket's path. A few milliseconds; 10 seconds at most. */
int qmp_screenshot(const char *monitor, const char *file, struct error *e);
/* `size` bytes of its memory from the address on, as a file. */
int qmp_memory(const char *monitor, uint64_t address, uint64_t size, const char *file, struct error *e);
