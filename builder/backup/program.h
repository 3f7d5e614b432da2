/* The programs that make and take streams: what they say, and feeding them. Private to this room. */
#pragma once
#include "backup/set.h"

/* A file in memory for what a program says on stderr; -errno. */
int said_open(struct error *e);
/* All of it. The caller frees. */
char *said_read(int fd);
/* The last line that says something; changes the text. */
const char *said_last_line(char *said);

/* A pipe of a size that does not hold the two ends back. */
int make_pipe(int fds[2], struct error *e);

/* The node of the device that `fd`, the source's open folder, lies on. mountinfo may call it /dev/root: the number counts.
 * `program` needs one. The caller frees. */
int source_device(int fd, const struct set_source *source, const char *program, char **ret, struct error *e);

/* Runs the program in `folder` with the plain stream on its stdin. Its exit status and the stream's errors count; the error
 * of a program that failed is "NAME STREAM: its last line". `*ret_said`: what it said, on stdout as well; the caller frees. */
int stream_feed(struct set *s, const char *name, const char *method, const char *const argv[],
		const char *folder, char **ret_said, struct report *report, struct error *e);
