#include "guest/mconsole.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Linux: arch/um/drivers/mconsole.h */
enum { MCONSOLE_MAGIC = 0xcafebabe, MCONSOLE_VERSION = 2, MCONSOLE_MAX_DATA = 512 };

struct mconsole_request {
	uint32_t magic, version, len;
	char data[MCONSOLE_MAX_DATA];
};
struct mconsole_reply {
	uint32_t err, more, len; /* `more`: another one follows with the rest */
	char data[MCONSOLE_MAX_DATA];
};

/* The guest answers to the sender's name: the kernel gives us one (unix(7), autobind). */
static int open_socket(const char *shown, struct error *e)
{
	const struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
	_cleanup_(fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&unnamed, sizeof(unnamed.sun_family)) < 0)
		return error_errno(e, errno, "tell the guest '%s'", shown);
	return TAKE_FD(fd);
}

static int send_request(int fd, int dirfd, const char *umid, const char *command, struct error *e)
{
	struct mconsole_request q = { .magic = MCONSOLE_MAGIC, .version = MCONSOLE_VERSION };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(command);

	if (len >= sizeof(q.data))
		return error_text(e, E2BIG, "tell the guest '%.40s…': longer than %d characters", command,
				  MCONSOLE_MAX_DATA - 1);
	memcpy(q.data, command, len);
	q.len = (uint32_t)len;
	/* by the folder's descriptor: its path may be longer than a socket's address can be */
	_cleanup_(free) char *path = xasprintf("/proc/self/fd/%d/%s/mconsole", dirfd, umid);

	if (strlen(path) >= sizeof(to.sun_path))
		return error_errno(e, ENAMETOOLONG, "tell the guest '%s'", command);
	memcpy(to.sun_path, path, strlen(path) + 1);
	ssize_t n = sendto(fd, &q, offsetof(struct mconsole_request, data) + len + 1, MSG_NOSIGNAL,
			   (const struct sockaddr *)&to, sizeof(to));

	return n < 0 ? error_errno(e, errno, "tell the guest '%s'", command) : 0;
}

/* One piece of the answer. 1: more follow. */
static int receive(int fd, const char *command, struct strbuf *answer, uint32_t *ret_err, struct error *e)
{
	struct mconsole_reply reply;
	ssize_t n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);
	const size_t head = offsetof(struct mconsole_reply, data);

	if (n < 0)
		return error_errno(e, errno, "read the guest's answer to '%s'", command);
	if ((size_t)n < head || reply.len > (size_t)n - head)
		return error_text(e, EPROTO, "read the guest's answer to '%s': it is cut off", command);
	strbuf_add(answer, reply.data, strnlen(reply.data, reply.len));
	*ret_err = reply.err;
	return reply.more ? 1 : 0;
}

int mconsole_send(int dirfd, const char *umid, const char *command, struct console *console, unsigned seconds,
		  char **ret_answer, struct error *e)
{
	_cleanup_(fd) int fd = open_socket(command, e);
	_cleanup_(strbuf) struct strbuf answer = { 0 };
	uint32_t refused = 0;
	int r = fd < 0 ? fd : send_request(fd, dirfd, umid, command, e);

	strbuf_puts(&answer, "");
	for (int more = 1; r == 0 && more > 0;) {
		r = console_attend(console, fd, seconds, e);
		if (r < 0)
			return r;
		if (r == 0 && console->fd < 0)
			return error_text(e, EPIPE, "tell the guest '%s': it has ended", command);
		if (r == 0)
			return error_text(e, ETIMEDOUT, "tell the guest '%s': no answer within %u seconds",
					  command, seconds);
		more = receive(fd, command, &answer, &refused, e);
		r = more < 0 ? more : 0;
	}
	if (r < 0)
		return r;
	if (refused)
		return error_text(e, EPROTO, "tell the guest '%s': it refuses: %s", command,
				  str_strip(answer.data));
	*ret_answer = TAKE_PTR(answer.data);
	return 0;
}
