/* A plain stream becomes chunks: the caller's thread reads frames, one thread per core compresses each
 * frame by itself, one thread hashes and writes them in order, and one, if the caller wants it, reads the
 * stream's own format. Frames are independent, so that every chunk
 * decompresses alone and later readers can begin in the middle. */
#include "backup/age.h"
#include "backup/listing_stream.h"
#include "backup/seal.h"
#include "backup/set_private.h"
#include "backup/stream_watch.h"
#include "backup/xfs_inventory.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

enum {
	frame_max = 4 << 20, /* plain bytes of a frame */
	piece = 128 << 10, /* bytes that are hashed and written at a time */
	chunk_min = 4096,
	chunks_max = 1000, /* NNN has three digits */
	chunks_wanted = 900, /* chunks grow so that a stream has at most about so many */
	compression = ZSTD_CLEVEL_DEFAULT,
	workers_max = 64,
	memory_max = 112 << 20, /* bytes of all frames on the way; with many cores they are smaller */
	sealing_part = 4096, /* of that many bytes, age needs one more for its tags */
	sealing_max = 16 << 10, /* and that many for the header: 80 recipients */
};

struct slot {
	char *plain, *packed;
	size_t plain_len, packed_len;
	bool done; /* packed */
};

/* ---- chunks ---- */

struct chunks {
	struct set_writer *w;
	char *prefix; /* NAME.METHOD.zst */
	uint64_t limit; /* bytes of a chunk */
	unsigned number; /* of the next one */
	struct frames *frames; /* where each frame comes to lie is noted there; NULL: nowhere */
	/* the open one */
	char *name; /* NULL: none is open */
	uint64_t len; /* before it is encrypted */
	struct digest *digest;
	struct seal *seal; /* what encrypts it; NULL: it stays as it is */
	int state_fd; /* where it is kept in the clear on this machine, too; -1: it is not */
};

static void chunks_free(struct chunks *c)
{
	seal_free(c->seal);
	digest_free(c->digest);
	free(c->name);
	free(c->prefix);
}
DEFINE_CLEANUP(chunks, struct chunks, chunks_free)

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

static int chunk_end(struct chunks *c, struct error *e)
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

static int chunk_put(struct chunks *c, struct slot *slot, struct error *e)
{
	size_t len = slot->packed_len;
	int r = 0;

	if (c->name && c->len + len > c->limit)
		r = chunk_end(c, e);
	if (r == 0 && !c->name)
		r = chunk_begin(c, e);
	if (r < 0)
		return r;
	r = c->seal ? seal_write(c->seal, slot->packed, len, e) : chunk_write(c, slot->packed, len, e);
	if (r < 0)
		return r;
	state_write(c->w, c->state_fd, slot->packed, len);
	note_frame(c, slot->plain_len, len);
	c->len += len;
	return 0;
}

/* ---- the pipeline ---- */

struct pipeline {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct slot *slots; /* a ring: frame N is in slots[N % count] */
	size_t count, frame_size, packed_size;
	/* frames: written <= taken <= filled <= written + count, and the same for seen */
	uint64_t filled, taken, written;
	uint64_t seen; /* the watcher's; without one, always as many as were filled */
	const struct stream_watch *watch;
	bool looking; /* the watcher has frame `seen` */
	bool ended; /* no more frames will be filled */
	bool failed;
	struct error error; /* why: the first failure */
	struct chunks *chunks;
};

static void pipeline_free(struct pipeline *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->slots[i].plain);
		free(p->slots[i].packed);
	}
	free(p->slots);
	(void)pthread_cond_destroy(&p->changed); /* no thread is left */
	(void)pthread_mutex_destroy(&p->lock);
}
DEFINE_CLEANUP(pipeline, struct pipeline, pipeline_free)

static void pipeline_init(struct pipeline *p, struct chunks *chunks, unsigned workers)
{
	*p = (struct pipeline) { .count = 2 * workers + 2, .chunks = chunks };
	/* A frame that does not compress must still fit into a chunk. */
	for (p->frame_size = frame_max;
	     ZSTD_compressBound(p->frame_size) > chunks->limit || 2 * p->count * p->frame_size > memory_max;)
		p->frame_size /= 2;
	p->packed_size = ZSTD_compressBound(p->frame_size);
	p->slots = xcalloc(p->count, sizeof(*p->slots));
	for (size_t i = 0; i < p->count; i++) {
		p->slots[i].plain = xmalloc(p->frame_size);
		p->slots[i].packed = xmalloc(p->packed_size);
	}
	(void)pthread_mutex_init(&p->lock, NULL); /* these cannot fail on Linux */
	(void)pthread_cond_init(&p->changed, NULL);
}

static void fail(struct pipeline *p, const struct error *e)
{
	(void)pthread_mutex_lock(&p->lock); /* a plain mutex that we do not hold */
	if (!p->failed)
		p->error = *e;
	p->failed = true;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static bool has_failed(struct pipeline *p)
{
	(void)pthread_mutex_lock(&p->lock);
	bool failed = p->failed;

	(void)pthread_mutex_unlock(&p->lock);
	return failed;
}

/* Takes the next frame to be compressed; NULL: there is none and will be none. */
static struct slot *take(struct pipeline *p)
{
	struct slot *slot = NULL;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->failed && p->taken == p->filled && !p->ended)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	if (!p->failed && p->taken < p->filled)
		slot = &p->slots[p->taken++ % p->count];
	(void)pthread_mutex_unlock(&p->lock);
	return slot;
}

static void *compress_frames(void *user)
{
	struct pipeline *p = user;
	ZSTD_CCtx *context = ZSTD_createCCtx();
	struct error e;
	struct slot *slot;

	if (!context || ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, compression)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))) {
		(void)error_errno(&e, ENOMEM, "start the compressor");
		fail(p, &e);
	}
	while ((slot = take(p))) {
		size_t n =
			ZSTD_compress2(context, slot->packed, p->packed_size, slot->plain, slot->plain_len);

		if (ZSTD_isError(n)) {
			(void)error_text(&e, EIO, "compress: %s", ZSTD_getErrorName(n));
			fail(p, &e);
			break;
		}
		(void)pthread_mutex_lock(&p->lock);
		slot->packed_len = n;
		slot->done = true;
		(void)pthread_cond_broadcast(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
	}
	(void)ZSTD_freeCCtx(context); /* accepts NULL; always 0 */
	return NULL;
}

/* Waits for the next frame in order; NULL: all are written, or it failed. */
static struct slot *next_packed(struct pipeline *p)
{
	struct slot *slot = &p->slots[p->written % p->count];

	(void)pthread_mutex_lock(&p->lock);
	while (!p->failed && !(p->written < p->filled && slot->done) &&
	       !(p->ended && p->written == p->filled))
		(void)pthread_cond_wait(&p->changed, &p->lock);
	bool there = !p->failed && p->written < p->filled;

	(void)pthread_mutex_unlock(&p->lock);
	return there ? slot : NULL;
}

static void *write_frames(void *user)
{
	struct pipeline *p = user;
	struct error e;
	struct slot *slot;

	while ((slot = next_packed(p))) {
		if (chunk_put(p->chunks, slot, &e) < 0) {
			fail(p, &e);
			return NULL;
		}
		(void)pthread_mutex_lock(&p->lock);
		slot->done = false;
		p->written++;
		(void)pthread_cond_broadcast(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
	}
	/* The last chunk, in the thread that began it; after a failure it is thrown away. */
	if (!has_failed(p) && chunk_end(p->chunks, &e) < 0)
		fail(p, &e);
	return NULL;
}

/* Gives the frame that the watcher had back, and waits for the next. */
static ssize_t next_plain(void *user, const char **ret, struct error *e)
{
	struct pipeline *p = user;
	ssize_t len = 0;

	(void)pthread_mutex_lock(&p->lock);
	if (p->looking) {
		p->seen++;
		p->looking = false;
		(void)pthread_cond_broadcast(&p->changed);
	}
	while (!p->failed && p->seen == p->filled && !p->ended)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	if (p->failed) {
		len = error_text(e, ECANCELED, "the stream failed");
	} else if (p->seen < p->filled) {
		const struct slot *slot = &p->slots[p->seen % p->count];

		*ret = slot->plain;
		len = (ssize_t)slot->plain_len; /* a frame of nothing is the only one */
		p->looking = true;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return len;
}

static void *watch_frames(void *user)
{
	struct pipeline *p = user;
	const struct pull in = { .next = next_plain, .user = p };
	const char *rest;
	struct error e;
	ssize_t n = 1;
	int r = p->watch->read(p->watch->user, &in, &e);

	while (r == 0 && n > 0) /* it may know its end before the stream does */
		n = next_plain(p, &rest, &e);
	if (r == 0 && n == 0 && p->watch->after)
		r = p->watch->after(p->watch->user, &e);
	if (r < 0)
		fail(p, &e); /* does nothing where the stream has failed before */
	return NULL;
}

/* Waits for room; NULL: it failed meanwhile. */
static struct slot *next_free(struct pipeline *p)
{
	(void)pthread_mutex_lock(&p->lock);
	while (!p->failed &&
	       (p->filled - p->written == p->count || (p->watch && p->filled - p->seen == p->count)))
		(void)pthread_cond_wait(&p->changed, &p->lock);
	struct slot *slot = p->failed ? NULL : &p->slots[p->filled % p->count];

	(void)pthread_mutex_unlock(&p->lock);
	return slot;
}

/* The caller's own part: reads until the end. A stream of nothing is one empty frame. */
static int fill_frames(struct pipeline *p, int in_fd, uint64_t *plain, struct report *report)
{
	struct slot *slot;
	ssize_t n = 1;

	while (n > 0 && (slot = next_free(p))) {
		n = read_full(in_fd, slot->plain, p->frame_size);
		if (n < 0 || (n == 0 && p->filled > 0))
			break;
		if (p->filled == 0 && p->watch && p->watch->edit)
			p->watch->edit(p->watch->user, slot->plain, (size_t)n);
		slot->plain_len = (size_t)n;
		*plain += (uint64_t)n;
		(void)pthread_mutex_lock(&p->lock);
		p->filled++;
		(void)pthread_cond_broadcast(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
		report_progress(report, *plain);
	}
	return n < 0 ? (int)n : 0;
}

static void end(struct pipeline *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->ended = true;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static unsigned worker_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > workers_max ? workers_max : (unsigned)n;
}

static int run(struct pipeline *p, unsigned workers, int in_fd, uint64_t *plain, struct report *report,
	       struct error *e)
{
	void *(*const first[])(void *) = { write_frames, p->watch ? watch_frames : compress_frames };
	pthread_t threads[workers_max + 2];
	unsigned started = 0, wanted = workers + 1 + (p->watch != NULL);
	int r = 0, code = 0;

	for (; started < wanted && !code; started += !code)
		code = pthread_create(&threads[started], NULL, started < 2 ? first[started] : compress_frames,
				      p);
	if (code) {
		struct error failure;

		(void)error_errno(&failure, code, "start a thread");
		fail(p, &failure);
	} else {
		r = fill_frames(p, in_fd, plain, report);
		if (r < 0) {
			struct error failure;

			(void)error_errno(&failure, -r, "read the stream");
			fail(p, &failure);
		}
	}
	end(p);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL); /* ours, joinable, once */
	if (!p->failed)
		return 0;
	*e = p->error;
	return -e->code;
}

/* What the next level reads of this set. */
static bool is_for_levels(const char *method)
{
	return streq(method, LISTING_METHOD) || streq(method, INDEX_METHOD) ||
	       streq(method, INVENTORY_METHOD);
}

int stream_add(struct set_writer *w, const char *name, const char *method, int in_fd, uint64_t total,
	       const struct stream_watch *watch, struct frames *ret_frames, struct report *report,
	       struct error *e)
{
	_cleanup_(chunks) struct chunks c = { .w = w, .limit = w->chunk_size, .frames = ret_frames };
	_cleanup_(pipeline) struct pipeline p = { 0 };
	unsigned workers = worker_count();
	uint64_t plain = 0;

	c.state_fd = -1;
	c.prefix = xasprintf("%s.%s.zst", name, method);
	if (!set_name_good(c.prefix))
		return error_text(e, EINVAL, "%s/%s: no good name for a stream", w->shown, c.prefix);
	if (c.limit < chunk_min)
		return error_text(e, EINVAL, "chunks of %llu bytes are too small",
				  (unsigned long long)c.limit);
	if (c.limit < total / chunks_wanted)
		c.limit = total / chunks_wanted;
	if (w->recipients && c.limit > 2 * sealing_max) /* what age adds has to fit, too */
		c.limit -= c.limit / sealing_part + sealing_max;
	pipeline_init(&p, &c, workers);
	p.watch = watch;
	if (w->recipients && is_for_levels(method))
		c.state_fd = state_file(w, c.prefix);
	int r = run(&p, workers, in_fd, &plain, report, e);

	state_file_end(w, c.state_fd);
	w->plain += plain;
	return r;
}

int set_add_stream(struct set_writer *w, const char *name, const char *method, int in_fd, uint64_t total,
		   struct report *report, struct error *e)
{
	return stream_add(w, name, method, in_fd, total, NULL, NULL, report, e);
}

void frames_free(struct frames *f)
{
	free(f->items);
	*f = (struct frames) { 0 };
}
