/* The legacy frame, the only one that kernels read (Linux: lib/decompress_unlz4.c; "Legacy frame" of
 * lz4_Frame_format.md): a magic number, then blocks of 8 MiB of content, each headed by its compressed
 * size, all numbers little-endian. Blocks know nothing of each other, so several are compressed at once. */
#include "image/compress.h"

#include "base/parallel.h"
#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <lz4hc.h>

enum {
	block = 8 << 20,
	bound = LZ4_COMPRESSBOUND(block),
	at_once_max = 4, /* 16 MiB of memory each */
};
static const uint32_t legacy_magic = 0x184c2102;

struct slot {
	char *in, *out;
	void *memory; /* the compressor's own */
	size_t len;
	int out_len; /* 0: it failed */
};

struct state {
	struct slot slots[at_once_max];
	size_t slot_count, filled;
	int level;
	bool begun;
};

static void lz4_close(void *state)
{
	struct state *s = state;

	for (size_t i = 0; i < s->slot_count; i++) {
		free(s->slots[i].in);
		free(s->slots[i].out);
		free(s->slots[i].memory);
	}
	free(s);
}

static void *lz4_open(unsigned level)
{
	struct state *s = xcalloc(1, sizeof(*s));
	unsigned threads = parallel_threads();

	s->level = (int)level;
	s->slot_count = threads < at_once_max ? threads : at_once_max;
	for (size_t i = 0; i < s->slot_count; i++)
		s->slots[i] = (struct slot) { .in = xmalloc(block),
					      .out = xmalloc(bound),
					      .memory = xmalloc((size_t)LZ4_sizeofStateHC()) };
	return s;
}

static void compress_slot(void *user, size_t index, unsigned thread)
{
	struct state *s = user;
	struct slot *slot = &s->slots[index];

	(void)thread; /* the memory is the slot's */
	slot->out_len = LZ4_compress_HC_extStateHC(slot->memory, slot->in, slot->out, (int)slot->len, bound,
						   s->level);
}

/* Compresses what is in the slots and hands it on. */
static int flush(struct state *s, int (*out)(void *user, const void *data, size_t len), void *user,
		 const char **ret_why)
{
	uint32_t head = htole32(legacy_magic);
	int r = s->begun ? 0 : out(user, &head, sizeof(head));

	s->begun = true;
	parallel_run(s->filled, compress_slot, s);
	for (size_t i = 0; r == 0 && i < s->filled; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->out_len <= 0) {
			*ret_why = "liblz4 refused its input";
			return -EIO;
		}
		head = htole32((uint32_t)slot->out_len);
		r = out(user, &head, sizeof(head));
		if (r == 0)
			r = out(user, slot->out, (size_t)slot->out_len);
		slot->len = 0;
	}
	s->filled = 0;
	return r;
}

static int lz4_write(void *state, const void *data, size_t len, bool last,
		     int (*out)(void *user, const void *data, size_t len), void *user, const char **ret_why)
{
	struct state *s = state;
	const char *rest = data;
	int r = 0;

	while (r == 0 && len > 0) {
		/* All slots before the last one in use are full. */
		struct slot *slot = &s->slots[s->filled ? s->filled - 1 : 0];

		if (s->filled == 0 || slot->len == block) {
			if (s->filled == s->slot_count)
				r = flush(s, out, user, ret_why);
			slot = &s->slots[s->filled++];
		}
		size_t piece = len < block - slot->len ? len : block - slot->len;

		memcpy(slot->in + slot->len, rest, piece);
		slot->len += piece;
		rest += piece;
		len -= piece;
	}
	return r == 0 && last ? flush(s, out, user, ret_why) : r;
}

const struct compressor compressor_lz4 = { "lz4",    LZ4HC_CLEVEL_MAX, LZ4HC_CLEVEL_DEFAULT,
					   lz4_open, lz4_write,        lz4_close };
