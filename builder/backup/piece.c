#include "backup/piece.h"

#include "backup/set_private.h"

#include <errno.h>
#include <zstd.h>

enum { frame_max = 64 << 20 }; /* no frame of ours is that large */

void piece_free(struct piece *p)
{
	unseal_close(p->sealed);
	free(p->packed);
	free(p->plain);
	*p = (struct piece) { 0 };
}

/* The frame that holds byte `at`. */
static size_t find_frame(const struct frames *f, uint64_t at)
{
	size_t low = 0, high = f->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (f->items[middle].plain <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void grow_packed(struct piece *p, size_t size)
{
	if (p->packed_size >= size)
		return;
	p->packed = xrealloc(p->packed, size);
	p->packed_size = size;
}

static ssize_t read_plain(struct piece *p, const struct sum *chunk, const struct frame *frame,
			  struct error *e)
{
	_cleanup_(set_file) struct set_file file = SET_FILE_NONE;
	int r = set_file_open(p->s, set_copy_of(p->s, chunk), chunk->name, frame->offset, &file, p->report,
			      e);

	return r < 0 ? r : set_file_read(&file, p->packed, (size_t)frame->len, p->report, e);
}

static int open_sealed(struct piece *p, const struct sum *chunk, const struct frame *frame, struct error *e)
{
	if (p->sealed && p->sealed_of == p->frames && p->sealed_chunk == frame->chunk &&
	    p->sealed_at <= frame->offset)
		return 0;
	unseal_close(TAKE_PTR(p->sealed));
	p->sealed_of = p->frames;
	p->sealed_chunk = frame->chunk;
	p->sealed_at = 0;
	return unseal_open(p->s, chunk, p->report, &p->sealed, e);
}

/* age reads from the first byte on: the chunk stays open, as pieces are mostly asked for in their order. */
static ssize_t read_sealed(struct piece *p, const struct sum *chunk, const struct frame *frame,
			   struct error *e)
{
	enum { step = 1 << 20 };
	ssize_t n = 0;
	int r = open_sealed(p, chunk, frame, e);

	if (r < 0)
		return r;
	grow_packed(p, step);
	while (p->sealed_at < frame->offset) {
		uint64_t left = frame->offset - p->sealed_at;
		size_t want = left < step ? (size_t)left : step;

		n = unseal_read(p->sealed, p->packed, want, e);
		if (n < 0 || (size_t)n < want)
			return n < 0 ? n : 0; /* it ends before the frame */
		p->sealed_at += want;
	}
	n = unseal_read(p->sealed, p->packed, (size_t)frame->len, e);
	p->sealed_at += n > 0 ? (uint64_t)n : 0;
	return n;
}

static int read_packed(struct piece *p, const struct sum *chunk, const struct frame *frame, struct error *e)
{
	if (frame->len > frame_max)
		return error_text(e, EBADMSG, "%s/%s: the index of %s does not fit it", p->s->shown,
				  chunk->name, p->name);
	grow_packed(p, (size_t)frame->len);
	ssize_t n = chunk_is_sealed(chunk->name) ? read_sealed(p, chunk, frame, e)
						 : read_plain(p, chunk, frame, e);

	if (n < 0) {
		unseal_close(TAKE_PTR(p->sealed));
		return (int)n;
	}
	return (uint64_t)n < frame->len
		       ? error_text(e, EBADMSG, "%s/%s: it is cut off", p->s->shown, chunk->name)
		       : 0;
}

/* Brings frame `index` into `plain`. Its own checksum tells whether it is what was written. */
static int unpack(struct piece *p, size_t index, struct error *e)
{
	const struct frame *frame = &p->frames->items[index];
	const struct sum *sum = chunk_find(&p->s->sums, p->name, p->method, frame->chunk);

	if (p->unpacked == p->frames && p->frame == index)
		return 0;
	p->unpacked = NULL;
	if (!sum)
		return error_text(e, EBADMSG, "%s: the index of %s does not fit it: it has no chunk %u",
				  p->s->shown, p->name, frame->chunk);
	const char *chunk = sum->name;
	int r = read_packed(p, sum, frame, e);

	if (r < 0)
		return r;
	unsigned long long size = ZSTD_getFrameContentSize(p->packed, (size_t)frame->len);

	if (size > frame_max)
		return error_text(e, EBADMSG, "%s/%s: byte %llu: no frame of ours", p->s->shown, chunk,
				  (unsigned long long)frame->offset);
	if (p->plain_size < size) {
		p->plain = xrealloc(p->plain, (size_t)size);
		p->plain_size = (size_t)size;
	}
	p->plain_len = ZSTD_decompress(p->plain, p->plain_size, p->packed, (size_t)frame->len);
	if (ZSTD_isError(p->plain_len))
		return error_text(e, EBADMSG, "%s/%s: damaged: %s", p->s->shown, chunk,
				  ZSTD_getErrorName(p->plain_len));
	p->unpacked = p->frames;
	p->frame = index;
	return 0;
}

ssize_t piece_next(void *user, const char **ret, struct error *e)
{
	struct piece *p = user;

	if (p->at >= p->end)
		return 0;
	if (!p->frames->count)
		return error_text(e, EBADMSG, "%s: the index of %s is empty", p->s->shown, p->name);
	size_t index = find_frame(p->frames, p->at);
	int r = unpack(p, index, e);

	if (r < 0)
		return r;
	uint64_t begin = p->frames->items[index].plain, left = p->end - p->at;

	if (p->at < begin || p->at - begin >= p->plain_len)
		return error_text(e, EBADMSG, "%s: the index of %s does not fit it", p->s->shown, p->name);
	uint64_t there = p->plain_len - (p->at - begin);

	*ret = p->plain + (p->at - begin);
	p->at += there < left ? there : left;
	return (ssize_t)(there < left ? there : left);
}
