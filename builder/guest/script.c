#include "guest/script.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>

static const unsigned default_limit = 120; /* seconds */

/* Shells take no longer line, the terminal's line discipline 4095 bytes; what is longer is typed in pieces. */
static const size_t typed_max = 500;

struct runner {
	const struct script_guest *guest;
	unsigned limit; /* seconds each step may take */
	unsigned commands; /* number of the last `run`: its marks differ from those before */
	char *output; /* of the last `run`; NULL: there was none */
	bool ended;
};

static void runner_free(struct runner *r)
{
	free(r->output);
}
DEFINE_CLEANUP(runner, struct runner, runner_free)

struct script_verb {
	const char *key;
	const char *expected;
	int (*check)(const char *value);
	int (*run)(struct runner *r, const char *value, struct error *e);
};

/* ---- values ---- */

static int check_text(const char *value)
{
	return *value ? 0 : -EINVAL;
}

static int check_seconds(const char *value)
{
	uint64_t n;

	return parse_u64(value, &n) == 0 && n > 0 && n <= 86400 ? 0 : -EINVAL;
}

static int check_login(const char *value)
{
	const char *blank = strchr(value, ' ');

	return blank && blank > value && blank[1] && !strchr(blank + 1, ' ') ? 0 : -EINVAL;
}

static unsigned seconds_of(const char *value)
{
	uint64_t n = default_limit;

	(void)parse_u64(value, &n); /* check_seconds() has seen it */
	return (unsigned)n;
}

/* -1: none. */
static int hex_digit(char c)
{
	const char *at = c ? strchr("0123456789abcdef", c) : NULL;

	return at ? (int)(at - "0123456789abcdef") : -1;
}

/* What a C string would make of the text: \n \r \t \e \\ \xHH. -EINVAL for anything else behind a backslash. */
static int unescape(const char *s, struct strbuf *ret)
{
	static const char from[] = "nrte\\", to[] = "\n\r\t\033\\";

	strbuf_puts(ret, "");
	for (; *s; s++) {
		const char *at = *s == '\\' && s[1] ? strchr(from, s[1]) : NULL;

		if (*s != '\\') {
			strbuf_add(ret, s, 1);
		} else if (at) {
			strbuf_add(ret, &to[at - from], 1);
			s++;
		} else if (s[1] == 'x' && hex_digit(s[2]) >= 0 && hex_digit(s[3]) >= 0) {
			const char byte = (char)(hex_digit(s[2]) * 16 + hex_digit(s[3]));

			if (!byte)
				return -EINVAL; /* texts end there */
			strbuf_add(ret, &byte, 1);
			s += 3;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static int check_keys(const char *value)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	return *value ? unescape(value, &b) : -EINVAL;
}

/* ---- steps ---- */

static int step_limit(struct runner *r, const char *value, struct error *e)
{
	(void)e;
	r->limit = seconds_of(value);
	return 0;
}

static int wait_for(struct runner *r, const char *text, struct error *e)
{
	const char *const texts[] = { text, NULL };

	return console_wait(r->guest->console, texts, r->limit, NULL, e);
}

static int step_wait(struct runner *r, const char *value, struct error *e)
{
	return wait_for(r, value, e);
}

static int step_type(struct runner *r, const char *value, struct error *e)
{
	_cleanup_(free) char *line = xasprintf("%s\n", value);

	return console_type(r->guest->console, line, r->limit, e);
}

static int step_press(struct runner *r, const char *value, struct error *e)
{
	_cleanup_(strbuf) struct strbuf keys = { 0 };

	(void)unescape(value, &keys); /* check_keys() has seen it */
	return console_type(r->guest->console, keys.data, r->limit, e);
}

static int step_pause(struct runner *r, const char *value, struct error *e)
{
	return console_pause(r->guest->console, seconds_of(value) * 1000, e);
}

/* Types `command` so that what it prints stands between two marks and its exit status behind the second. The
 * marks are typed in halves: the echo of what is typed is none. */
static int type_marked(struct runner *r, const char *command, struct error *e)
{
	unsigned number = ++r->commands;
	_cleanup_(free) char *line = xasprintf(
		"printf '%%s\\n' 'LIFEBOAT''-BEGIN-%u'; %s; printf '\\n%%s%%d\\n' 'LIFEBOAT''-END-%u ' $?\n",
		number, command, number);

	return console_type(r->guest->console, line, r->limit, e);
}

static int marked_output(struct runner *r, char **ret, int *ret_status, struct error *e)
{
	_cleanup_(free) char *begin = xasprintf("LIFEBOAT-BEGIN-%u", r->commands);
	_cleanup_(free) char *end = xasprintf("\nLIFEBOAT-END-%u ", r->commands);
	_cleanup_(free) char *echo = NULL, *status = NULL, *output = NULL;
	uint64_t number;
	int result = console_until(r->guest->console, begin, r->limit, &echo, e);

	/* "\r\n": the mark's own line is found by what ends it */
	if (result == 0)
		result = console_until(r->guest->console, end, r->limit, &output, e);
	if (result == 0)
		result = console_line(r->guest->console, r->limit, &status, e);
	if (result < 0)
		return result;
	if (parse_u64(status, &number) < 0 || number > 255)
		return error_text(e, EPROTO, "read a command's exit status on the guest's console: '%s'",
				  status);
	*ret_status = (int)number;
	/* the newline behind the first mark, and the one before the second that a full last line has itself */
	const char *text = output ? output : "";

	text += *text == '\n';
	size_t len = strlen(text);

	*ret = xstrndup(text, len && text[len - 1] == '\n' ? len - 1 : len);
	return 0;
}

static int marked(struct runner *r, const char *command, char **ret_output, int *ret_status, struct error *e)
{
	int result = type_marked(r, command, e);

	return result < 0 ? result : marked_output(r, ret_output, ret_status, e);
}

/* Puts a long command into a file of the guest, piece by piece. */
static int type_in_pieces(struct runner *r, const char *command, struct error *e)
{
	for (const char *p = command; *p;) {
		_cleanup_(strbuf) struct strbuf piece = { 0 };
		_cleanup_(free) char *line = NULL, *said = NULL;
		bool first = p == command;
		int status = 0;

		for (; *p && piece.len < typed_max; p++)
			strbuf_add(&piece, *p == '\'' ? "'\\''" : p, *p == '\'' ? 4 : 1);
		line = xasprintf("printf '%%s' '%s' >%s/run/lifeboat-step", piece.data, first ? "" : ">");
		int result = marked(r, line, &said, &status, e);

		if (result == 0 && status != 0)
			result = error_text(e, EIO, "type a long command: %s", said);
		if (result < 0)
			return result;
	}
	return 0;
}

static int run_command(struct runner *r, const char *command, int *ret_status, struct error *e)
{
	bool pieces = strlen(command) > typed_max;
	_cleanup_(free) char *output = NULL;
	int result = pieces ? type_in_pieces(r, command, e) : 0;

	if (result == 0)
		result = marked(r, pieces ? ". /run/lifeboat-step" : command, &output, ret_status, e);
	if (result < 0)
		return result;
	free(r->output);
	r->output = TAKE_PTR(output);
	return 0;
}

/* The last line of what the command said, for messages. */
static const char *last_line(const char *output)
{
	const char *newline = strrchr(output, '\n');

	return newline && newline[1] ? newline + 1 : output;
}

static int step_run(struct runner *r, const char *value, struct error *e)
{
	int status = 0, result = run_command(r, value, &status, e);

	if (result < 0 || status == 0)
		return result;
	return error_text(e, EIO, "%.200s: exit status %d: %.300s", value, status, last_line(r->output));
}

static int step_fails(struct runner *r, const char *value, struct error *e)
{
	int status = 0, result = run_command(r, value, &status, e);

	if (result < 0 || status != 0)
		return result;
	return error_text(e, EIO, "%.200s: it succeeded, and should have failed: %.300s", value,
			  last_line(r->output));
}

static int needs_output(const struct runner *r, struct error *e)
{
	return r->output ? 0 : error_text(e, EINVAL, "there was no 'run' or 'fails' before it");
}

static int step_shows(struct runner *r, const char *value, struct error *e)
{
	int result = needs_output(r, e);

	if (result < 0 || strstr(r->output, value))
		return result;
	return error_text(e, EIO, "the last command did not show '%s' but: %.300s", value,
			  last_line(r->output));
}

static int step_capture(struct runner *r, const char *value, struct error *e)
{
	int result = needs_output(r, e);

	return result < 0 ? result : write_file_at(AT_FDCWD, value, 0644, r->output, strlen(r->output), e);
}

static int step_control(struct runner *r, const char *value, struct error *e)
{
	_cleanup_(free) char *answer = NULL;

	if (!r->guest->control)
		return error_text(e, ENOTSUP, "this guest has no management console");
	int result = r->guest->control(r->guest->user, value, r->limit, &answer, e);

	if (result < 0)
		return result;
	free(r->output);
	r->output = TAKE_PTR(answer);
	return 0;
}

/* login(1) throws away what was typed before it has asked, half a second after it said so. */
static int step_login(struct runner *r, const char *value, struct error *e)
{
	const char *blank = strchr(value, ' ');
	_cleanup_(free) char *user = xasprintf("%.*s\n", (int)(blank - value), value);
	_cleanup_(free) char *password = xasprintf("%s\n", blank + 1);
	_cleanup_(free) char *said = NULL;
	struct console *c = r->guest->console;
	int status, result = wait_for(r, "login: ", e);

	if (result == 0)
		result = console_type(c, user, r->limit, e);
	if (result == 0)
		result = wait_for(r, "assword: ", e);
	if (result == 0)
		result = console_pause(c, 500, e);
	if (result == 0)
		result = console_type(c, password, r->limit, e);
	if (result == 0) /* its shell prompts with one of these */
		result = console_wait(c, (const char *const[]) { "# ", "$ ", NULL }, r->limit, NULL, e);
	return result < 0 ? result : marked(r, ":", &said, &status, e);
}

/* From its menu to its shell, where `first` is the first command. */
static int menu_shell(struct runner *r, const char *first, struct error *e)
{
	_cleanup_(free) char *said = NULL;
	struct console *c = r->guest->console;
	int status, result = wait_for(r, "6 power off", e);

	if (result == 0)
		result = wait_for(r, "> ", e);
	if (result == 0)
		result = console_type(c, "2\n", r->limit, e);
	if (result == 0)
		result = wait_for(r, "come back to the menu.", e);
	if (result == 0)
		result = wait_for(r, "# ", e);
	return result < 0 ? result : marked(r, first, &said, &status, e);
}

/* The rescue system's menu, and its shell, once the drivers and disks have come for which the menu does not wait. */
static int step_rescue(struct runner *r, const char *value, struct error *e)
{
	static const char settled[] = "until [ -e /run/lifeboat/settled ]; do sleep 0.2; done";
	int result = wait_for(r, "LIFEBOAT READY", e);

	(void)value;
	return result < 0 ? result : menu_shell(r, settled, e);
}

static int step_ends(struct runner *r, const char *value, struct error *e)
{
	static const char *const never[] = { "Kernel panic - not syncing", NULL };
	int result = console_wait(r->guest->console, never, seconds_of(value), NULL, e);

	if (result == 0)
		return error_text(e, EIO, "the guest's kernel panicked");
	if (result == -ETIMEDOUT)
		return error_text(e, ETIMEDOUT, "the guest has not ended within %s seconds", value);
	if (result != -EPIPE)
		return result;
	r->ended = true;
	return 0;
}

static const struct script_verb verbs[] = {
	{ "limit", "seconds", check_seconds, step_limit },
	{ "wait", "a text", check_text, step_wait },
	{ "type", NULL, NULL, step_type },
	{ "press", "a text, with \\n \\r \\t \\e \\\\ \\xHH for keys", check_keys, step_press },
	{ "pause", "seconds", check_seconds, step_pause },
	{ "login", "USER PASSWORD", check_login, step_login },
	{ "rescue", "shell", check_text, step_rescue },
	{ "run", "a command", check_text, step_run },
	{ "fails", "a command", check_text, step_fails },
	{ "shows", "a text", check_text, step_shows },
	{ "capture", "a file", check_text, step_capture },
	{ "control", "words for the guest's management console", check_text, step_control },
	{ "ends", "seconds", check_seconds, step_ends },
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))
_Static_assert(VERB_COUNT <= (size_t)SCRIPT_KEYS_MAX, "script.h: SCRIPT_KEYS_MAX");

/* ---- reading and running ---- */

size_t script_keys(struct ini_key *keys)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		keys[i] = (struct ini_key) { .key = verbs[i].key,
					     .expected = verbs[i].expected,
					     .check = verbs[i].check,
					     .repeats = true };
	return VERB_COUNT;
}

void script_add(struct script *s, const char *key, const char *value, unsigned line)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (!streq(verbs[i].key, key))
			continue;
		s->steps = xgrow(s->steps, s->count + 1, &s->capacity, sizeof(s->steps[0]));
		s->steps[s->count++] =
			(struct script_step) { .verb = &verbs[i], .value = xstrdup(value), .line = line };
	}
}

void script_from_section(const struct ini *ini, const struct ini_section *section, struct script *s)
{
	if (!s->file)
		s->file = xstrdup(ini->file);
	for (size_t i = 0; i < section->count; i++)
		script_add(s, section->entries[i].key, section->entries[i].value, section->entries[i].line);
}

int script_load(const char *path, struct script *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	struct ini_key keys[SCRIPT_KEYS_MAX + 1] = { 0 };
	const struct ini_schema schemas[] = { { "script", false, keys }, { NULL } };
	int r = ini_parse_at(AT_FDCWD, path, &ini, e);

	(void)script_keys(keys);
	if (r == 0)
		r = ini_check(&ini, schemas, e);
	if (r < 0)
		return r;
	if (ini.count == 0)
		return error_text(e, EINVAL, "%s: empty; expected [script] with steps below it", path);
	script_from_section(&ini, &ini.sections[0], ret);
	return 0;
}

int script_run(const struct script *s, const struct script_guest *guest, bool *ret_ended, struct error *e)
{
	_cleanup_(runner) struct runner r = { .guest = guest,
					      .limit = guest->limit ? guest->limit : default_limit };

	for (size_t i = 0; i < s->count; i++) {
		const struct script_step *step = &s->steps[i];
		int result = step->verb->run(&r, step->value, e);

		if (result == -EINTR)
			return result;
		if (result < 0) {
			error_prefix(e, "%s:%u: %s", s->file, step->line, step->verb->key);
			return result;
		}
	}
	*ret_ended = r.ended;
	return 0;
}

int script_rescue_shell(struct console *console, unsigned seconds, struct error *e)
{
	static const char *const begins[] = { "Ctrl-C stops it.", "LIFEBOAT READY", NULL };
	const struct script_guest guest = { .console = console };
	_cleanup_(runner) struct runner r = { .guest = &guest, .limit = seconds };
	unsigned which;
	int result = console_wait(console, begins, seconds, &which, e);

	if (result == 0 && which == 0)
		result = console_type(console, "\003", seconds, e);
	if (result == 0 && which == 0)
		result = wait_for(&r, begins[1], e);
	return result < 0 ? result : menu_shell(&r, ":", e);
}

int script_command(struct console *console, const char *command, unsigned seconds, char **ret_output,
		   int *ret_status, struct error *e)
{
	const struct script_guest guest = { .console = console };
	_cleanup_(runner) struct runner r = { .guest = &guest, .limit = seconds };
	int result = run_command(&r, command, ret_status, e);

	if (result == 0)
		*ret_output = TAKE_PTR(r.output);
	return result;
}

void script_free(struct script *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->steps[i].value);
	free(s->steps);
	free(s->file);
	*s = (struct script) { 0 };
}
