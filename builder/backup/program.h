/* The programs that make and take streams: what they say, and feeding them. Private to this room. */
#pragma once
#include "backup/stream_watch.h"

/* All that a program said into a file in memory. The caller frees. */
char *said_read(int fd);
/* The last line that says something; changes the text. */
const char *said_last_line(char *said);

/* The node of the device that `fd`, the source's open folder, lies on. mountinfo may call it /dev/root: the number counts.
 * `program` needs one. The caller frees. */
int source_device(int fd, const struct set_source *source, const char *program, char **ret, struct error *e);

/* Runs the program in `folder` with the plain stream on its stdin. Its exit status and the stream's errors count; the error
 * of a program that failed is "NAME STREAM: its last line". `*ret_said`: what it said, on stdout as well; the caller frees. */
int stream_feed(struct set *s, const char *name, const char *method, const char *const argv[],
		const char *folder, char **ret_said, struct report *report, struct error *e);

/* Adds the stream NAME.METHOD out of what the program writes to its stdout. Its exit status and the stream's errors count, -EBADMSG
 * being a stream that broke off although the program is content. `*ret_said`: what it said, also when it failed; NULL: it was
 * ended, or never began. The caller frees. `watch` and `ret_frames` may be NULL. */
int stream_run(struct set_writer *w, const char *name, const char *method, const char *const argv[],
	       uint64_t total, const struct stream_watch *watch, struct frames *ret_frames, char **ret_said,
	       struct report *report, struct error *e);
