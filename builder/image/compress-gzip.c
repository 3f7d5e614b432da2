#include "image/compress.h"

#include "base/str.h"

#include <errno.h>
#include <zlib.h>

enum { gzip_format = 16, out_size = 1 << 16 };

struct state {
	z_stream stream;
	unsigned char buf[out_size];
};

static void gzip_close(void *state)
{
	struct state *s = state;

	(void)deflateEnd(&s->stream); /* complains about bytes not taken; who ended early knows */
	free(s);
}

/* zlib's own header has no time and no name in it. */
static void *gzip_open(unsigned level)
{
	struct state *s = xcalloc(1, sizeof(*s));

	if (deflateInit2(&s->stream, (int)level, Z_DEFLATED, MAX_WBITS + gzip_format, MAX_MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) == Z_OK)
		return s;
	free(s);
	return NULL;
}

static int gzip_write(void *state, const void *data, size_t len, bool last,
		      int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why)
{
	struct state *s = state;
	const unsigned char *rest = data;
	int z = Z_OK;

	do {
		size_t piece = len < 1U << 30 ? len : 1U << 30; /* avail_in has 32 bits */

		s->stream.next_in = (unsigned char *)rest; /* zlib reads it only */
		s->stream.avail_in = (unsigned)piece;
		do {
			s->stream.next_out = s->buf;
			s->stream.avail_out = out_size;
			z = deflate(&s->stream, last && piece == len ? Z_FINISH : Z_NO_FLUSH);
			if (z == Z_STREAM_ERROR) {
				*ret_why = "zlib refused its input";
				return -EIO;
			}
			size_t ready = out_size - s->stream.avail_out;
			int r = ready ? out(user, s->buf, ready) : 0;

			if (r < 0)
				return r;
		} while (s->stream.avail_out == 0);
		rest = rest ? rest + piece : NULL;
		len -= piece;
	} while (len > 0);
	return 0;
}

const struct compressor compressor_gzip = { "gzip", 9, 6, gzip_open, gzip_write, gzip_close };
