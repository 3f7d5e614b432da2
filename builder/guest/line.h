/* Further consoles of a guest of User-Mode Linux, which others attach to: a terminal of this machine, or a port. */
#pragma once
#include "base/report.h"
#include "base/str.h"

#include <sys/types.h>

struct line {
	int guest_fd; /* inherited by the guest: its end */
	int held_fd; /* pty: the terminal's own side, held open so that nobody's leaving is a hang-up; or -1 */
	pid_t relay; /* port: who passes bytes on; 0: nobody */
};
struct lines {
	struct line *items;
	size_t count, capacity;
};

/* `kinds`: each "pty", or "port:N", a TCP port on the loopback only, for one visitor at a time. Says which
 * terminal or port a console is. */
int lines_open(const struct strlist *kinds, struct lines *ret, struct report *report, struct error *e);
void lines_close(struct lines *l);
DEFINE_CLEANUP(lines, struct lines, lines_close)

/* True: lines_open() knows such a kind. */
bool line_kind_good(const char *kind);
