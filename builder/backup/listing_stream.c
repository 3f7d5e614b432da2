#include "backup/listing_stream.h"

#include "backup/set_private.h"
#include "backup/stream_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define INDEX_HEAD "# lifeboat index 1\n"
enum { shown_changed = 20 };

/* ---- writing ---- */

struct saving {
	const struct listing_source *source;
	const struct frames *frames;
	FILE *out;
	struct strbuf line;
};

static int put(struct saving *s, struct error *e)
{
	return fwrite(s->line.data, 1, s->line.len, s->out) == s->line.len
		       ? 0
		       : error_errno(e, errno, "write a listing");
}

static int put_listed(void *user, const struct listed *f, struct error *e)
{
	struct saving *s = user;

	s->line.len = 0;
	listing_format(&s->line, f);
	return put(s, e);
}

static int put_place(void *user, const struct listed *f, struct error *e)
{
	struct saving *s = user;

	s->line.len = 0;
	strbuf_printf(&s->line, "%u %" PRIu64 " %" PRIu64 "\n", f->back, f->start, f->end);
	return put(s, e);
}

static int put_frames(struct saving *s, struct error *e)
{
	int r;

	s->line.len = 0;
	strbuf_puts(&s->line, INDEX_HEAD);
	r = put(s, e);
	for (size_t i = 0; r == 0 && i < s->frames->count; i++) {
		const struct frame *f = &s->frames->items[i];

		s->line.len = 0;
		strbuf_printf(&s->line, "frame %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", f->chunk, f->offset,
			      f->len, f->plain);
		r = put(s, e);
	}
	return r;
}

/* Runs `all` on a stdio stream to `fd`, which is owned. */
static int produce(struct saving *s, int fd, int (*all)(struct saving *s, struct error *e), struct error *e)
{
	s->out = fdopen(fd, "w");
	if (!s->out) {
		(void)close(fd); /* nothing was written */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	int r = all(s, e);

	if (fclose(s->out) != 0 && r == 0)
		r = error_errno(e, errno, "write a listing");
	strbuf_free(&s->line);
	return r;
}

static int list_all(struct saving *s, struct error *e)
{
	strbuf_puts(&s->line, LISTING_HEAD);
	int r = put(s, e);

	return r < 0 ? r : s->source->walk(s->source->user, put_listed, s, e);
}

static int index_all(struct saving *s, struct error *e)
{
	int r = put_frames(s, e);

	return r < 0 ? r : s->source->walk(s->source->user, put_place, s, e);
}

static int produce_listing(void *user, int fd, struct error *e)
{
	return produce(user, fd, list_all, e);
}

static int produce_index(void *user, int fd, struct error *e)
{
	return produce(user, fd, index_all, e);
}

int listing_save(struct set_writer *w, const char *name, const struct frames *frames,
		 const struct listing_source *source, struct error *e)
{
	struct saving s = { .source = source, .frames = frames };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = stream_produce(w, name, LISTING_METHOD, 0, NULL, &quiet, produce_listing, &s, e);

	return r < 0 ? r : stream_produce(w, name, INDEX_METHOD, 0, NULL, &quiet, produce_index, &s, e);
}

static int walk_items(void *user, int (*each)(void *user, const struct listed *f, struct error *e),
		      void *each_user, struct error *e)
{
	const struct listing *l = user;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->count; i++)
		r = each(each_user, &l->items[i], e);
	return r;
}

struct listing_source listing_source(struct listing *l)
{
	return (struct listing_source) { .walk = walk_items, .user = l };
}

/* ---- reading ---- */

struct loading {
	struct listing *listing;
	struct frames *frames;
	size_t placed; /* lines of the index so far */
};

/* Gives every line, without its newline, to `each`. Owns `fd`. */
static int each_line(int fd, struct loading *l, int (*each)(struct loading *l, char *line, struct error *e),
		     struct error *e)
{
	FILE *in = fdopen(fd, "r");
	_cleanup_(free) char *line = NULL;
	size_t capacity = 0;
	ssize_t n;
	int r = 0;

	if (!in) {
		(void)close(fd); /* read side */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	while (r == 0 && (n = getline(&line, &capacity, in)) > 0) {
		if (line[n - 1] != '\n' || strlen(line) != (size_t)n) {
			r = error_text(e, EBADMSG, "a line that is cut off");
			break;
		}
		line[n - 1] = '\0';
		r = each(l, line, e);
	}
	if (r == 0 && ferror(in))
		r = error_errno(e, errno, "read a listing");
	(void)fclose(in); /* read side; the writer gets EPIPE when this is early */
	return r;
}

static int take_line(struct loading *l, char *line, struct error *e)
{
	struct listed f;

	if (*line == '#' || !*line)
		return 0;
	int r = listing_parse(line, &f, e);

	if (r < 0)
		return r;
	if (l->listing->count &&
	    listing_compare_paths(l->listing->items[l->listing->count - 1].path, f.path) >= 0) {
		r = error_text(e, EBADMSG, "'%.100s' is not in its place", f.path);
		listed_free(&f);
		return r;
	}
	listing_take(l->listing, &f);
	return 0;
}

static int take_frame(struct loading *l, const char *line, struct error *e)
{
	struct frame f;
	char after;

	if (sscanf(line, "frame %u %" SCNu64 " %" SCNu64 " %" SCNu64 "%c", &f.chunk, &f.offset, &f.len,
		   &f.plain, &after) != 4)
		return error_text(e, EBADMSG, "bad line '%.100s'", line);
	l->frames->items = xgrow(l->frames->items, l->frames->count + 1, &l->frames->capacity,
				 sizeof(*l->frames->items));
	l->frames->items[l->frames->count++] = f;
	return 0;
}

static int take_place(struct loading *l, char *line, struct error *e)
{
	struct listed *f = l->placed < l->listing->count ? &l->listing->items[l->placed] : NULL;
	char after;

	if (*line == '#')
		return 0;
	if (str_after(line, "frame "))
		return take_frame(l, line, e);
	l->placed++;
	if (!f || sscanf(line, "%u %" SCNu64 " %" SCNu64 "%c", &f->back, &f->start, &f->end, &after) != 3 ||
	    f->end < f->start)
		return error_text(e, EBADMSG, "bad line '%.100s'", line);
	return 0;
}

static int consume_listing(void *user, int fd, struct error *e)
{
	return each_line(fd, user, take_line, e);
}

static int consume_index(void *user, int fd, struct error *e)
{
	return each_line(fd, user, take_place, e);
}

bool listing_there(const struct set *s, const char *name)
{
	return chunk_find(&s->sums, name, LISTING_METHOD, 0) != NULL;
}

int listing_load(struct set *s, const char *name, struct listing *ret, struct frames *ret_frames,
		 struct error *e)
{
	_cleanup_(listing) struct listing listing = { 0 };
	_cleanup_(frames) struct frames frames = { 0 };
	struct loading l = { .listing = &listing, .frames = &frames };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = stream_consume(s, name, LISTING_METHOD, &quiet, consume_listing, &l, e);

	if (r == 0)
		r = stream_consume(s, name, INDEX_METHOD, &quiet, consume_index, &l, e);
	if (r == 0 && l.placed != listing.count)
		r = error_text(e, EBADMSG, "%zu files are listed, %zu are in the index", listing.count,
			       l.placed);
	if (r < 0) {
		error_prefix(e, "%s: listing of %s", s->shown, name);
		return r;
	}
	*ret = listing;
	listing = (struct listing) { 0 };
	if (ret_frames) {
		*ret_frames = frames;
		frames = (struct frames) { 0 };
	}
	return 0;
}

/* ---- what changed, what was left out ---- */

static int paths_save(struct set_writer *w, const char *name, const char *method, const struct strlist *paths,
		      struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	for (size_t i = 0; i < paths->count; i++) {
		strbuf_puts(&text, "./");
		listing_quote(&text, paths->items[i]);
		strbuf_puts(&text, "\n");
	}
	return stream_add_text(w, name, method, &text, e);
}

int excluded_save(struct set_writer *w, const char *name, const char *mountpoint, const struct strlist *paths,
		  struct report *report, struct error *e)
{
	if (paths->count)
		report_info(report, "%s: left out: %zu files and contents of folders", mountpoint,
			    paths->count);
	return paths_save(w, name, EXCLUDED_METHOD, paths, e);
}

int changed_save(struct set_writer *w, const char *name, const char *mountpoint, const struct strlist *paths,
		 struct report *report, struct error *e)
{
	_cleanup_(strlist) struct strlist some = { 0 };

	if (paths->count == 0)
		return 0;
	for (size_t i = 0; i < paths->count && i < shown_changed; i++)
		strlist_add(&some, paths->items[i]);
	_cleanup_(free) char *names = strlist_join(&some, ", ");

	report_warn(report, "%s: %zu files changed while they were read: %s%s", mountpoint, paths->count,
		    names, paths->count > shown_changed ? " …" : "");
	return paths_save(w, name, CHANGED_METHOD, paths, e);
}
