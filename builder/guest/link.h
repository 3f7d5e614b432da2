/* A network cable between two guests: a socket pair that carries Ethernet frames, one a datagram. No address, no
 * interface and no right of this machine is needed. The two find each other at a path in the file system: who comes
 * first makes the pair and keeps one end, who comes second is handed the other there. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

#include <sys/types.h>

struct link {
	int fd; /* inherited by the guest; -1: no cable */
	char *path; /* ours to remove while nobody has come; NULL: not ours */
	pid_t waiter; /* hands the other end over; 0: nobody */
};
#define LINK_NONE        \
	{                \
		.fd = -1 \
	}

int link_open(const char *path, struct link *ret, struct error *e);
void link_close(struct link *l);
DEFINE_CLEANUP(link, struct link, link_close)
