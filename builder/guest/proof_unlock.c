/* A recovered machine that asks for a passphrase when it starts: it is typed, as a person would, on its serial console or on its
 * keyboard. */
#include "guest/proof_run.h"

#include "guest/console.h"
#include "guest/guest.h"
#include "guest/qmp.h"

#include <errno.h>
#include <fcntl.h>

static const unsigned type_seconds = 30;
static const unsigned settle_milliseconds = 500; /* what is typed before it listens is thrown away */
enum { passphrase_max = 512 }; /* cryptsetup's own limit of one that is typed (its lib/utils_crypt.h) */

/* How it asks: Debian's and others' initramfs, systemd, GRUB and cryptsetup itself. */
static const char *const questions[] = { "Please unlock disk ", "Please enter passphrase for disk ",
					 "Enter passphrase for " };

/* Where the last question that is not answered begins, behind `from`; NULL: there is none. */
static const char *find_question(const char *text, size_t from)
{
	const char *last = NULL;

	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
		for (const char *at = strlen(text) > from ? text + from : NULL;
		     at && (at = strstr(at, questions[i])); at++)
			if (strchr(at, ':') && (!last || at > last))
				last = at;
	return last;
}

/* The caller frees, and wipes it. */
static int read_passphrase(const char *key_file, char **ret, struct error *e)
{
	_cleanup_(free) char *key = NULL;
	size_t len;
	int r = read_file_at(AT_FDCWD, key_file, passphrase_max, &key, &len, e);

	if (r < 0)
		return r;
	if (len && key[len - 1] == '\n')
		key[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (key[i] < ' ' || key[i] > '~') {
			explicit_bzero(key, len);
			return error_text(
				e, EINVAL,
				"what the key file %s holds cannot be typed: not only ASCII letters",
				key_file);
		}
	*ret = TAKE_PTR(key);
	return 0;
}

static int answer(const struct proof_run *run, const struct guest_live *guest, bool serial, struct error *e)
{
	_cleanup_(free) char *key = NULL, *line = NULL;
	int r = read_passphrase(run->wanted->key_file, &key, e);

	if (r < 0)
		return r;
	line = xasprintf("%s\n", key);
	r = console_pause(guest->console, settle_milliseconds, e);
	if (r == 0)
		r = serial ? console_type(guest->console, line, type_seconds, e)
			   : qmp_type(guest->monitor, line, e);
	explicit_bzero(key, strlen(key));
	explicit_bzero(line, strlen(line));
	return r;
}

/* What it asks, without what follows. The caller frees. */
static char *question_line(const char *question)
{
	return str_printable(xstrndup(question, strcspn(question, ":\r\n")));
}

int proof_unlock(struct proof_run *run, const struct guest_live *guest, const char *said, const char *screen,
		 struct proof_asked *asked, struct error *e)
{
	const char *serial = find_question(said, asked->said), *question = serial;
	_cleanup_(free) char *line = NULL;

	if (!question)
		question = find_question(screen, 0);
	if (!question)
		return 0;
	line = question_line(question);
	/* on a screen it stands until something comes below it */
	if (!serial && asked->screen && streq(asked->screen, line))
		return 0;
	if (!run->wanted->key_file)
		return error_text(e, ENOKEY, "it asks '%s', and there is no --key-file", line);
	int r = answer(run, guest, serial != NULL, e);

	if (r < 0)
		return r;
	asked->said = strlen(said);
	free(asked->screen);
	asked->screen = TAKE_PTR(line);
	proof_add_event(run->proof, "asked '%s', and was given the key file's passphrase", asked->screen);
	return 1;
}

void proof_asked_free(struct proof_asked *a)
{
	free(a->screen);
	*a = (struct proof_asked) { 0 };
}
