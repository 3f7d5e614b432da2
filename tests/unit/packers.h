/* The compressors that kernels, modules and firmware come packed with, for tests that make such files. */
#pragma once
#include "tap.h"

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

enum { room = 16 << 20 }; /* bytes behind each `to` */

static size_t pack_gzip(const void *data, size_t len, void *to)
{
	z_stream z = {
		.next_in = (void *)(size_t)data, .avail_in = (unsigned)len, .next_out = to, .avail_out = room
	};

	CHECK(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END && deflateEnd(&z) == Z_OK);
	return z.total_out;
}

static size_t pack_xz(const void *data, size_t len, void *to)
{
	size_t n = 0;

	CHECK(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, data, len, to, &n, room) == LZMA_OK);
	return n;
}

static size_t pack_lzma(const void *data, size_t len, void *to)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	CHECK(!lzma_lzma_preset(&options, 1) && lzma_alone_encoder(&z, &options) == LZMA_OK);
	z.next_in = data;
	z.avail_in = len;
	z.next_out = to;
	z.avail_out = room;
	CHECK(lzma_code(&z, LZMA_FINISH) == LZMA_STREAM_END);
	lzma_end(&z);
	return (size_t)z.total_out;
}

static size_t pack_zstd(const void *data, size_t len, void *to)
{
	size_t n = ZSTD_compress(to, room, data, len, 1);

	CHECK(!ZSTD_isError(n));
	return n;
}

static size_t pack_bzip2(const void *data, size_t len, void *to)
{
	unsigned n = room;

	CHECK(BZ2_bzBuffToBuffCompress(to, &n, (char *)(size_t)data, (unsigned)len, 1, 0, 0) == BZ_OK);
	return n;
}

static void put_u32(unsigned char *to, size_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

/* The legacy format, in blocks of 8 MiB. */
static size_t pack_lz4(const void *data, size_t len, void *to)
{
	enum { block = 8 << 20 };
	size_t out = 4;

	memcpy(to, "\x02\x21\x4c\x18", 4);
	for (size_t at = 0; at < len; at += block) {
		size_t n = len - at < block ? len - at : block;
		int packed = LZ4_compress_default((const char *)data + at, (char *)to + out + 4, (int)n,
						  (int)(room - out - 4));

		CHECK(packed > 0);
		put_u32((unsigned char *)to + out, (size_t)packed);
		out += 4 + (size_t)packed;
	}
	return out;
}

static const struct packer {
	const char *name;
	size_t (*pack)(const void *data, size_t len, void *to);
} packers[] = {
	{ "gzip", pack_gzip }, { "xz", pack_xz },   { "lzma", pack_lzma },
	{ "zstd", pack_zstd }, { "lz4", pack_lz4 }, { "bzip2", pack_bzip2 },
};
enum { packer_count = sizeof(packers) / sizeof(*packers) };

static inline size_t pack_with(const char *name, const void *data, size_t len, void *to)
{
	for (size_t i = 0; i < packer_count; i++)
		if (strcmp(packers[i].name, name) == 0)
			return packers[i].pack(data, len, to);
	TAP_FAIL("no packer %s", name);
}
