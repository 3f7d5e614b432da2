/* A plain stream becomes chunks: the caller's thread reads frames, one thread per core compresses each
 * frame by itself, one thread hashes and writes them in order, and one, if the caller wants it, reads the
 * stream's own format. Frames are independent, so that every chunk
 * decompresses alone and later readers can begin in the middle. */
#include "backup/chunks_write.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

enum {
	frame_max = 4 << 20, /* plain bytes of a frame */
	compression = ZSTD_CLEVEL_DEFAULT,
	workers_max = 64,
	memory_max = 112 << 20, /* bytes of all frames on the way; with many cores they are smaller */
};

struct slot {
	char *plain, *packed;
	size_t plain_len, packed_len;
	bool done; /* packed */
};

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
	atomic_bool failed;
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
		if (chunks_put(p->chunks, slot->packed, slot->packed_len, slot->plain_len, &e) < 0) {
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
	if (!has_failed(p) && chunks_end(p->chunks, &e) < 0)
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
		r = p->watch->after(p->watch->user, &p->failed, &e);
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

/* 0: the end. `*len` is what the next frame has, which may be nothing before the end, too. */
static int fill(struct pipeline *p, struct slot *slot, int in_fd, size_t *len, struct error *e)
{
	ssize_t n = read_full(in_fd, slot->plain, p->frame_size);
	int r = 0;

	if (n < 0)
		return error_errno(e, (int)-n, "read the stream");
	*len = (size_t)n;
	if (p->watch && p->watch->edit)
		r = p->watch->edit(p->watch->user, slot->plain, len, p->frame_size, e);
	return r < 0 ? r : n > 0 || *len > 0;
}

/* The caller's own part: reads until the end. A stream of nothing is one empty frame. */
static int fill_frames(struct pipeline *p, int in_fd, uint64_t *plain, struct report *report, struct error *e)
{
	struct slot *slot;
	size_t len;
	int r = 1;

	while (r > 0 && (slot = next_free(p))) {
		r = fill(p, slot, in_fd, &len, e);
		if (r < 0 || (len == 0 && (r > 0 || p->filled > 0)))
			continue;
		slot->plain_len = len;
		*plain += len;
		(void)pthread_mutex_lock(&p->lock);
		p->filled++;
		(void)pthread_cond_broadcast(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
		report_progress(report, *plain);
	}
	return r < 0 ? r : 0;
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
	struct error failure;
	int code = 0;

	for (; started < wanted && !code; started += !code)
		code = pthread_create(&threads[started], NULL, started < 2 ? first[started] : compress_frames,
				      p);
	if (code) {
		(void)error_errno(&failure, code, "start a thread");
		fail(p, &failure);
	} else if (fill_frames(p, in_fd, plain, report, &failure) < 0) {
		fail(p, &failure);
	}
	end(p);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL); /* ours, joinable, once */
	if (!p->failed)
		return 0;
	*e = p->error;
	return -e->code;
}

int stream_add(struct set_writer *w, const char *name, const char *method, int in_fd, uint64_t total,
	       const struct stream_watch *watch, struct frames *ret_frames, struct report *report,
	       struct error *e)
{
	_cleanup_(chunks) struct chunks c = CHUNKS_NONE;
	_cleanup_(pipeline) struct pipeline p = { 0 };
	unsigned workers = worker_count();
	uint64_t plain = 0;
	int r = chunks_begin(&c, w, name, method, total, ret_frames, e);

	if (r < 0)
		return r;
	pipeline_init(&p, &c, workers);
	p.watch = watch;
	r = run(&p, workers, in_fd, &plain, report, e);
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
