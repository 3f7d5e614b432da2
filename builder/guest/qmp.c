#include "guest/qmp.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
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

/* Reads lines until one has `key` or is an error; events are passed over. `ret_text` (NULL: not wanted) gets it where it is a text; the
 * caller frees. */
static int answer(FILE *in, const char *key, char **ret_text, struct error *e)
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
		const json_t *value = json_object_get(said, key);

		if (!value)
			continue;
		if (ret_text && json_is_string(value))
			*ret_text = xstrdup(json_string_value(value));
		return 0;
	}
	return error_text(e, ETIMEDOUT, "the guest's monitor does not answer");
}

static int say(int fd, const char *text, struct error *e)
{
	int r = write_all(fd, text, strlen(text));

	return r < 0 ? error_errno(e, -r, "ask the guest's monitor") : 0;
}

/* Owns `command`. `ret_text` as in answer(). */
static int ask_text(const char *monitor, json_t *command, char **ret_text, struct error *e)
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
	int r = answer(in, "QMP", NULL, e);

	if (r == 0)
		r = say(fd, "{\"execute\":\"qmp_capabilities\"}\n", e);
	if (r == 0)
		r = answer(in, "return", NULL, e);
	if (r == 0)
		r = say(fd, text, e);
	if (r == 0)
		r = answer(in, "return", ret_text, e);
	(void)fclose(in); /* all was read */
	return r;
}

static int ask(const char *monitor, json_t *command, struct error *e)
{
	return ask_text(monitor, command, NULL, e);
}

/* A line of libslirp's slirp_connection_info(): "  TCP[ESTABLISHED]  18  127.0.0.1 40022  10.0.2.15  22  0  0"; the first port is that of the
 * near end. */
static bool is_taken(const char *line, unsigned port)
{
	unsigned at;

	return sscanf(line, " TCP[ESTABLISHED] %*u %*s %u", &at) == 1 && at == port;
}

int qmp_established(const char *monitor, unsigned port, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	_cleanup_(strlist) struct strlist lines = { 0 };
	int r = ask_text(monitor,
			 json_pack("{s:s, s:{s:s}}", "execute", "human-monitor-command", "arguments",
				   "command-line", "info usernet"),
			 &text, e);

	if (r < 0)
		return r;
	strlist_add_parts(&lines, text ? text : "", '\n');
	r = 0;
	for (size_t i = 0; i < lines.count; i++)
		r |= is_taken(lines.items[i], port);
	return r;
}

/* ---- typing ---- */

/* The key with such a name (QKeyCode in QEMU's qapi/ui.json), and whether Shift is held. NULL: there is none. */
static const char *key_of(char c, char name[2], bool *ret_shift)
{
	static const struct {
		char plain, shifted;
		const char *name;
	} keys[] = {
		{ '1', '!', NULL },           { '2', '@', NULL },
		{ '3', '#', NULL },           { '4', '$', NULL },
		{ '5', '%', NULL },           { '6', '^', NULL },
		{ '7', '&', NULL },           { '8', '*', NULL },
		{ '9', '(', NULL },           { '0', ')', NULL },
		{ '-', '_', "minus" },        { '=', '+', "equal" },
		{ '[', '{', "bracket_left" }, { ']', '}', "bracket_right" },
		{ ';', ':', "semicolon" },    { '\'', '"', "apostrophe" },
		{ '`', '~', "grave_accent" }, { '\\', '|', "backslash" },
		{ ',', '<', "comma" },        { '.', '>', "dot" },
		{ '/', '?', "slash" },        { ' ', ' ', "spc" },
		{ '\n', '\n', "ret" },
	};

	name[1] = '\0';
	*ret_shift = c >= 'A' && c <= 'Z';
	name[0] = (char)(*ret_shift ? c - 'A' + 'a' : c);
	if (name[0] >= 'a' && name[0] <= 'z')
		return name;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (c == keys[i].plain || c == keys[i].shifted) {
			*ret_shift = c != keys[i].plain;
			name[0] = keys[i].plain;
			return keys[i].name ? keys[i].name : name;
		}
	return NULL;
}

/* The guest needs a while to take a key; the next command's hold it up, as qemu presses one after the other. */
int qmp_type(const char *monitor, const char *text, struct error *e)
{
	enum { hold_milliseconds = 40 };
	int r = 0;

	for (const char *p = text; *p && r == 0; p++) {
		char name[2];
		bool shift;
		const char *key = key_of(*p, name, &shift);
		json_t *keys = json_array();

		if (key && shift)
			(void)json_array_append_new(keys, json_pack("{s:s, s:s}", "type", "qcode", "data",
								    "shift")); /* ask() sees NULL */
		(void)json_array_append_new(keys,
					    json_pack("{s:s, s:s}", "type", "qcode", "data", key ? key : ""));
		if (!key) {
			json_decref(keys);
			return error_text(e, EINVAL, "type on the guest's keyboard: no key for it");
		}
		r = ask(monitor,
			json_pack("{s:s, s:{s:o, s:i}}", "execute", "send-key", "arguments", "keys", keys,
				  "hold-time", hold_milliseconds),
			e);
	}
	return r;
}

int qmp_screenshot(const char *monitor, const char *file, struct error *e)
{
	return ask(monitor,
		   json_pack("{s:s, s:{s:s, s:s}}", "execute", "screendump", "arguments", "filename", file,
			     "format", "png"),
		   e);
}

int qmp_divert(const char *monitor, size_t disk, const char *overlay, struct error *e)
{
	_cleanup_(free) char *device = xasprintf("disk%zu", disk);

	return ask(monitor,
		   json_pack("{s:s, s:{s:s, s:s, s:s}}", "execute", "blockdev-snapshot-sync", "arguments",
			     "device", device, "snapshot-file", overlay, "format", "qcow2"),
		   e);
}

int qmp_memory(const char *monitor, uint64_t address, uint64_t size, const char *file, struct error *e)
{
	return ask(monitor,
		   json_pack("{s:s, s:{s:I, s:I, s:s}}", "execute", "pmemsave", "arguments", "val",
			     (json_int_t)address, "size", (json_int_t)size, "filename", file),
		   e);
}
