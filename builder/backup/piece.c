#include "backup/piece.h"

#include "backup/set_private.h"

#include <errno.h>
#include <zstd.h>

enum { frame_max = 64 << 20 }; /* no frame of ours is that large */

void piece_free(struct piece *p)
{
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

static int read_packed(struct piece *p, const char *chunk, const struct frame *frame, struct error *e)
{
	const struct sum *sum = sums_find(&p->s->sums, chunk);
	_cleanup_(set_file) struct set_file file = SET_FILE_NONE;

	if (!sum || frame->len > frame_max)
		return error_text(e, EBADMSG, "%s/%s: the index of %s does not fit it", p->s->shown, chunk,
				  p->name);
	if (p->packed_size < frame->len) {
		p->packed = xrealloc(p->packed, (size_t)frame->len);
		p->packed_size = (size_t)frame->len;
	}
	int r = set_file_open(p->s, set_copy_of(p->s, sum), chunk, frame->offset, &file, p->report, e);

	if (r < 0)
		return r;
	ssize_t n = set_file_read(&file, p->packed, (size_t)frame->len, p->report, e);

	if (n >= 0 && (uint64_t)n < frame->len)
		return error_text(e, EBADMSG, "%s/%s: it is cut off", p->s->shown, chunk);
	return n < 0 ? (int)n : 0;
}

/* Brings frame `index` into `plain`. Its own checksum tells whether it is what was written. */
static int unpack(struct piece *p, size_t index, struct error *e)
{
	const struct frame *frame = &p->frames->items[index];
	_cleanup_(free) char *chunk = xasprintf("%s.%s.zst.%03u", p->name, p->method, frame->chunk);

	if (p->unpacked == p->frames && p->frame == index)
		return 0;
	p->unpacked = NULL;
	int r = read_packed(p, chunk, frame, e);

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
