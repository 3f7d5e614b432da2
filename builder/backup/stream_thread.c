#include "backup/stream_thread.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { text_max = 1 << 30 };

struct end {
	int (*work)(void *user, int fd, struct error *e);
	void *user;
	int fd;
	int result;
	struct error error;
};

static void *run(void *user)
{
	struct end *end = user;

	end->result = end->work(end->user, end->fd, &end->error);
	return NULL;
}

/* Starts the work at one end of a pipe; `*ret_fd` is the other one. */
static int start(struct end *end, bool writes, pthread_t *ret_thread, int *ret_fd, struct error *e)
{
	int fds[2];
	int r = make_pipe(fds, e);

	if (r < 0)
		return r;
	end->fd = fds[writes];
	int code = pthread_create(ret_thread, NULL, run, end);

	if (code) {
		(void)close(fds[0]); /* nothing was written */
		(void)close(fds[1]);
		return error_errno(e, code, "start a thread");
	}
	*ret_fd = fds[!writes];
	return 0;
}

static int take_error(const struct end *end, struct error *e)
{
	if (end->result < 0)
		*e = end->error;
	return end->result;
}

int stream_produce(struct set_writer *w, const char *name, const char *method, uint64_t total,
		   struct frames *ret_frames, struct report *report,
		   int (*produce)(void *user, int fd, struct error *e), void *user, struct error *e)
{
	struct end end = { .work = produce, .user = user };
	pthread_t thread;
	int fd;
	int r = start(&end, true, &thread, &fd, e);

	if (r < 0)
		return r;
	r = stream_add(w, name, method, fd, total, NULL, ret_frames, report, e);
	(void)close(fd); /* read side: who still writes gets EPIPE */
	(void)pthread_join(thread, NULL); /* ours, joinable, once */
	return r < 0 ? r : take_error(&end, e);
}

int stream_add_text(struct set_writer *w, const char *name, const char *method, const struct strbuf *text,
		    struct error *e)
{
	struct report quiet;

	if (text->len == 0)
		return 0;
	if (text->len > text_max)
		return error_text(e, EFBIG, "%s.%s: it is larger than 1 GiB", name, method);
	_cleanup_(fd) int fd = memory_file(e);

	if (fd < 0)
		return fd;
	int r = write_all(fd, text->data, text->len);

	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(e, r < 0 ? -r : errno, "write a file in memory");
	report_init(&quiet, VERBOSITY_QUIET, false);
	return set_add_stream(w, name, method, fd, text->len, &quiet, e);
}

int stream_get_text(struct set *s, const char *name, const char *method, char **ret, size_t *ret_len,
		    struct error *e)
{
	_cleanup_(fd) int fd = memory_file(e);
	struct report quiet;
	struct stat st;

	if (fd < 0)
		return fd;
	report_init(&quiet, VERBOSITY_QUIET, false);
	int r = set_read_stream(s, name, method, fd, &quiet, e);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || st.st_size > text_max)
		return error_text(e, EFBIG, "%s.%s: it is larger than 1 GiB", name, method);
	_cleanup_(free) char *text = xmalloc((size_t)st.st_size + 1);
	ssize_t n = pread_full(fd, text, (size_t)st.st_size, 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read a file in memory");
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	if (ret_len)
		*ret_len = (size_t)n;
	return 0;
}

int stream_consume(struct set *s, const char *name, const char *method, struct report *report,
		   int (*consume)(void *user, int fd, struct error *e), void *user, struct error *e)
{
	struct end end = { .work = consume, .user = user };
	struct error stream = { 0 };
	pthread_t thread;
	int fd;
	int r = start(&end, false, &thread, &fd, e);

	if (r < 0)
		return r;
	r = set_read_stream(s, name, method, fd, report, &stream);
	(void)close(fd); /* a pipe keeps what was written */
	(void)pthread_join(thread, NULL); /* ours, joinable, once */
	if (r < 0 && (r != -EPIPE || end.result == 0)) {
		*e = stream;
		return r;
	}
	return take_error(&end, e);
}
