/* A chunk that is encrypted on its way into the set. Private to this room. */
#pragma once
#include "base/error.h"
#include "base/str.h"

struct seal;
/* What comes out is given to `put`, in order, in a thread of its own; its failure is that of the next call. One chunk is
 * begun and ended by one thread: a child gets a signal when the thread that started it ends. */
int seal_begin(const struct strlist *recipients,
	       int (*put)(void *user, const char *data, size_t len, struct error *e), void *user,
	       struct seal **ret, struct error *e);
int seal_write(struct seal *s, const void *data, size_t len, struct error *e);
/* Everything was put, and age is content. */
int seal_end(struct seal *s, struct error *e);
void seal_free(struct seal *s);
