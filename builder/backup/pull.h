/* A stream that its reader asks for. Private to this room. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <sys/types.h>

struct pull {
	/* Sets `*ret` to the next bytes, valid until the next call, and returns their count; 0: the end. */
	ssize_t (*next)(void *user, const char **ret, struct error *e);
	void *user;
};

/* Of a descriptor, which it owns: { .next = pull_fd_next, .user = the struct }. */
struct pull_fd {
	int fd;
	char *buf; /* begins as NULL */
};
ssize_t pull_fd_next(void *user, const char **ret, struct error *e);
void pull_fd_free(struct pull_fd *p);
DEFINE_CLEANUP(pull_fd, struct pull_fd, pull_fd_free)
