#include "guest/console.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>

/* Longer texts are not waited for, and older lines are not quoted. */
static const size_t kept_max = 1 << 20;

static const char escape_key = 0x1d; /* Ctrl-] */

int console_open(const char *log, struct console *ret, int *ret_guest_fd, struct error *e)
{
	_cleanup_(console) struct console c = CONSOLE_NONE;
	int pair[2];

	/* A socket pair rather than a pty: no line discipline, and its end is an end of file. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(e, errno, "make a console");
	c.fd = pair[0];
	_cleanup_(fd) int guest_fd = pair[1];

	if (fcntl(c.fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return error_errno(e, errno, "make a console");
	if (log) {
		c.log = xstrdup(log);
		c.log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (c.log_fd < 0)
			return error_errno(e, errno, "create the console log %s", log);
	}
	*ret = c;
	c = (struct console)CONSOLE_NONE;
	*ret_guest_fd = TAKE_FD(guest_fd);
	return 0;
}

void console_close(struct console *c)
{
	if (c->fd >= 0)
		(void)close(c->fd); /* a socket holds nothing back */
	if (c->log_fd >= 0)
		(void)close(c->log_fd); /* each write was looked at */
	free(c->log);
	strbuf_free(&c->said);
	strbuf_free(&c->to_type);
	*c = (struct console)CONSOLE_NONE;
}

/* ---- moving bytes ---- */

/* Forgets the first `len` bytes. */
static void consume(struct strbuf *b, size_t len)
{
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
	b->data[b->len] = '\0';
}

static int hear(struct console *c, struct error *e)
{
	char chunk[16384];
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return error_errno(e, errno, "read the guest's console");
	if (n <= 0) { /* it closed its end, or died with unread input */
		(void)close(TAKE_FD(c->fd));
		return 0;
	}
	if (c->said.len + (size_t)n > 2 * kept_max)
		consume(&c->said, c->said.len - kept_max);
	strbuf_add(&c->said, chunk, (size_t)n);
	int r = c->log_fd >= 0 ? write_all(c->log_fd, chunk, (size_t)n) : 0;

	if (r < 0)
		return error_errno(e, -r, "write the console log %s", c->log);
	r = c->show_fd >= 0 ? write_all(c->show_fd, chunk, (size_t)n) : 0;
	return r < 0 ? error_errno(e, -r, "show the guest's console") : 0;
}

static int say(struct console *c, struct error *e)
{
	/* no SIGPIPE: a guest that ends while it is typed to shows as its end */
	ssize_t n = send(c->fd, c->to_type.data, c->to_type.len, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		consume(&c->to_type, c->to_type.len);
		return 0;
	}
	if (n < 0)
		return error_errno(e, errno, "type on the guest's console");
	consume(&c->to_type, (size_t)n);
	return 0;
}

static int interrupted(const struct console *c, struct error *e)
{
	struct signalfd_siginfo info;

	if (read_full(c->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return error_text(e, EINTR, "ended by a signal");
	return error_text(e, EINTR, "ended by signal %u (%s)", info.ssi_signo,
			  strsignal((int)info.ssi_signo));
}

/* Waits at most `timeout_ms` (-1: for ever) and moves what there is to move. `input_fd` is watched
 * as well (-1: none); `*ret_input` tells whether it is readable. */
static int pump(struct console *c, int timeout_ms, int input_fd, bool *ret_input, struct error *e)
{
	struct pollfd p[] = {
		{ .fd = c->fd, .events = POLLIN | (c->to_type.len ? POLLOUT : 0) },
		{ .fd = c->signal_fd, .events = POLLIN },
		{ .fd = c->ended_fd, .events = POLLIN },
		{ .fd = input_fd, .events = POLLIN },
	};
	int r = poll(p, 4, timeout_ms);

	if (r < 0 && errno != EINTR)
		return error_errno(e, errno, "wait for the guest's console");
	if (r <= 0)
		return 0;
	if (p[1].revents)
		return interrupted(c, e);
	r = 0;
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		r = hear(c, e);
	else if (p[2].revents && c->fd >= 0) /* its process is gone, and all it said was heard */
		(void)close(TAKE_FD(c->fd));
	if (r == 0 && c->fd >= 0 && (p[0].revents & POLLOUT))
		r = say(c, e);
	if (ret_input)
		*ret_input = p[3].revents != 0;
	return r;
}

/* ---- waiting and typing ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with a valid clock */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How long poll() may wait before `deadline` (0: none); 0 when it has passed. */
static int left_ms(int64_t deadline)
{
	if (!deadline)
		return -1;
	int64_t left = deadline - now_ms();

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int64_t deadline_after(unsigned seconds)
{
	return seconds ? now_ms() + (int64_t)seconds * 1000 : 0;
}

struct match {
	size_t at, len; /* in what the guest said */
	unsigned which;
};

/* How many bytes of `left` at `p` are a control sequence (ECMA-48, 5.4: CSI, parameters, a final byte); 0: none, or not all
 * of it is there yet. */
static size_t control_sequence(const char *p, size_t left)
{
	size_t len = 2;

	if (left < 3 || p[0] != '\033' || p[1] != '[')
		return 0;
	while (len < left && p[len] >= 0x20 && p[len] < 0x40)
		len++;
	return len < left && p[len] >= 0x40 && p[len] < 0x7f ? len + 1 : 0;
}

/* The bytes of `p` that show the text: a BIOS that draws on a serial line says between any two characters where it is.
 * 0: they do not. */
static size_t shows(const char *p, size_t left, const char *text)
{
	size_t at = 0;

	while (*text && at < left) {
		size_t skipped = p[at] == *text ? 0 : control_sequence(p + at, left - at);

		if (skipped == 0 && p[at] != *text)
			return 0;
		text += skipped == 0;
		at += skipped ? skipped : 1;
	}
	return *text ? 0 : at;
}

static bool find_one(const struct strbuf *said, const char *text, struct match *ret)
{
	const char *p = said->data, *end = said->data + said->len;

	for (; p < end && (p = memchr(p, *text, (size_t)(end - p))); p++) {
		ret->len = shows(p, (size_t)(end - p), text);
		ret->at = (size_t)(p - said->data);
		if (ret->len)
			return true;
	}
	return false;
}

/* Finds the text that comes first. */
static bool find(const struct strbuf *said, const char *const texts[], struct match *ret)
{
	bool found = false;

	for (unsigned i = 0; texts[i] && said->len; i++) {
		struct match m = { .which = i };

		if (!find_one(said, texts[i], &m) || (found && m.at >= ret->at))
			continue;
		*ret = m;
		found = true;
	}
	return found;
}

/* Printable characters of one line; escape sequences lose their marks, which is readable enough. */
static char *plain_line(const char *from, size_t len)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (size_t i = 0; i < len && b.len < 160; i++)
		if ((unsigned char)from[i] >= ' ')
			strbuf_add(&b, &from[i], 1);
	return TAKE_PTR(b.data);
}

/* "; its last line: …", or "". The caller frees. */
static char *quote_last_line(const struct console *c)
{
	size_t end = c->said.len, start;

	while (end > 0 && strchr("\r\n\t ", c->said.data[end - 1]))
		end--;
	for (start = end; start > 0 && c->said.data[start - 1] != '\n'; start--)
		;
	if (start == end)
		return xstrdup("");
	_cleanup_(free) char *line = plain_line(c->said.data + start, end - start);

	return xasprintf("; its last line: %s", line);
}

static int not_seen(const struct console *c, int code, const char *text, const char *how, struct error *e)
{
	_cleanup_(free) char *last = quote_last_line(c);

	return error_text(e, code, "wait for '%s' on the guest's console: %s%s", text, how, last);
}

/* True: an alarm stands in what was said, before `text_at` (SIZE_MAX: anywhere). It is consumed. */
static bool alarmed(struct console *c, size_t text_at, struct error *e)
{
	struct match m;

	if (!c->alarms || !c->alarms->count || !find(&c->said, (const char *const *)c->alarms->items, &m) ||
	    m.at > text_at)
		return false;
	consume(&c->said, m.at + m.len);
	(void)error_text(e, ECANCELED, "the guest's console shows '%s'", c->alarms->items[m.which]);
	return true;
}

/* Waits for the first of the texts; nothing is consumed yet. */
static int await(struct console *c, const char *const texts[], unsigned seconds, struct match *ret,
		 struct error *e)
{
	int64_t deadline = deadline_after(seconds);

	for (;;) {
		bool found = find(&c->said, texts, ret);

		if (alarmed(c, found ? ret->at : SIZE_MAX, e))
			return -ECANCELED;
		if (found)
			return 0;
		if (c->fd < 0)
			return not_seen(c, EPIPE, texts[0], "the guest ended without it", e);
		int left = left_ms(deadline);

		if (left == 0) {
			_cleanup_(free) char *how = xasprintf("not within %u seconds", seconds);

			return not_seen(c, ETIMEDOUT, texts[0], how, e);
		}
		int r = pump(c, left, -1, NULL, e);

		if (r < 0)
			return r;
	}
}

int console_wait(struct console *c, const char *const texts[], unsigned seconds, unsigned *ret_which,
		 struct error *e)
{
	struct match m;
	int r = await(c, texts, seconds, &m, e);

	if (r < 0)
		return r;
	consume(&c->said, m.at + m.len);
	if (ret_which)
		*ret_which = m.which;
	return 0;
}

int console_until(struct console *c, const char *text, unsigned seconds, char **ret_before, struct error *e)
{
	const char *const texts[] = { text, NULL };
	_cleanup_(strbuf) struct strbuf before = { 0 };
	struct match m;
	int r = await(c, texts, seconds, &m, e);

	if (r < 0)
		return r;
	strbuf_puts(&before, "");
	for (size_t i = 0; i < m.at; i++)
		if (c->said.data[i] != '\r' && c->said.data[i] != '\0')
			strbuf_add(&before, &c->said.data[i], 1);
	consume(&c->said, m.at + m.len);
	*ret_before = TAKE_PTR(before.data);
	return 0;
}

int console_attend(struct console *c, int fd, unsigned seconds, struct error *e)
{
	int64_t deadline = deadline_after(seconds);

	for (int left; c->fd >= 0 && (left = left_ms(deadline)) != 0;) {
		bool readable = false;
		int r = pump(c, left, fd, &readable, e);

		if (r < 0 || readable)
			return r < 0 ? r : 1;
	}
	return 0;
}

int console_pause(struct console *c, unsigned milliseconds, struct error *e)
{
	int64_t deadline = now_ms() + milliseconds;

	for (int left; c->fd >= 0 && (left = left_ms(deadline)) != 0;) {
		int r = pump(c, left, -1, NULL, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int console_type(struct console *c, const char *text, unsigned seconds, struct error *e)
{
	int64_t deadline = deadline_after(seconds);

	strbuf_puts(&c->to_type, text);
	while (c->to_type.len) {
		if (c->fd < 0)
			return error_text(e, EPIPE, "type on the guest's console: the guest has ended");
		int left = left_ms(deadline);

		if (left == 0)
			return error_text(e, ETIMEDOUT,
					  "type on the guest's console: not taken within %u seconds",
					  seconds);
		int r = pump(c, left, -1, NULL, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int console_line(struct console *c, unsigned seconds, char **ret, struct error *e)
{
	int64_t deadline = deadline_after(seconds);

	for (;;) {
		const char *newline = c->said.len ? memchr(c->said.data, '\n', c->said.len) : NULL;
		size_t len = newline ? (size_t)(newline - c->said.data) + 1 : c->said.len;
		int left = left_ms(deadline);

		if (newline || c->fd < 0 || left == 0) {
			*ret = plain_line(c->said.data, len);
			if (len)
				consume(&c->said, len);
			return 0;
		}
		int r = pump(c, left, -1, NULL, e);

		if (r < 0)
			return r;
	}
}

/* ---- the person at the terminal ---- */

struct terminal {
	int fd; /* -1: nothing to restore */
	struct termios saved;
};

static void terminal_restore(struct terminal *t)
{
	if (t->fd >= 0)
		(void)tcsetattr(t->fd, TCSAFLUSH, &t->saved); /* it may be gone */
}
DEFINE_CLEANUP(terminal, struct terminal, terminal_restore)

static int terminal_raw(int fd, struct terminal *ret, struct error *e)
{
	struct termios raw;

	if (tcgetattr(fd, &ret->saved) < 0)
		return error_errno(e, errno, "read the terminal's mode");
	raw = ret->saved;
	cfmakeraw(&raw);
	ret->fd = fd; /* from here on it is restored */
	if (tcsetattr(fd, TCSAFLUSH, &raw) < 0)
		return error_errno(e, errno, "set the terminal's mode");
	return 0;
}

/* Passes on what was typed, but for the escape key. True: the person wants to leave. */
static bool typed(struct console *c, const char *keys, size_t len, bool *escaped)
{
	for (size_t i = 0; i < len; i++) {
		if (*escaped) {
			*escaped = false;
			if (keys[i] == 'x')
				return true;
			if (keys[i] == escape_key)
				strbuf_add(&c->to_type, &keys[i], 1);
		} else if (keys[i] == escape_key) {
			*escaped = true;
		} else {
			strbuf_add(&c->to_type, &keys[i], 1);
		}
	}
	return false;
}

int console_interact(struct console *c, int terminal_fd, int show_fd, struct error *e)
{
	_cleanup_(terminal) struct terminal terminal = { .fd = -1 };
	bool escaped = false;
	int r = terminal_raw(terminal_fd, &terminal, e);

	if (r < 0)
		return r;
	c->show_fd = show_fd;
	while (c->fd >= 0) {
		char keys[256];
		bool input = false;

		r = pump(c, -1, terminal_fd, &input, e);
		if (r < 0)
			return r;
		if (!input)
			continue;
		ssize_t n = read(terminal_fd, keys, sizeof(keys));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(e, n < 0 ? errno : EIO, "read the terminal");
		if (typed(c, keys, (size_t)n, &escaped))
			return 1;
	}
	return 0;
}
