/* Streams that this program itself makes or takes in: a thread at the other end of a pipe, where a method's own
 * program stands otherwise. Private to this room. */
#pragma once
#include "backup/stream_watch.h"

/* Adds the stream NAME.METHOD out of what `produce` writes to its descriptor, which it owns. It runs beside
 * the caller. A failure of `produce` is the error, unless the stream failed before: then its writes fail
 * with EPIPE. `ret_frames` may be NULL. */
int stream_produce(struct set_writer *w, const char *name, const char *method, uint64_t total,
		   struct frames *ret_frames, struct report *report,
		   int (*produce)(void *user, int fd, struct error *e), void *user, struct error *e);

/* Adds the stream NAME.METHOD that is in memory, 1 GiB at most; none when it is empty. */
int stream_add_text(struct set_writer *w, const char *name, const char *method, const struct strbuf *text,
		    struct error *e);
/* The whole of a stream like that, with a NUL behind it. The caller frees. `ret_len` may be NULL. */
int stream_get_text(struct set *s, const char *name, const char *method, char **ret, size_t *ret_len,
		    struct error *e);

/* Gives the plain stream NAME.METHOD to `consume`, which owns its descriptor and reads it to the end unless it fails. Both its
 * failure and the stream's are errors; of two, the stream's, which explains the other. */
int stream_consume(struct set *s, const char *name, const char *method, struct report *report,
		   int (*consume)(void *user, int fd, struct error *e), void *user, struct error *e);
