#include "image/decompress.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

enum {
	piece_size = 1 << 18,
	lzma_memory = 512 << 20, /* more than the largest dictionary of kernels, 128 MiB, asks for */
};

/* One reading. The decoders below return 0 at the end of the stream, what `out` returned, or a negative errno. */
struct job {
	const unsigned char *data;
	size_t len;
	decompress_out *out;
	void *user;
	unsigned char *piece; /* of piece_size bytes, to decode into */
	int stopped; /* what `out` returned last */
};

static int give(struct job *j, const void *data, size_t len)
{
	if (len)
		j->stopped = j->out(j->user, data, len);
	return j->stopped;
}

static int cleanup_zlib_end(z_stream *z)
{
	return inflateEnd(z); /* fails only on a state that was never made */
}

static int read_gzip(struct job *j)
{
	enum { gzip_only = 16 };
	__attribute__((cleanup(cleanup_zlib_end)))
	z_stream z = { .next_in = (unsigned char *)j->data, .avail_in = (unsigned)j->len };
	int state = inflateInit2(&z, gzip_only + MAX_WBITS);

	while (state == Z_OK) {
		z.next_out = j->piece;
		z.avail_out = piece_size;
		state = inflate(&z, Z_NO_FLUSH);
		if (give(j, j->piece, piece_size - z.avail_out) != 0)
			return j->stopped;
	}
	if (state == Z_STREAM_END)
		return 0;
	return state == Z_BUF_ERROR ? -ENODATA : state == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

/* `state` is that of starting the decoder. */
static int run_lzma(struct job *j, lzma_stream *z, lzma_ret state)
{
	z->next_in = j->data;
	z->avail_in = j->len;
	while (state == LZMA_OK) {
		z->next_out = j->piece;
		z->avail_out = piece_size;
		state = lzma_code(z, LZMA_FINISH);
		size_t n = piece_size - z->avail_out;

		if (give(j, j->piece, n) != 0)
			return j->stopped;
	}
	if (state == LZMA_STREAM_END)
		return 0;
	return state == LZMA_BUF_ERROR ? -ENODATA : state == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int read_xz(struct job *j)
{
	__attribute__((cleanup(lzma_end))) lzma_stream z = LZMA_STREAM_INIT;

	return run_lzma(j, &z, lzma_stream_decoder(&z, lzma_memory, 0));
}

static int read_lzma(struct job *j)
{
	__attribute__((cleanup(lzma_end))) lzma_stream z = LZMA_STREAM_INIT;

	return run_lzma(j, &z, lzma_alone_decoder(&z, lzma_memory));
}

static void cleanup_zstd(ZSTD_DStream **z)
{
	(void)ZSTD_freeDStream(*z); /* NULL is fine; it returns 0 */
}

static int read_zstd(struct job *j)
{
	enum { largest_window = 27 }; /* zstd --ultra -22, which kernels are packed with */
	__attribute__((cleanup(cleanup_zstd))) ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { j->data, j->len, 0 };
	size_t hint;

	if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, largest_window)))
		return -ENOMEM;
	do {
		ZSTD_outBuffer ready = { j->piece, piece_size, 0 };

		hint = ZSTD_decompressStream(z, &ready, &in);
		if (ZSTD_isError(hint))
			return -EBADMSG;
		if (give(j, j->piece, ready.pos) != 0)
			return j->stopped;
		if (hint && in.pos == in.size && ready.pos < ready.size)
			return -ENODATA;
	} while (hint);
	return 0;
}

static void cleanup_bzip2(bz_stream *z)
{
	(void)BZ2_bzDecompressEnd(z); /* fails only on a state that was never made */
}

static int read_bzip2(struct job *j)
{
	__attribute__((cleanup(cleanup_bzip2)))
	bz_stream z = { .next_in = (char *)j->data, .avail_in = (unsigned)j->len };
	int state = BZ2_bzDecompressInit(&z, 0, 0);

	while (state == BZ_OK) {
		z.next_out = (char *)j->piece;
		z.avail_out = piece_size;
		state = BZ2_bzDecompress(&z);
		size_t n = piece_size - z.avail_out;

		if (give(j, j->piece, n) != 0)
			return j->stopped;
		if (state == BZ_OK && !n && !z.avail_in)
			return -ENODATA;
	}
	return state == BZ_STREAM_END ? 0 : state == BZ_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

/* lz4's legacy format: blocks of 8 MiB, the last one less, each behind its compressed size (lz4:
 * doc/lz4_Frame_format.md; Linux: lib/decompress_unlz4.c). In a kernel image four more bytes follow. */
static int read_lz4(struct job *j)
{
	enum { magic = 4, head = 4, block_max = 8 << 20 };
	_cleanup_(free) char *block = xmalloc(block_max);
	size_t at = magic;
	int n = block_max;

	while (n == block_max && j->len - at > head) {
		const unsigned char *p = j->data + at;
		size_t size = p[0] | p[1] << 8 | p[2] << 16 | (size_t)p[3] << 24;

		at += head;
		if (size > LZ4_COMPRESSBOUND(block_max))
			return -EBADMSG;
		if (size > j->len - at)
			return -ENODATA;
		n = LZ4_decompress_safe((const char *)j->data + at, block, (int)size, block_max);
		if (n < 0)
			return -EBADMSG;
		if (give(j, block, (size_t)n) != 0)
			return j->stopped;
		at += size;
	}
	return at > magic ? 0 : -ENODATA;
}

static const struct format {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*read)(struct job *j); /* NULL: no library for it */
} formats[] = {
	{ "gzip", "\x1f\x8b\x08", 3, read_gzip },
	{ "xz", "\xfd\x37zXZ", 6, read_xz },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, read_zstd },
	{ "lz4", "\x02\x21\x4c\x18", 4, read_lz4 },
	{ "lzma", "\x5d\x00\x00", 3, read_lzma },
	{ "bzip2", "BZh", 3, read_bzip2 },
	{ "lzo", "\x89LZO", 4, NULL },
};

static const struct format *find_format(const void *data, size_t len)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (len >= formats[i].magic_len && memcmp(data, formats[i].magic, formats[i].magic_len) == 0)
			return &formats[i];
	return NULL;
}

const char *decompress_format(const void *data, size_t len)
{
	const struct format *f = find_format(data, len);

	return f ? f->name : NULL;
}

int decompress(const void *data, size_t len, const char *shown, decompress_out *out, void *user,
	       struct error *e)
{
	const struct format *f = find_format(data, len);

	if (!f || !f->read)
		return error_text(e, ENOTSUP, "unpack %s: %s", shown,
				  f ? "there is no reader for lzo here"
				    : "not compressed in any known format");
	if (len > INT32_MAX)
		return error_errno(e, EFBIG, "unpack %s", shown);
	_cleanup_(free) unsigned char *piece = xmalloc(piece_size);
	struct job job = { data, len, out, user, piece, 0 };
	int r = f->read(&job);

	if (r == 0 || job.stopped)
		return r;
	if (r == -ENODATA)
		return error_text(e, ENODATA, "unpack %s: its %s data is cut short", shown, f->name);
	if (r == -EBADMSG)
		return error_text(e, EBADMSG, "unpack %s: its %s data is damaged", shown, f->name);
	return error_errno(e, -r, "unpack %s", shown);
}

struct whole {
	struct strbuf *to;
	size_t left;
};

static int add_to_whole(void *user, const void *data, size_t len)
{
	struct whole *w = user;

	if (len > w->left)
		return -EFBIG;
	w->left -= len;
	strbuf_add(w->to, data, len);
	return 0;
}

int decompress_whole(const void *data, size_t len, const char *shown, size_t max, struct strbuf *ret,
		     struct error *e)
{
	struct whole w = { ret, max };
	int r = decompress(data, len, shown, add_to_whole, &w, e);

	return r == -EFBIG ? error_text(e, EFBIG, "unpack %s: it has more than %zu bytes", shown, max) : r;
}
