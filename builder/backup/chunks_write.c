#include "backup/chunks_write.h"

#include "backup/age.h"
#include "backup/listing_stream.h"
#include "backup/xfs_inventory.h"

#include <errno.h>

enum {
	piece = 128 << 10, /* bytes that are hashed and written at a time */
	chunk_min = 4096,
	chunks_max = 1000, /* NNN has three digits */
	chunks_wanted = 900, /* chunks grow so that a stream has at most about so many */
	sealing_part = 4096, /* of that many bytes, age needs one more for its tags */
	sealing_max = 16 << 10, /* and that many for the header: 80 recipients */
};

/* What the next level reads of this set. */
static bool is_for_levels(const char *method)
{
	return streq(method, LISTING_METHOD) || streq(method, INDEX_METHOD) ||
	       streq(method, INVENTORY_METHOD);
}

int chunks_begin(struct chunks *c, struct set_writer *w, const char *name, const char *method, uint64_t total,
		 struct frames *frames, struct error *e)
{
	c->w = w;
	c->frames = frames;
	c->limit = w->chunk_size;
	c->prefix = xasprintf("%s.%s.zst", name, method);
	if (!set_name_good(c->prefix))
		return error_text(e, EINVAL, "%s/%s: no good name for a stream", w->shown, c->prefix);
	if (c->limit < chunk_min)
		return error_text(e, EINVAL, "chunks of %llu bytes are too small",
				  (unsigned long long)c->limit);
	if (c->limit < total / chunks_wanted)
		c->limit = total / chunks_wanted;
	if (w->recipients && c->limit > 2 * sealing_max) /* what age adds has to fit, too */
		c->limit -= c->limit / sealing_part + sealing_max;
	if (w->recipients && is_for_levels(method))
		c->state_fd = state_file(w, c->prefix);
	return 0;
}

void chunks_free(struct chunks *c)
{
	state_file_end(c->w, c->state_fd);
	seal_free(c->seal);
	digest_free(c->digest);
	free(c->name);
	free(c->prefix);
}

static int begin_file(struct set_place *p, void *user, struct error *e)
{
	return set_place_file(p, user, e);
}

static int end_file(struct set_place *p, void *user, struct error *e)
{
	(void)user; /* nothing more to say */
	return set_place_file_end(p, e);
}

struct bytes {
	const char *data;
	size_t len;
};

static int put_bytes(struct set_place *p, void *user, struct error *e)
{
	const struct bytes *b = user;

	return set_place_write(p, b->data, b->len, e);
}

/* Into the file, as it is there; from the seal's thread while there is one. By pieces, each of which is still in the core's
 * cache from being hashed when it is written: a frame as a whole was fetched from memory twice. */
static int chunk_write(void *user, const char *data, size_t len, struct error *e)
{
	struct chunks *c = user;
	int r = 0;

	for (size_t n; r == 0 && len > 0; data += n, len -= n) {
		n = len < piece ? len : piece;
		struct bytes bytes = { data, n };

		digest_add(c->digest, data, n);
		r = set_each_place(c->w, put_bytes, &bytes, e);
		c->w->packed += n;
	}
	return r;
}

static int chunk_begin(struct chunks *c, struct error *e)
{
	if (c->number >= chunks_max)
		return error_text(e, EFBIG,
				  "%s/%s: more than %d chunks; choose bigger ones (chunk = in [backup])",
				  c->w->shown, c->prefix, chunks_max);
	c->name = xasprintf("%s.%03u%s", c->prefix, c->number++, c->w->recipients ? AGE_SUFFIX : "");
	c->len = 0;
	c->digest = digest_new();
	int r = set_each_place(c->w, begin_file, c->name, e);

	return r == 0 && c->w->recipients ? seal_begin(c->w->recipients, chunk_write, c, &c->seal, e) : r;
}

int chunks_end(struct chunks *c, struct error *e)
{
	char hex[DIGEST_HEX_SIZE];
	int r = c->seal ? seal_end(c->seal, e) : 0;

	seal_free(TAKE_PTR(c->seal));
	if (r == 0 && c->name)
		r = set_each_place(c->w, end_file, NULL, e);
	if (r < 0 || !c->name)
		return r;
	digest_hex(c->digest, hex);
	digest_free(TAKE_PTR(c->digest));
	sums_add(&c->w->sums, c->name, hex);
	free(TAKE_PTR(c->name));
	return 0;
}

static void note_frame(struct chunks *c, size_t plain_len, size_t len)
{
	struct frames *f = c->frames;

	if (!f)
		return;
	f->items = xgrow(f->items, f->count + 1, &f->capacity, sizeof(*f->items));
	f->items[f->count++] =
		(struct frame) { .plain = f->plain, .offset = c->len, .len = len, .chunk = c->number - 1 };
	f->plain += plain_len;
}

int chunks_put(struct chunks *c, const char *packed, size_t len, size_t plain_len, struct error *e)
{
	int r = 0;

	if (c->name && c->len + len > c->limit)
		r = chunks_end(c, e);
	if (r == 0 && !c->name)
		r = chunk_begin(c, e);
	if (r < 0)
		return r;
	r = c->seal ? seal_write(c->seal, packed, len, e) : chunk_write(c, packed, len, e);
	if (r < 0)
		return r;
	state_write(c->w, c->state_fd, packed, len);
	note_frame(c, plain_len, len);
	c->len += len;
	return 0;
}
