/* Streams that a kernel's decoder reads (Linux: Documentation/staging/xz.rst): CRC32 and no stronger
 * check, LZMA2, before it the filter for x86 code. Blocks of a fixed size make the bytes the same with any
 * number of threads. */
#include "image/compress.h"

#include "base/parallel.h"
#include "base/str.h"

#include <errno.h>
#include <lzma.h>

enum {
	out_size = 1 << 16,
	/* The kernel allocates the dictionary while it unpacks, and each thread needs about twelve times as
	 * much here. Four times this makes an image two percent smaller. */
	dictionary = 1 << 20,
	block = 12 << 20,
};

struct state {
	lzma_stream stream;
	unsigned char buf[out_size];
};

static void xz_close(void *state)
{
	struct state *s = state;

	lzma_end(&s->stream);
	free(s);
}

static void *xz_open(unsigned level)
{
	struct state *s = xcalloc(1, sizeof(*s));
	lzma_options_lzma lzma2;
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
				  { LZMA_FILTER_LZMA2, &lzma2 },
				  { LZMA_VLI_UNKNOWN, NULL } };
	const lzma_mt options = { .threads = parallel_threads(),
				  .block_size = block,
				  .filters = filters,
				  .check = LZMA_CHECK_CRC32 };

	s->stream = (lzma_stream)LZMA_STREAM_INIT;
	if (!lzma_lzma_preset(&lzma2, level)) {
		lzma2.dict_size = dictionary;
		if (lzma_stream_encoder_mt(&s->stream, &options) == LZMA_OK)
			return s;
	}
	xz_close(s);
	return NULL;
}

static int xz_write(void *state, const void *data, size_t len, bool last,
		    int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why)
{
	struct state *s = state;
	lzma_ret x;

	if (!len && !last)
		return 0; /* liblzma takes a call without anything to do for a fault */
	s->stream.next_in = data;
	s->stream.avail_in = len;
	do {
		s->stream.next_out = s->buf;
		s->stream.avail_out = out_size;
		x = lzma_code(&s->stream, last ? LZMA_FINISH : LZMA_RUN);
		if (x != LZMA_OK && x != LZMA_STREAM_END) {
			*ret_why = x == LZMA_MEM_ERROR ? "not enough memory" : "liblzma refused its input";
			return -EIO;
		}
		int r = s->stream.avail_out < out_size ? out(user, s->buf, out_size - s->stream.avail_out)
						       : 0;

		if (r < 0)
			return r;
	} while (last ? x != LZMA_STREAM_END : s->stream.avail_in > 0);
	return 0;
}

const struct compressor compressor_xz = { "xz", 9, 6, xz_open, xz_write, xz_close };
