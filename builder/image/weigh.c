#include "image/weigh.h"

#include "base/parallel.h"
#include "image/content.h"

#include <errno.h>
#include <sys/stat.h>
#include <zstd.h>

enum {
	block = 1 << 18,
	newc_header = 110,
	packed_header = 20, /* what a header is after compression, beside its name */
	whole_tree = 24 << 20, /* a tree of so many bytes is compressed as a whole to guess its size */
	run_size = 8 << 20, /* of neighbours that are compressed together otherwise */
	max_runs = 3,
};

void weights_free(struct weights *w)
{
	free(w->bytes);
	*w = (struct weights) { 0 };
}

/* Of several hard links one carries the content. */
static uint64_t content_size(const struct entry *entry)
{
	return entry->same_as ? 0 : entry->size;
}

/* Hands an entry's content to `take`, in pieces. `buf` has room for a block. */
static int read_entry(const struct entry *entry, char *buf,
		      int (*take)(void *user, const void *data, size_t len), void *user, struct error *e)
{
	_cleanup_(content) struct content c = CONTENT_NONE;

	if (content_size(entry) == 0)
		return 0;
	int r = content_open(entry, &c, e);

	while (r == 0 && c.done < c.size) {
		size_t len = c.size - c.done < block ? (size_t)(c.size - c.done) : block;

		r = content_read(&c, buf, len, e);
		if (r == 0)
			r = take(user, buf, len);
	}
	return r < 0 ? r : content_check(&c, e);
}

/* --- weights --- */

/* Headers look much alike: all of them together make a small part of the image. */
static uint64_t header_weight(const struct entry *entry)
{
	return packed_header + strlen(entry->path) / 4;
}

/* One thread's scale. */
struct scale {
	ZSTD_CCtx *context;
	char *in, *out;
	uint64_t bytes; /* of the entry that is on it */
	int failed; /* the first failure … */
	struct error e; /* … and what it was */
};

struct weighing {
	const struct tree *tree;
	uint64_t *bytes;
	struct scale scales[PARALLEL_MAX];
};

static int put_on(struct scale *s, const void *data, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { s->out, block, 0 };

		left = ZSTD_compressStream2(s->context, &out, &in, end);
		if (ZSTD_isError(left))
			return error_text(&s->e, EIO, "weigh a file: %s", ZSTD_getErrorName(left));
		s->bytes += out.pos;
	} while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

static int on_content(void *user, const void *data, size_t len)
{
	return put_on(user, data, len, ZSTD_e_continue);
}

static int scale_open(struct scale *s)
{
	if (s->context)
		return 0;
	s->context = ZSTD_createCCtx();
	s->in = xmalloc(block);
	s->out = xmalloc(block);
	if (!s->context)
		return error_errno(&s->e, ENOMEM, "weigh the files");
	/* A parameter that is not taken would only be another scale. */
	(void)ZSTD_CCtx_setParameter(s->context, ZSTD_c_compressionLevel, 1);
	return 0;
}

static void weigh_entry(void *user, size_t i, unsigned thread)
{
	struct weighing *w = user;
	struct scale *s = &w->scales[thread];
	const struct entry *entry = w->tree->entries[i];

	if (s->failed)
		return;
	s->bytes = header_weight(entry);
	if (content_size(entry) > 0) {
		s->failed = scale_open(s);
		if (!s->failed)
			s->failed = read_entry(entry, s->in, on_content, s, &s->e);
		if (!s->failed)
			s->failed = put_on(s, NULL, 0, ZSTD_e_end);
	}
	w->bytes[i] = s->bytes;
}

/* Header, name and content, each filled up to four bytes: newc. */
static uint64_t unpacked_size(const struct entry *entry)
{
	return (newc_header + strlen(entry->path) + 1 + 3) / 4 * 4 + (content_size(entry) + 3) / 4 * 4;
}

int weigh_tree(const struct tree *tree, const struct compressor *compressor, struct weights *ret,
	       struct error *e)
{
	_cleanup_(weights) struct weights weights = { .bytes = xcalloc(tree->count + 1,
								       sizeof(*weights.bytes)) };
	struct weighing w = { .tree = tree, .bytes = weights.bytes };
	bool packed = compressor != &compressor_none;
	int r = 0;

	if (packed)
		parallel_run(tree->count, weigh_entry, &w);
	for (size_t i = 0; i < PARALLEL_MAX; i++) {
		struct scale *s = &w.scales[i];

		(void)ZSTD_freeCCtx(s->context); /* NULL is fine; it returns 0 */
		free(s->in);
		free(s->out);
		if (s->failed && r == 0 && e)
			*e = s->e;
		r = r ? r : s->failed;
	}
	for (size_t i = 0; i < tree->count; i++) {
		if (!packed)
			weights.bytes[i] = unpacked_size(tree->entries[i]);
		weights.total += weights.bytes[i];
	}
	if (r < 0)
		return r;
	*ret = weights;
	weights = (struct weights) { 0 };
	return 0;
}

/* --- guessing the whole --- */

/* Neighbours of the tree that are compressed as the image would be. */
struct run {
	size_t first, count; /* entries */
	uint64_t content, weight; /* bytes */
	uint64_t packed; /* bytes, once it was compressed */
	int failed;
	struct error e;
};

struct guess {
	const struct tree *tree;
	const struct compressor *compressor;
	unsigned level;
	struct run *runs; /* owned */
	size_t count, capacity;
};

struct stream {
	const struct compressor *compressor;
	void *state;
	struct run *run;
};

static int count_bytes(void *user, const void *data, size_t len)
{
	(void)data; /* its size is all that counts */
	*(uint64_t *)user += len;
	return 0;
}

static int compress_piece(struct stream *s, const void *data, size_t len, bool last)
{
	const char *why = NULL;
	int r = s->compressor->write(s->state, data, len, last, count_bytes, &s->run->packed, &why);

	return r < 0 ? error_text(&s->run->e, EIO, "compress the files: %s", why ? why : "it failed") : 0;
}

static int on_piece(void *user, const void *data, size_t len)
{
	return compress_piece(user, data, len, false);
}

static void compress_run(void *user, size_t i, unsigned thread)
{
	const struct guess *g = user;
	struct run *run = &g->runs[i];
	_cleanup_(free) char *buf = xmalloc(block);
	struct stream s = { g->compressor, g->compressor->open(g->level), run };

	(void)thread; /* a run has all that it needs */
	if (!s.state) {
		run->failed = error_errno(&run->e, ENOMEM, "start %s", g->compressor->name);
		return;
	}
	for (size_t n = run->first; !run->failed && n < run->first + run->count; n++) {
		const struct entry *entry = g->tree->entries[n];

		run->failed = read_entry(entry, buf, on_piece, &s, &run->e);
		run->packed += header_weight(entry);
	}
	if (!run->failed)
		run->failed = compress_piece(&s, NULL, 0, true);
	g->compressor->close(s.state);
}

/* Cuts the tree into runs of at least `size` bytes. */
static void cut_runs(struct guess *g, const struct weights *weights, uint64_t size)
{
	struct run run = { 0 };

	for (size_t i = 0; i < g->tree->count; i++) {
		run.count++;
		run.content += content_size(g->tree->entries[i]);
		run.weight += weights->bytes[i];
		if (run.content < size && i + 1 < g->tree->count)
			continue;
		g->runs = xgrow(g->runs, g->count + 1, &g->capacity, sizeof(*g->runs));
		g->runs[g->count++] = run;
		run = (struct run) { .first = i + 1 };
	}
}

/* Leaves the middle one of each of max_runs equal parts. */
static void thin_out(struct guess *g)
{
	size_t all = g->count;

	if (all <= max_runs)
		return;
	for (size_t i = 0; i < max_runs; i++)
		g->runs[i] = g->runs[(2 * i + 1) * all / (2 * (size_t)max_runs)];
	g->count = max_runs;
}

int weigh_guess(const struct tree *tree, const struct weights *weights, const struct compressor *compressor,
		unsigned level, uint64_t *ret_bytes, struct error *e)
{
	struct guess g = { .tree = tree,
			   .compressor = compressor,
			   .level = level ? level : compressor->default_level };
	uint64_t content = 0, packed = 0, weight = 0;
	int r = 0;

	if (compressor == &compressor_none) {
		*ret_bytes = weights->total;
		return 0;
	}
	for (size_t i = 0; i < tree->count; i++)
		content += content_size(tree->entries[i]);
	cut_runs(&g, weights, content <= whole_tree ? content + 1 : run_size);
	thin_out(&g);
	parallel_run(g.count, compress_run, &g);
	for (size_t i = 0; i < g.count; i++) {
		if (g.runs[i].failed && r == 0 && e)
			*e = g.runs[i].e;
		r = r ? r : g.runs[i].failed;
		packed += g.runs[i].packed;
		weight += g.runs[i].weight;
	}
	free(g.runs);
	if (r < 0)
		return r;
	*ret_bytes = weight ? (uint64_t)((double)packed * (double)weights->total / (double)weight) : 0;
	return 0;
}
