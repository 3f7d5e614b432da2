/* What a machine that starts says on its console and its screen: why it will not come up, and what of it failed. */
#include "guest/proof_run.h"

#define SYSTEMD_EVIDENCE "Timed out waiting for device", "Failed to mount", "Dependency failed for"

/* What shows that it will not come up, on the serial console or the screen; and the beginnings of the lines that say why, the one that
 * says most first. */
static const struct symptom {
	const char *text, *meaning, *evidence[3];
} symptoms[] = {
	{ "Kernel panic - not syncing", "its kernel panicked", { "Kernel panic" } },
	{ "No bootable device", "the firmware finds nothing to boot on its disks", { NULL } },
	{ "Boot failed: not a bootable disk", "the firmware finds nothing to boot on its disks", { NULL } },
	{ "grub rescue>", "GRUB does not find its files", { "error: " } },
	{ "Minimal BASH-like line editing", "GRUB does not find its menu", { "error: " } },
	{ "UEFI Interactive Shell", "the firmware finds no boot loader", { NULL } },
	{ "No key available with this passphrase",
	  "the key file's passphrase does not open its disk",
	  { NULL } },
	{ "bad password or options?", "the key file's passphrase does not open its disk", { NULL } },
	{ "(initramfs)", "its initramfs does not find the root file system", { "ALERT!" } },
	{ "Gave up waiting for root", "its initramfs does not find the root file system", { "ALERT!" } },
	{ "You are in emergency mode", "systemd stopped in emergency mode", { SYSTEMD_EVIDENCE } },
	{ "Give root password for maintenance", "systemd stopped in emergency mode", { SYSTEMD_EVIDENCE } },
	{ "Cannot open access to console, the root account is locked",
	  "systemd stopped in emergency mode",
	  { SYSTEMD_EVIDENCE } },
};
enum { symptom_count = sizeof(symptoms) / sizeof(*symptoms) };

static const struct symptom *symptom_in(const char *text)
{
	for (size_t i = 0; i < symptom_count; i++)
		if (strstr(text, symptoms[i].text))
			return &symptoms[i];
	return NULL;
}

/* The line of a console that `at` stands in, from there on, without colours. The caller frees. */
static char *line_from(const char *at)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (; *at && *at != '\n' && *at != '\r'; at++) {
		if (at[0] == '\033' &&
		    at[1] == '[') { /* ECMA-48: a control sequence ends with 0x40 to 0x7e */
			for (at += 2; *at && (*at < '@' || *at > '~'); at++)
				;
			if (!*at)
				break;
		} else {
			strbuf_add(&b, at, 1);
		}
	}
	return str_printable(TAKE_PTR(b.data));
}

static const char *find_evidence(const struct symptom *s, const char *said, const char *screen)
{
	enum { count = sizeof(s->evidence) / sizeof(*s->evidence) };
	const char *at = NULL;

	for (size_t i = 0; i < count && s->evidence[i] && !at; i++) {
		at = strstr(said, s->evidence[i]);
		if (!at)
			at = strstr(screen, s->evidence[i]);
	}
	return at;
}

/* "its initramfs does not find the root file system (ALERT! UUID=… does not exist)". The caller frees. */
static char *explain(const struct symptom *s, const char *said, const char *screen)
{
	const char *at = find_evidence(s, said, screen);
	_cleanup_(free) char *line = at ? line_from(at) : NULL;

	return line ? xasprintf("%s (%s)", s->meaning, str_strip(line)) : xstrdup(s->meaning);
}

char *proof_symptom(const char *said, const char *screen)
{
	const struct symptom *s = symptom_in(said);

	if (!s)
		s = symptom_in(screen);
	return s ? explain(s, said, screen) : NULL;
}

/* Source: systemd's src/core/manager.c: "[FAILED] Failed to start NAME - what it is", in colours. */
void proof_failed_units(const char *text, struct strlist *ret)
{
	for (const char *at = text; (at = strstr(at, "Failed to ")); at += strlen("Failed to ")) {
		const char *begin = at;

		while (begin > text && begin[-1] != '\n')
			begin--;
		const char *mark = strstr(begin, "FAILED");

		if (!mark || mark > at)
			continue;
		_cleanup_(free) char *line = line_from(at);
		const char *stripped = str_strip(line);

		if (!strlist_has(ret, stripped))
			strlist_add(ret, stripped);
	}
}
