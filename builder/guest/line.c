#include "guest/line.h"

#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

static int port_of(const char *kind)
{
	const char *number = str_after(kind, "port:");
	uint64_t port;

	return number && parse_u64(number, &port) == 0 && port > 0 && port <= 65535 ? (int)port : -EINVAL;
}

bool line_kind_good(const char *kind)
{
	return streq(kind, "pty") || port_of(kind) > 0;
}

static int open_pty(struct line *line, size_t number, struct report *report, struct error *e)
{
	struct termios raw;
	char name[64];

	cfmakeraw(memset(&raw, 0, sizeof(raw)));
	raw.c_cflag = CS8 | CREAD;
	if (openpty(&line->guest_fd, &line->held_fd, NULL, &raw, NULL) < 0)
		return error_errno(e, errno, "make a terminal for console %zu", number);
	if (fcntl(line->held_fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    ttyname_r(line->held_fd, name, sizeof(name)) != 0)
		return error_errno(e, errno, "make a terminal for console %zu", number);
	report_info(report, "console %zu is %s", number, name);
	return 0;
}

static int listen_on(int port, struct error *e)
{
	const struct sockaddr_in here = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)port),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int yes = 1;
	_cleanup_(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (const struct sockaddr *)&here, sizeof(here)) < 0 || listen(fd, 1) < 0)
		return error_errno(e, errno, "listen on port %d for a console", port);
	return TAKE_FD(fd);
}

/* Passes on what there is. False: `from` has come to its end, or `to` takes nothing more. */
static bool pass(int from, int to)
{
	char bytes[4096];
	ssize_t n = read(from, bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return true;
	return n > 0 && (to < 0 || write_all(to, bytes, (size_t)n) == 0);
}

/* One visitor at a time; what the guest says while there is none is lost, as on a real line. */
_Noreturn static void relay(int listen_fd, int line_fd)
{
	int visitor = -1;

	(void)signal(SIGPIPE, SIG_IGN); /* a valid number cannot fail */
	for (;;) {
		struct pollfd p[] = { { .fd = line_fd, .events = POLLIN },
				      { .fd = visitor, .events = POLLIN },
				      { .fd = visitor < 0 ? listen_fd : -1, .events = POLLIN } };
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			_exit(1);
		if (p[2].revents)
			visitor = accept4(listen_fd, NULL, NULL,
					  SOCK_CLOEXEC); /* failed: the next one may not */
		if (p[1].revents && !pass(visitor, line_fd)) {
			(void)close(visitor); /* a socket holds nothing back */
			visitor = -1;
		}
		if (p[0].revents && !pass(line_fd, visitor)) {
			if (visitor < 0)
				_exit(0); /* the guest has gone */
			(void)close(visitor); /* as above; the guest, if it has gone, shows again */
			visitor = -1;
		}
	}
}

static int open_port(struct line *line, size_t number, int port, struct report *report, struct error *e)
{
	_cleanup_(fd) int listen_fd = listen_on(port, e);
	int pair[2];

	if (listen_fd < 0)
		return listen_fd;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return error_errno(e, errno, "make console %zu", number);
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		(void)close(pair[0]); /* else it would never see the guest's end */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		relay(listen_fd, pair[1]);
	}
	(void)close(pair[1]); /* the relay's */
	line->guest_fd = pair[0];
	if (pid < 0)
		return error_errno(e, errno, "make console %zu", number);
	line->relay = pid;
	report_info(report, "console %zu is port %d of the loopback", number, port);
	return 0;
}

int lines_open(const struct strlist *kinds, struct lines *ret, struct report *report, struct error *e)
{
	for (size_t i = 0; i < kinds->count; i++) {
		ret->items = xgrow(ret->items, i + 1, &ret->capacity, sizeof(ret->items[0]));
		struct line *line = &ret->items[ret->count++];

		*line = (struct line) { .guest_fd = -1, .held_fd = -1 };
		int port = port_of(kinds->items[i]);
		int r = port > 0 ? open_port(line, i + 1, port, report, e) : open_pty(line, i + 1, report, e);

		if (r < 0)
			return r;
	}
	return 0;
}

void lines_close(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct line *line = &l->items[i];

		if (line->guest_fd >= 0)
			(void)close(line->guest_fd); /* a line holds nothing back, nor does the next one */
		if (line->held_fd >= 0)
			(void)close(line->held_fd);
		if (line->relay > 0) {
			(void)kill(line->relay, SIGKILL); /* our child, not reaped: the number is its own */
			while (waitpid(line->relay, NULL, 0) < 0 && errno == EINTR)
				;
		}
	}
	free(l->items);
	*l = (struct lines) { 0 };
}
