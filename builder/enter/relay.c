#include "enter/relay.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>

enum { escape_key = 0x1d /* Ctrl-] */, escape_count = 3, kept_max = 16384 };

static void take_size(const struct relay *r)
{
	struct winsize size;

	if (r->terminal_fd >= 0 && ioctl(r->terminal_fd, TIOCGWINSZ, &size) == 0)
		(void)ioctl(r->master, TIOCSWINSZ, &size); /* a size that is wrong is only ugly */
}

int relay_open(struct relay *ret, int terminal_fd, int show_fd, int signal_fd, struct error *e)
{
	_cleanup_(relay) struct relay r = RELAY_NONE;
	char name[64];

	r.show_fd = show_fd;
	r.signal_fd = signal_fd;
	r.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (r.master < 0 || grantpt(r.master) < 0 || unlockpt(r.master) < 0)
		return error_errno(e, errno, "make a terminal");
	int code = ptsname_r(r.master, name, sizeof(name));

	if (code != 0)
		return error_errno(e, code, "make a terminal");
	r.slave = xstrdup(name);
	if (terminal_fd >= 0) {
		struct termios raw;

		if (tcgetattr(terminal_fd, &r.saved) < 0)
			return error_errno(e, errno, "read the terminal's mode");
		raw = r.saved;
		cfmakeraw(&raw);
		if (tcsetattr(terminal_fd, TCSADRAIN, &raw) < 0)
			return error_errno(e, errno, "set the terminal's mode");
		r.terminal_fd = terminal_fd;
	}
	take_size(&r);
	*ret = r;
	r = (struct relay)RELAY_NONE;
	return 0;
}

void relay_close(struct relay *r)
{
	if (r->terminal_fd >= 0)
		(void)tcsetattr(r->terminal_fd, TCSADRAIN, &r->saved); /* it may be gone */
	if (r->master >= 0)
		(void)close(r->master); /* a pty holds nothing back */
	free(r->slave);
	strbuf_free(&r->said);
	*r = (struct relay)RELAY_NONE;
}

/* False: nobody has the other end open now. */
static bool hear(struct relay *r, struct error *e, int *ret)
{
	char chunk[8192];
	ssize_t n = read(r->master, chunk, sizeof(chunk));

	*ret = 0;
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	if (r->said.len + (size_t)n > 2 * kept_max) {
		memmove(r->said.data, r->said.data + r->said.len - kept_max, kept_max);
		r->said.len = kept_max;
	}
	strbuf_add(&r->said, chunk, (size_t)n);
	*ret = r->show_fd >= 0 ? write_all(r->show_fd, chunk, (size_t)n) : 0;
	if (*ret < 0)
		*ret = error_errno(e, -*ret, "show the console");
	return true;
}

/* True: the person wants to leave. What the container does not take at once is lost, as on any full terminal. */
static bool typed(struct relay *r, unsigned *escapes)
{
	char keys[256];
	ssize_t n = read(r->terminal_fd, keys, sizeof(keys));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0)
		return true;
	for (ssize_t i = 0; i < n; i++) {
		*escapes = keys[i] == escape_key ? *escapes + 1 : 0;
		if (*escapes == escape_count)
			return true;
	}
	(void)write_all(r->master, keys, (size_t)n); /* see above */
	return false;
}

/* True: one that ends it. */
static bool signalled(const struct relay *r)
{
	struct signalfd_siginfo info;

	if (read_full(r->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
	    info.ssi_signo == SIGWINCH) {
		take_size(r);
		return false;
	}
	return true;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with a valid clock */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool has(const struct relay *r, const char *text)
{
	return text && r->said.len && memmem(r->said.data, r->said.len, text, strlen(text));
}

int relay_run(struct relay *r, int ended_fd, const char *text, unsigned seconds, enum relay_end *ret,
	      struct error *e)
{
	int64_t deadline = now_ms() + (int64_t)seconds * 1000;
	unsigned escapes = 0;
	bool open = true;
	int code = 0;

	while (code == 0) {
		struct pollfd p[] = { { .fd = open ? r->master : -1, .events = POLLIN },
				      { .fd = r->signal_fd, .events = POLLIN },
				      { .fd = ended_fd, .events = POLLIN },
				      { .fd = r->terminal_fd, .events = POLLIN } };
		int64_t left = deadline - now_ms();
		/* nobody may have opened the other end yet, or only just closed it: looked at again soon */
		int timeout = !open ? 100 : seconds && left < INT32_MAX ? (int)(left > 0 ? left : 0) : -1;

		if (seconds && left <= 0) {
			*ret = RELAY_TIME_UP;
			return 0;
		}
		if (poll(p, 4, timeout) < 0 && errno != EINTR)
			return error_errno(e, errno, "wait for the console");
		open = !(p[0].revents & (POLLIN | POLLHUP | POLLERR)) || hear(r, e, &code);
		if (code == 0 && has(r, text)) {
			*ret = RELAY_SEEN;
			return 0;
		}
		if (p[2].revents && !(p[0].revents & POLLIN)) {
			*ret = RELAY_ENDED;
			return 0;
		}
		if (p[1].revents && signalled(r)) {
			*ret = RELAY_SIGNAL;
			return 0;
		}
		if (p[3].revents && typed(r, &escapes)) {
			*ret = RELAY_LEFT;
			return 0;
		}
	}
	return code;
}

char *relay_last_line(const struct relay *r)
{
	_cleanup_(strbuf) struct strbuf line = { 0 };
	size_t end = r->said.len, start;

	while (end > 0 && strchr("\r\n\t ", r->said.data[end - 1]))
		end--;
	for (start = end; start > 0 && r->said.data[start - 1] != '\n' && r->said.data[start - 1] != '\r';
	     start--)
		;
	strbuf_puts(&line, "");
	for (size_t i = start; i < end && line.len < 160; i++)
		if ((unsigned char)r->said.data[i] >= ' ')
			strbuf_add(&line, &r->said.data[i], 1);
	return TAKE_PTR(line.data);
}
