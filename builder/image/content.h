/* The content of a tree's entries, as it goes into the image, wherever it comes from. */
#pragma once
#include "base/cleanup.h"
#include "image/tree.h"

#include <sys/stat.h>

/* A descriptor of what the entry's `source` holds, unpacked where it goes in so (in RAM then). The caller
 * closes it. */
int content_fd(const struct entry *entry, struct error *e);

/* The same piece by piece, for entries without a source too. A file that changes while it is read would be neither
 * what it was nor what it is: that is an error. */
struct content {
	const struct entry *entry; /* a regular file, or a symbolic link: its target; caller's */
	int fd; /* -1: the entry has the content itself */
	struct stat before;
	uint64_t size, done; /* bytes */
};
#define CONTENT_NONE     \
	{                \
		.fd = -1 \
	}
/* `ret->size` is the size that the content has now. */
int content_open(const struct entry *entry, struct content *ret, struct error *e);
/* The next `len` bytes, which must be there. */
int content_read(struct content *c, void *buf, size_t len, struct error *e);
/* After all of it was read: is the file still what it was? */
int content_check(const struct content *c, struct error *e);
void content_close(struct content *c);
DEFINE_CLEANUP(content, struct content, content_close)
