#include "guest/qmp.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const struct timeval patience = { .tv_sec = 10 };

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

static int connect_to(const char *path, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_text(e, ENAMETOOLONG, "ask the guest's monitor: the path %s is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(e, errno, "ask the guest's monitor");
	/* they hold for what is read and written from here on */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(e, errno, "ask the guest's monitor");
	return TAKE_FD(fd);
}

/* Reads lines until one has `key` or is an error; events are passed over. */
static int answer(FILE *in, const char *key, struct error *e)
{
	_cleanup_(free) char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, in) > 0) {
		_cleanup_(json) json_t *said = json_loads(line, 0, NULL);
		const json_t *error = json_object_get(said, "error");

		if (!said)
			return error_text(e, EPROTO, "ask the guest's monitor: not JSON: %.100s", line);
		if (error) {
			const char *text = json_string_value(json_object_get(error, "desc"));

			return error_text(e, EIO, "the guest's monitor: %s", text ? text : "refused");
		}
		if (json_object_get(said, key))
			return 0;
	}
	return error_text(e, ETIMEDOUT, "the guest's monitor does not answer");
}

static int say(int fd, const char *text, struct error *e)
{
	int r = write_all(fd, text, strlen(text));

	return r < 0 ? error_errno(e, -r, "ask the guest's monitor") : 0;
}

/* Owns `command`. */
static int ask(const char *monitor, json_t *command, struct error *e)
{
	_cleanup_(json) json_t *owned = command;
	_cleanup_(free) char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	int fd = text ? connect_to(monitor, e) : error_text(e, ENOMEM, "ask the guest's monitor");

	if (fd < 0)
		return fd;
	FILE *in = fdopen(fd, "r");

	if (!in) {
		(void)close(fd); /* nothing was said */
		return error_errno(e, ENOMEM, "ask the guest's monitor");
	}
	int r = answer(in, "QMP", e);

	if (r == 0)
		r = say(fd, "{\"execute\":\"qmp_capabilities\"}\n", e);
	if (r == 0)
		r = answer(in, "return", e);
	if (r == 0)
		r = say(fd, text, e);
	if (r == 0)
		r = answer(in, "return", e);
	(void)fclose(in); /* all was read */
	return r;
}

int qmp_screenshot(const char *monitor, const char *file, struct error *e)
{
	return ask(monitor,
		   json_pack("{s:s, s:{s:s, s:s}}", "execute", "screendump", "arguments", "filename", file,
			     "format", "png"),
		   e);
}

int qmp_memory(const char *monitor, uint64_t address, uint64_t size, const char *file, struct error *e)
{
	return ask(monitor,
		   json_pack("{s:s, s:{s:I, s:I, s:s}}", "execute", "pmemsave", "arguments", "val",
			     (json_int_t)address, "size", (json_int_t)size, "filename", file),
		   e);
}
