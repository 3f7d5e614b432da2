/* Chunks become the plain stream again: a thread of its own reads and hashes, the caller decompresses and
 * writes. */
#include "backup/chunk_file.h"
#include "backup/set_private.h"
#include "backup/unseal.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <zstd.h>

enum { block_size = 1 << 20, block_count = 8, plain_size = 1 << 20 };

struct block {
	char *data;
	size_t len;
	bool last; /* of its chunk, which is then known to be whole */
};

struct feed {
	struct set *s;
	struct report *report;
	const struct sum **chunks;
	size_t chunk_count;
	/* a ring: block N is in blocks[N % block_count]; used <= filled <= used + block_count */
	struct block blocks[block_count];
	uint64_t filled, used;
	bool ended; /* no more blocks: all chunks were given, or `error` says why not */
	bool stopped; /* nobody wants more */
	struct error error;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static void feed_free(struct feed *f)
{
	for (size_t i = 0; i < block_count; i++)
		free(f->blocks[i].data);
	free(f->chunks);
}
DEFINE_CLEANUP(feed, struct feed, feed_free)

/* ---- the reading side ---- */

/* Waits for room; NULL: nobody wants more. */
static struct block *next_free(struct feed *f)
{
	(void)pthread_mutex_lock(&f->lock); /* a plain mutex that we do not hold, here and below */
	while (!f->stopped && f->filled - f->used == block_count)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	struct block *b = f->stopped ? NULL : &f->blocks[f->filled % block_count];

	(void)pthread_mutex_unlock(&f->lock);
	return b;
}

static void give(struct feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->filled++;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
}

/* A chunk, whether it is encrypted or not: one of the two. */
struct opened {
	struct chunk_file file;
	struct unseal *unseal;
};

static void opened_free(struct opened *o)
{
	chunk_file_close(&o->file);
	unseal_close(o->unseal);
}
DEFINE_CLEANUP(opened, struct opened, opened_free)

static ssize_t read_opened(struct opened *o, char *data, struct error *e)
{
	return o->unseal ? unseal_read(o->unseal, data, block_size, e)
			 : chunk_file_read(&o->file, data, block_size, e);
}

static int feed_chunk(struct feed *f, const struct sum *sum, struct error *e)
{
	_cleanup_(opened) struct opened o = { .file = CHUNK_FILE_NONE };
	struct block *b = next_free(f);
	int r = 0;

	if (b && chunk_is_sealed(sum->name))
		r = unseal_open(f->s, sum, f->report, &o.unseal, e);
	else if (b)
		r = chunk_file_open(f->s, sum, b->data, block_size, &o.file, f->report, e);
	if (r < 0)
		return r;
	for (; b; b = next_free(f)) {
		ssize_t n = read_opened(&o, b->data, e);

		if (n < 0)
			return (int)n;
		b->len = (size_t)n;
		b->last = n < block_size;
		bool last = b->last;

		give(f); /* the block is the other side's from here on */
		if (last)
			return 0;
	}
	return 0;
}

static void *feed_all(void *user)
{
	struct feed *f = user;
	struct error why; /* also what was got over, as when a server was away for a while */
	int r = 0;

	for (size_t i = 0; i < f->chunk_count && r == 0; i++)
		r = feed_chunk(f, f->chunks[i], &why);
	(void)pthread_mutex_lock(&f->lock);
	if (r < 0)
		f->error = why;
	f->ended = true;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- the caller's side ---- */

/* NULL: the end, or f->error. */
static const struct block *next_filled(struct feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	while (f->used == f->filled && !f->ended)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	/* Nothing of a block is passed on once a failure is known. */
	bool there = f->used < f->filled && !(f->ended && f->error.code);

	(void)pthread_mutex_unlock(&f->lock);
	return there ? &f->blocks[f->used % block_count] : NULL;
}

static void give_back(struct feed *f, bool stop)
{
	(void)pthread_mutex_lock(&f->lock);
	f->used++;
	f->stopped = stop;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
}

struct unpacker {
	ZSTD_DCtx *context;
	char *plain;
	int out_fd;
	size_t left; /* zstd's: 0 between frames */
};

/* 0, -EBADMSG for bytes that are no zstd, or what writing failed with. */
static int unpack(struct unpacker *u, const struct block *b)
{
	ZSTD_inBuffer in = { b->data, b->len, 0 };
	bool more = false;

	while (in.pos < in.size || more) {
		ZSTD_outBuffer out = { u->plain, plain_size, 0 };

		u->left = ZSTD_decompressStream(u->context, &out, &in);
		if (ZSTD_isError(u->left))
			return -EBADMSG;
		more = out.pos == out.size && u->left != 0; /* the output was too small for all of it */
		int r = write_all(u->out_fd, out.dst, out.pos);

		if (r < 0)
			return r;
	}
	/* A chunk is whole frames. */
	return b->last && u->left != 0 ? -EBADMSG : 0;
}

static int unpack_all(struct feed *f, struct unpacker *u, const char *what, struct report *report,
		      struct error *e)
{
	const struct block *b;
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && (b = next_filled(f))) {
		r = unpack(u, b);
		done += b->len;
		give_back(f, r < 0);
		report_progress(report, done);
	}
	if (r == -EBADMSG)
		return error_text(e, EBADMSG, "%s: damaged: not a whole zstd frame", what);
	return r < 0 ? error_errno(e, -r, "pass on %s", what) : 0;
}

int set_chunk_size(struct set *s, const struct sum *chunk, uint64_t *ret, struct report *report,
		   struct error *e)
{
	unsigned tried = 0;
	int r = -ENOENT;

	for (int copy = (int)set_copy_of(s, chunk); r < 0 && copy >= 0;) {
		_cleanup_(set_file) struct set_file file = SET_FILE_NONE;

		r = set_file_open(s, (size_t)copy, chunk->name, 0, &file, report, e);
		if (r == 0)
			r = set_file_size(&file, ret, e);
		if (r < 0)
			copy = set_copy_after(s, (size_t)copy, &tried);
	}
	return r;
}

static int chunk_sizes(struct feed *f, uint64_t *ret, struct error *e)
{
	uint64_t size = 0, one = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->chunk_count; i++) {
		r = set_chunk_size(f->s, f->chunks[i], &one, f->report, e);
		size += one;
	}
	if (r == 0)
		*ret = size;
	return r;
}

static int run(struct feed *f, const char *what, int out_fd, struct report *report, struct error *e)
{
	_cleanup_(free) char *plain = xmalloc(plain_size);
	struct unpacker u = { .context = ZSTD_createDCtx(), .plain = plain, .out_fd = out_fd };
	pthread_t thread;

	if (!u.context)
		return error_errno(e, ENOMEM, "start the decompressor");
	int r = pthread_create(&thread, NULL, feed_all, f);

	if (r) {
		(void)ZSTD_freeDCtx(u.context); /* always 0 */
		return error_errno(e, r, "start a thread");
	}
	r = unpack_all(f, &u, what, report, e);
	(void)pthread_join(thread, NULL); /* ours, joinable, once */
	(void)ZSTD_freeDCtx(u.context); /* always 0 */
	if (f->error.code && r != -EPIPE) { /* the cause of whatever the unpacker saw */
		*e = f->error;
		return -e->code;
	}
	return r;
}

int set_read_stream(struct set *s, const char *name, const char *method, int out_fd, struct report *report,
		    struct error *e)
{
	_cleanup_(feed) struct feed f = { .s = s,
					  .report = report,
					  .lock = PTHREAD_MUTEX_INITIALIZER,
					  .changed = PTHREAD_COND_INITIALIZER };
	_cleanup_(free) char *what = xasprintf("%s/%s.%s", s->shown, name, method);
	uint64_t size = 0;

	if (state_has(s, name, method))
		return state_read(s, name, method, out_fd, e);
	int r = set_stream_chunks(s, name, method, &f.chunks, &f.chunk_count, e);

	if (r == 0)
		r = chunk_sizes(&f, &size, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < block_count; i++)
		f.blocks[i].data = xmalloc(block_size);
	report_begin(report, what, size);
	r = run(&f, what, out_fd, report, e);
	report_end(report);
	return r;
}
