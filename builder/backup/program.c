#include "backup/program.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

char *said_read(int fd)
{
	struct stat st;
	size_t size = fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size; /* of a file in memory: cannot fail */
	char *text = xmalloc(size + 1);
	ssize_t n = pread_full(fd, text, size, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

const char *said_last_line(char *said)
{
	char *text = str_strip(said);
	char *newline = strrchr(text, '\n');

	return newline ? newline + 1 : text;
}

int source_device(int fd, const struct set_source *source, const char *program, char **ret, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	struct stat st, node;

	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "look at %s", source->shown);
	if (st.st_dev != source->device) /* one mount may lie over another, or be gone by now */
		return error_text(e, ESTALE, "%s: it is not the file system that the survey found there",
				  source->shown);
	_cleanup_(free) char *uevent =
		xasprintf("/sys/dev/block/%u:%u/uevent", major(st.st_dev), minor(st.st_dev));

	if (read_file_at(AT_FDCWD, uevent, 65536, &text, NULL, NULL) < 0)
		return error_text(e, ENOTBLK, "%s: it lies on no block device, which %s needs", source->shown,
				  program);
	const char *name = strstr(text, "DEVNAME=");

	if (!name)
		return error_text(e, ENODEV, "%s: its device has no name", source->shown);
	name += strlen("DEVNAME=");
	_cleanup_(free) char *path = xasprintf("/dev/%.*s", (int)strcspn(name, "\n"), name);

	if (stat(path, &node) < 0)
		return error_errno(e, errno, "look at %s", path);
	if (!S_ISBLK(node.st_mode) || node.st_rdev != st.st_dev)
		return error_text(e, ENODEV, "%s: it is not the device of %s", path, source->shown);
	*ret = TAKE_PTR(path);
	return 0;
}

/* Starts it with a pipe on its stdin (`feeds`; what it prints is kept then, too) or on its stdout, whose other end is ours. What it says goes
 * into a file in memory. The caller closes both, also after an error. */
static int start(const char *const argv[], const char *folder, bool feeds, struct proc *program,
		 int *ret_said, int *ret_pipe, struct error *e)
{
	int fds[2], r;

	*ret_said = memory_file(e);
	r = *ret_said < 0 ? *ret_said : make_pipe(fds, e);
	if (r < 0)
		return r;
	/* the child's alone afterwards: its death shows at ours */
	_cleanup_(fd) int its = fds[feeds ? 0 : 1];
	const struct proc_options o = { .stdin_fd = feeds ? its : 0,
					.stdout_fd = feeds ? *ret_said : its,
					.stderr_fd = *ret_said,
					.cwd = folder };

	*ret_pipe = fds[feeds ? 1 : 0];
	return proc_spawn(argv, &o, program, e);
}

int stream_feed(struct set *s, const char *name, const char *method, const char *const argv[],
		const char *folder, char **ret_said, struct report *report, struct error *e)
{
	_cleanup_(proc) struct proc program = PROC_NONE;
	_cleanup_(fd) int said_fd = -1;
	_cleanup_(fd) int in = -1;
	struct error stream;
	int r = start(argv, folder, true, &program, &said_fd, &in, e);

	if (r < 0)
		return r;
	int stream_r = set_read_stream(s, name, method, in, report, &stream);

	(void)close(TAKE_FD(in)); /* a pipe keeps what was written */
	if (stream_r < 0 && stream_r != -EPIPE) {
		*e = stream; /* it is killed with `program` */
		return stream_r;
	}
	r = proc_wait(&program, NULL, e);
	_cleanup_(free) char *said = said_read(said_fd);

	if (r < 0) {
		const char *line = said_last_line(said), *after = str_after(line, argv[0]);

		error_prefix(e, "%s %s: %.300s", argv[0], name,
			     after && str_after(after, ": ") ? after + 2 : line);
		return r;
	}
	if (stream_r < 0)
		return error_text(e, EIO, "%s %s: it ended before its stream did", argv[0], name);
	*ret_said = TAKE_PTR(said);
	return 0;
}

int stream_run(struct set_writer *w, const char *name, const char *method, const char *const argv[],
	       uint64_t total, const struct stream_watch *watch, struct frames *ret_frames, char **ret_said,
	       struct report *report, struct error *e)
{
	_cleanup_(proc) struct proc program = PROC_NONE;
	_cleanup_(fd) int said_fd = -1;
	_cleanup_(fd) int out = -1;
	struct error stream;
	int r = start(argv, NULL, false, &program, &said_fd, &out, e);

	if (r < 0)
		return r;
	int stream_r = stream_add(w, name, method, out, total, watch, ret_frames, report, &stream);

	if (stream_r < 0 && stream_r != -EBADMSG) {
		*e = stream; /* it is killed with `program` */
		return stream_r;
	}
	r = proc_wait(&program, NULL, e); /* of a stream that ends too early, it knows why */
	*ret_said = said_read(said_fd);
	if (r == 0 && stream_r < 0)
		*e = stream;
	return r < 0 ? r : stream_r;
}
