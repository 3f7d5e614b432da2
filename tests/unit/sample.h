/* Data for streams. */
#pragma once
#include "base/fs.h"
#include "base/str.h"
#include "tap.h"

#include <sys/mman.h>

/* A file in memory with `len` bytes that compress by about half. The caller closes. */
static inline int sample(size_t len, unsigned seed)
{
	_cleanup_(free) char *data = xmalloc(len + 1);
	int fd = memfd_create("sample", MFD_CLOEXEC);

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (char)(seed >> 28);
	}
	CHECK(fd >= 0 && write_all(fd, data, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}
