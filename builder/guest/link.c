#include "guest/link.h"

#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* The two ends of a message with a descriptor beside one byte (unix(7), SCM_RIGHTS). */
union rights {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static bool send_fd(int to, int fd)
{
	char byte = 0;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	union rights rights = { .bytes = { 0 } };
	struct msghdr m = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = rights.bytes,
			    .msg_controllen = sizeof(rights.bytes) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&m);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(int));
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1;
}

/* The descriptor, without close-on-exec, or -1 with errno. */
static int receive_fd(int from)
{
	char byte;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	union rights rights;
	struct msghdr m = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = rights.bytes,
			    .msg_controllen = sizeof(rights.bytes) };
	ssize_t n = recvmsg(from, &m, 0);
	const struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	int fd;

	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
		errno = n < 0 ? errno : EPROTO;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(head), sizeof(int));
	return fd;
}

/* Waits for the second guest, for as long as the first one's program lives. */
_Noreturn static void hand_over(int listen_fd, int fd)
{
	for (;;) {
		int visitor = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (visitor < 0 && errno != EINTR && errno != ECONNABORTED)
			_exit(1);
		if (visitor >= 0 && send_fd(visitor, fd))
			_exit(0);
	}
}

static int be_first(int listen_fd, const char *path, struct link *ret, struct error *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return error_errno(e, errno, "make the link %s", path);
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		(void)close(pair[0]); /* the guest's */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		hand_over(listen_fd, pair[1]);
	}
	(void)close(pair[1]); /* the waiter's */
	*ret = (struct link) { .fd = pair[0], .path = xstrdup(path), .waiter = pid > 0 ? pid : 0 };
	return pid < 0 ? error_errno(e, errno, "make the link %s", path) : 0;
}

static int open_socket(const char *path, struct sockaddr_un *ret_address, struct error *e)
{
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return error_errno(e, ENAMETOOLONG, "make the link %s", path);
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_errno(e, errno, "make the link %s", path) : fd;
}

int link_open(const char *path, struct link *ret, struct error *e)
{
	struct sockaddr_un address = { 0 };
	_cleanup_(fd) int fd = open_socket(path, &address, e);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		ret->fd = receive_fd(fd);
		return ret->fd < 0 ? error_errno(e, errno, "take the other end of the link %s", path) : 0;
	}
	if (errno == ECONNREFUSED && unlink(path) < 0) /* left by who was killed */
		return error_errno(e, errno, "make the link %s", path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return error_errno(e, errno, "make the link %s", path);
	int r = be_first(fd, path, ret, e);

	if (r < 0)
		(void)unlink(path); /* the first failure is what counts */
	return r;
}

void link_close(struct link *l)
{
	if (l->fd >= 0)
		(void)close(l->fd); /* a socket holds nothing back */
	if (l->waiter > 0) {
		(void)kill(l->waiter, SIGKILL); /* our child, not reaped: the number is its own */
		while (waitpid(l->waiter, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (l->path)
		(void)unlink(l->path); /* gone already is as good */
	free(l->path);
	*l = (struct link)LINK_NONE;
}
