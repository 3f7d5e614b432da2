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
	const struct listing_text *what;
	FILE *out;
	struct strbuf text; /* the last one */
};

static int put(struct saving *s, struct error *e)
{
	return fwrite(s->text.data, 1, s->text.len, s->out) == s->text.len
		       ? 0
		       : error_errno(e, errno, "write a listing");
}

static int put_listed(void *user, const struct listed *f, struct error *e)
{
	struct saving *s = user;

	s->text.len = 0;
	s->what->add(&s->text, f, s->what->user);
	return put(s, e);
}

/* Owns `fd`. */
static int put_all(void *user, int fd, struct error *e)
{
	struct saving *s = user;
	int r = 0;

	s->out = fdopen(fd, "w");
	if (!s->out) {
		(void)close(fd); /* nothing was written */
		return error_errno(e, ENOMEM, "make a pipe");
	}
	for (size_t i = 0; r == 0 && s->what->begin; i++) {
		s->text.len = 0;
		if (!s->what->begin(&s->text, i, s->what->user))
			break;
		r = put(s, e);
	}
	if (r == 0)
		r = s->source->walk(s->source->user, put_listed, s, e);
	if (fclose(s->out) != 0 && r == 0)
		r = error_errno(e, errno, "write a listing");
	return r;
}

int listing_text_save(struct set_writer *w, const char *name, const struct listing_text *what,
		      const struct listing_source *source, struct error *e)
{
	struct saving s = { .source = source, .what = what };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = stream_produce(w, name, what->method, 0, NULL, &quiet, put_all, &s, e);

	strbuf_free(&s.text);
	return r;
}

static bool begin_listing(struct strbuf *text, size_t number, const void *user)
{
	(void)user; /* it always begins so */
	strbuf_puts(text, LISTING_HEAD);
	return number == 0;
}

static void add_line(struct strbuf *text, const struct listed *f, const void *user)
{
	(void)user; /* all is in the line */
	listing_format(text, f);
}

static bool begin_index(struct strbuf *text, size_t number, const void *user)
{
	const struct frames *frames = user;

	if (number > frames->count)
		return false;
	if (number == 0) {
		strbuf_puts(text, INDEX_HEAD);
		return true;
	}
	const struct frame *f = &frames->items[number - 1];

	strbuf_printf(text, "frame %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", f->chunk, f->offset, f->len,
		      f->plain);
	return true;
}

static void add_place(struct strbuf *text, const struct listed *f, const void *user)
{
	(void)user; /* all is in the line */
	strbuf_printf(text, "%u %" PRIu64 " %" PRIu64 "\n", f->back, f->start, f->end);
}

int listing_save(struct set_writer *w, const char *name, const struct frames *frames,
		 const struct listing_source *source, struct error *e)
{
	const struct listing_text lines = { .method = LISTING_METHOD,
					    .begin = begin_listing,
					    .add = add_line };
	const struct listing_text places = {
		.method = INDEX_METHOD, .begin = begin_index, .add = add_place, .user = frames
	};
	int r = listing_text_save(w, name, &lines, source, e);

	return r < 0 ? r : listing_text_save(w, name, &places, source, e);
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
static int each_line(int fd, int (*each)(void *user, char *line, struct error *e), void *user,
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
		r = each(user, line, e);
	}
	if (r == 0 && ferror(in))
		r = error_errno(e, errno, "read a listing");
	(void)fclose(in); /* read side; the writer gets EPIPE when this is early */
	return r;
}

static int take_line(void *user, char *line, struct error *e)
{
	struct loading *l = user;
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

static int take_place(void *user, char *line, struct error *e)
{
	struct loading *l = user;
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
	return each_line(fd, take_line, user, e);
}

static int consume_index(void *user, int fd, struct error *e)
{
	return each_line(fd, take_place, user, e);
}

struct passing {
	int (*each)(void *user, const struct listed *f, struct error *e);
	void *user;
};

static int pass_line(void *user, char *line, struct error *e)
{
	const struct passing *p = user;
	_cleanup_(listed) struct listed f = { 0 };

	if (*line == '#' || !*line)
		return 0;
	int r = listing_parse(line, &f, e);

	return r < 0 ? r : p->each(p->user, &f, e);
}

static int consume_lines(void *user, int fd, struct error *e)
{
	return each_line(fd, pass_line, user, e);
}

int listing_each(struct set *s, const char *name,
		 int (*each)(void *user, const struct listed *f, struct error *e), void *user,
		 struct error *e)
{
	struct passing p = { each, user };
	struct report quiet;

	report_init(&quiet, VERBOSITY_QUIET, false);
	return stream_consume(s, name, LISTING_METHOD, &quiet, consume_lines, &p, e);
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
