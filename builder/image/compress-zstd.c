#include "image/compress.h"

#include "base/parallel.h"
#include "base/str.h"

#include <errno.h>
#include <zstd.h>

enum {
	/* A worker holds a job and what becomes of it, so this bounds the memory, and how long one of them is alone with
	 * the last job. The library's own choice (8 MB at the default level) makes images smaller by three parts in a
	 * thousand. */
	job_size = 2 << 20,
};

struct state {
	ZSTD_CCtx *context;
	char *buf;
	size_t size;
};

static void zstd_close(void *state)
{
	struct state *s = state;

	(void)ZSTD_freeCCtx(s->context); /* NULL is fine; it returns 0 */
	free(s->buf);
	free(s);
}

static void *zstd_open(unsigned level)
{
	struct state *s = xcalloc(1, sizeof(*s));
	/* At least one worker: with none, another code path gives other bytes. */
	const struct {
		ZSTD_cParameter parameter;
		int value;
	} settings[] = {
		{ ZSTD_c_compressionLevel, (int)level },
		{ ZSTD_c_nbWorkers, (int)parallel_threads() },
		{ ZSTD_c_jobSize, job_size },
		{ ZSTD_c_checksumFlag, 1 },
	};

	*s = (struct state) { ZSTD_createCCtx(), xmalloc(ZSTD_CStreamOutSize()), ZSTD_CStreamOutSize() };
	for (size_t i = 0; s->context && i < sizeof(settings) / sizeof(*settings); i++)
		if (ZSTD_isError(
			    ZSTD_CCtx_setParameter(s->context, settings[i].parameter, settings[i].value))) {
			(void)ZSTD_freeCCtx(s->context); /* it returns 0 */
			s->context = NULL;
		}
	if (s->context)
		return s;
	zstd_close(s);
	return NULL;
}

static int zstd_write(void *state, const void *data, size_t len, bool last,
		      int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why)
{
	struct state *s = state;
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer ready = { s->buf, s->size, 0 };

		left = ZSTD_compressStream2(s->context, &ready, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left)) {
			*ret_why = ZSTD_getErrorName(left);
			return -EIO;
		}
		int r = ready.pos ? out(user, s->buf, ready.pos) : 0;

		if (r < 0)
			return r;
	} while (last ? left > 0 : in.pos < in.size);
	return 0;
}

const struct compressor compressor_zstd = { "zstd", 22, 3, zstd_open, zstd_write, zstd_close };
