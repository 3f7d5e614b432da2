/* What others have compressed: the kernel inside its boot image, modules, firmware. The format is told by
 * its first bytes. Like the kernel's own readers (Linux: lib/decompress_*.c) this takes one stream and leaves
 * alone what follows it. */
#pragma once
#include "base/error.h"
#include "base/str.h"

/* Gets the content piece by piece. What it returns, unless 0, ends the reading at once. */
typedef int decompress_out(void *user, const void *data, size_t len);

/* The name of the format ("xz") of what begins with these bytes; NULL: none that is known. */
const char *decompress_format(const void *data, size_t len);

/* Hands the content to `out`. Returns 0 at its end, or what `out` returned, or a negative errno: -ENOTSUP
 * when the format is not known, -ENODATA when the stream is cut short, -EBADMSG when it is damaged. `shown` names
 * it in errors. */
int decompress(const void *data, size_t len, const char *shown, decompress_out *out, void *user,
	       struct error *e);

/* All of it behind what `ret` holds; more than `max` bytes there are -EFBIG. */
int decompress_whole(const void *data, size_t len, const char *shown, size_t max, struct strbuf *ret,
		     struct error *e);
