#include "base/report.h"

#include "base/str.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double first_after = 2.0; /* seconds before a progress shows at all */
static const double bar_every = 0.2, line_every = 10.0;

/* Threads say things while another one shows how far they are. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double since(const struct timespec *then)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

void report_init(struct report *r, enum verbosity verbosity, bool json)
{
	*r = (struct report) { .verbosity = verbosity, .json = json, .terminal = isatty(STDERR_FILENO) };
}

static void close_line(struct report *r)
{
	if (r->line_open)
		(void)fputs("\r\033[K", stderr); /* stderr has nowhere to report its own failure */
	r->line_open = false;
}

static void event(json_t *object)
{
	_cleanup_(free) char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (text)
		(void)fprintf(stderr, "%s\n", text);
}

__attribute__((format(printf, 4, 0))) static void say(struct report *r, const char *kind, const char *label,
						      const char *fmt, va_list ap)
{
	char text[2048];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)str_printable(text);
	(void)pthread_mutex_lock(&lock); /* a plain mutex that we do not hold, here and below */
	if (r->json) {
		event(json_pack("{s:s, s:s}", "event", kind, "text", text));
	} else {
		close_line(r);
		(void)fprintf(stderr, "lifeboat: %s%s\n", label, text);
	}
	(void)pthread_mutex_unlock(&lock);
}

#define SAY(kind, label)                      \
	do {                                  \
		va_list ap;                   \
		va_start(ap, fmt);            \
		say(r, kind, label, fmt, ap); \
		va_end(ap);                   \
	} while (0)

void report_warn(struct report *r, const char *fmt, ...)
{
	if (r->verbosity >= VERBOSITY_QUIET)
		SAY("warning", "warning: ");
}

void report_info(struct report *r, const char *fmt, ...)
{
	if (r->verbosity >= VERBOSITY_NORMAL)
		SAY("info", "");
}

void report_debug(struct report *r, const char *fmt, ...)
{
	if (r->verbosity >= VERBOSITY_VERBOSE)
		SAY("debug", "");
}

__attribute__((format(printf, 3, 4))) static void say_plain(struct report *r, const char *kind,
							    const char *fmt, ...)
{
	SAY(kind, "");
}

void report_error(struct report *r, const struct error *e)
{
	say_plain(r, "error", "%s", e->text);
}

void report_begin(struct report *r, const char *what, uint64_t total)
{
	r->what = what;
	r->total = total;
	r->done = 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &r->begun); /* cannot fail with a valid clock */
	r->shown = r->begun;
}

/* "12 %  1.2 GiB of 9.8 GiB  80.1 MiB/s  1:47 left" */
static void describe(const struct report *r, double seconds, char *buf, size_t size)
{
	char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], speed[SIZE_TEXT_MAX];
	double rate = seconds > 0 ? (double)r->done / seconds : 0;

	(void)format_size(r->done, done);
	(void)format_size((uint64_t)rate, speed);
	if (r->total && r->done <= r->total) {
		unsigned long left = rate > 0 ? (unsigned long)((double)(r->total - r->done) / rate) : 0;

		(void)snprintf(buf, size, "%3u %%  %s of %s  %s/s  %lu:%02lu left",
			       (unsigned)(100.0 * (double)r->done / (double)r->total), done,
			       format_size(r->total, total), speed, left / 60, left % 60);
	} else {
		(void)snprintf(buf, size, "%s  %s/s", done, speed);
	}
}

static void bar(const struct report *r, char buf[32])
{
	unsigned full = r->total ? (unsigned)(20 * (r->done < r->total ? r->done : r->total) / r->total) : 0;

	for (unsigned i = 0; i < 20; i++)
		buf[i] = i < full ? '#' : '-';
	buf[20] = '\0';
}

void report_fit(const char *what, const char *blocks, const char *text, size_t columns, struct strbuf *ret)
{
	size_t text_len = strlen(text), needed = strlen(what) + strlen(" [] ") + strlen(blocks) + text_len;

	if (needed < columns)
		strbuf_printf(ret, "%s [%s] %s", what, blocks, text);
	else if (strlen(what) + 1 + text_len < columns)
		strbuf_printf(ret, "%s %s", what, text);
	else if (text_len + 8 < columns) /* of what it is there is still something to be seen */
		strbuf_printf(ret, "%.*s~ %s", (int)(columns - text_len - 3), what, text);
	else
		strbuf_printf(ret, "%.*s", (int)(columns > 0 ? columns - 1 : 0), text);
}

/* A serial line says nothing of its width. */
static size_t terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void show(struct report *r, double seconds)
{
	char text[128], blocks[32];

	if (r->json) {
		event(json_pack("{s:s, s:s, s:I, s:I, s:f}", "event", "progress", "what", r->what, "done",
				(json_int_t)r->done, "total", (json_int_t)r->total, "seconds", seconds));
		return;
	}
	describe(r, seconds, text, sizeof(text));
	if (r->terminal) {
		_cleanup_(strbuf) struct strbuf line = { 0 };

		bar(r, blocks);
		report_fit(r->what, blocks, text, terminal_columns(), &line);
		(void)fprintf(stderr, "\r\033[K%s", line.data);
		(void)fflush(stderr);
		r->line_open = true;
	} else {
		(void)fprintf(stderr, "lifeboat: %s: %s\n", r->what, text);
	}
}

void report_progress(struct report *r, uint64_t done)
{
	r->done = done;
	if (!r->what || r->verbosity < VERBOSITY_NORMAL)
		return;
	double seconds = since(&r->begun);
	double every = r->terminal && !r->json ? bar_every : r->json ? 1.0 : line_every;

	if (seconds < first_after || since(&r->shown) < every)
		return;
	(void)pthread_mutex_lock(&lock);
	show(r, seconds);
	(void)pthread_mutex_unlock(&lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &r->shown); /* cannot fail with a valid clock */
}

void report_end(struct report *r)
{
	(void)pthread_mutex_lock(&lock);
	close_line(r);
	(void)pthread_mutex_unlock(&lock);
	r->what = NULL;
}
