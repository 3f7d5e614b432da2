#include "guest/drill.h"

#include "conf/ini.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int check_text(const char *value)
{
	return *value ? 0 : -EINVAL;
}

static int check_name(const char *value)
{
	for (const char *p = value; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *p))
			return -EINVAL;
	return *value ? 0 : -EINVAL;
}

static int check_disks(const char *value)
{
	_cleanup_(strlist) struct strlist sizes = { 0 };
	uint64_t bytes;

	strlist_add_words(&sizes, value);
	for (size_t i = 0; i < sizes.count; i++)
		if (parse_size(sizes.items[i], &bytes) < 0 || bytes == 0)
			return -EINVAL;
	return sizes.count && sizes.count <= 8 ? 0 : -EINVAL;
}

static int check_boot(const char *value)
{
	return streq(value, "machine") || streq(value, "rescue") ? 0 : -EINVAL;
}

static int check_yes(const char *value)
{
	return streq(value, "yes") ? 0 : -EINVAL;
}

static int check_firmware(const char *value)
{
	return streq(value, "bios") || streq(value, "uefi") ? 0 : -EINVAL;
}

static const struct ini_key drill_keys[] = {
	{ "title", "a line", check_text },
	{ "machine", "a name of lower-case letters, digits and '-'", check_name },
	{ "firmware", "bios or uefi", check_firmware },
	{ "disks", "up to eight sizes, such as 64M", check_disks },
	{ "symptom", "a text that the console shows while the machine is broken", check_text, true },
	{ "exercise", "what is to be done, a paragraph", check_text, true },
	{ "hint", "a paragraph", check_text, true },
	{ NULL },
};
static const struct ini_key phase_keys[] = {
	{ "boot", "machine or rescue", check_boot },
	{ "append", "words for the kernel", check_text },
	{ "clean", "yes", check_yes },
};
enum { PHASE_KEYS = sizeof(phase_keys) / sizeof(phase_keys[0]) };

static int check_file(const struct ini *ini, struct error *e)
{
	struct ini_key phase[PHASE_KEYS + SCRIPT_KEYS_MAX + 1] = { 0 };
	const struct ini_schema schemas[] = { { "drill", false, drill_keys },
					      { "break", false, phase },
					      { "cure", false, phase },
					      { "check", false, phase },
					      { NULL } };

	memcpy(phase, phase_keys, sizeof(phase_keys));
	(void)script_keys(&phase[PHASE_KEYS]);
	return ini_check(ini, schemas, e);
}

static const struct ini_section *section(const struct ini *ini, const char *kind)
{
	for (size_t i = 0; i < ini->count; i++)
		if (streq(ini->sections[i].kind, kind))
			return &ini->sections[i];
	return NULL;
}

static int take_phase(const struct ini *ini, const char *kind, struct drill_phase *ret, struct error *e)
{
	const struct ini_section *s = section(ini, kind);
	const char *boot = s ? ini_get(s, "boot") : NULL, *append = s ? ini_get(s, "append") : NULL;

	if (!s)
		return error_text(e, EINVAL, "%s: no [%s]; a drill has [drill], [break], [cure] and [check]",
				  ini->file, kind);
	ret->clean = ini_get(s, "clean") != NULL;
	if (boot && streq(boot, "rescue")) /* its menu is not what is practised */
		script_add(&ret->script, "rescue", "shell", s->line);
	script_from_section(ini, s, &ret->script);
	if (boot && streq(boot, "rescue")) /* a guest of qemu is ended as by a cut of power */
		script_add(&ret->script, "run", "sync", s->line);
	if (boot)
		ret->boot = streq(boot, "rescue") ? DRILL_BOOT_RESCUE : DRILL_BOOT_MACHINE;
	else if (!ret->clean || ret->script.count)
		return ini_error(ini, s->line, e, "[%s] has no boot; expected boot = machine or rescue",
				 kind);
	ret->append = append ? xstrdup(append) : NULL;
	return 0;
}

static void take_texts(const struct ini_section *s, const char *key, struct strlist *ret)
{
	for (size_t i = 0; i < s->count; i++)
		if (streq(s->entries[i].key, key))
			strlist_add(ret, s->entries[i].value);
}

static int take_drill(const struct ini *ini, struct drill *d, struct error *e)
{
	const struct ini_section *s = section(ini, "drill");
	const char *machine = s ? ini_get(s, "machine") : NULL;

	if (!s || !ini_get(s, "title") || !ini_get(s, "symptom") || !ini_get(s, "exercise"))
		return error_text(e, EINVAL, "%s: [drill] needs title, symptom and exercise", ini->file);
	d->title = xstrdup(ini_get(s, "title"));
	d->machine = xstrdup(machine ? machine : "debian");
	d->uefi = ini_get(s, "firmware") && streq(ini_get(s, "firmware"), "uefi");
	if (ini_get(s, "disks"))
		strlist_add_words(&d->disks, ini_get(s, "disks"));
	take_texts(s, "symptom", &d->symptoms);
	take_texts(s, "exercise", &d->exercise);
	take_texts(s, "hint", &d->hints);
	int r = take_phase(ini, "break", &d->breaking, e);

	if (r == 0)
		r = take_phase(ini, "cure", &d->cure, e);
	return r < 0 ? r : take_phase(ini, "check", &d->check, e);
}

/* The caller frees; NULL: it is nowhere. */
static char *find_file(const char *folder, const char *name)
{
	const char *const folders[] = { DRILL_FOLDER_SITE, folder };

	if (strchr(name, '/'))
		return xstrdup(name);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s.conf", folders[i], name);

		if (access(path, F_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

/* A path's last part, without what every drill's file ends in. */
static char *plain_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	size_t n;

	name = slash ? slash + 1 : name;
	n = strlen(name);
	return xstrndup(name, str_ends(name, ".conf") ? n - strlen(".conf") : n);
}

int drill_load(const char *folder, const char *name, struct drill *ret, struct error *e)
{
	_cleanup_(drill) struct drill d = { .name = plain_name(name), .file = find_file(folder, name) };
	_cleanup_(ini) struct ini ini = INI_NONE;

	if (!d.file)
		return error_text(e, ENOENT, "no drill '%s' in %s or %s; 'lifeboat drill --list' shows them",
				  name, DRILL_FOLDER_SITE, folder);
	int r = ini_parse_at(AT_FDCWD, d.file, &ini, e);

	if (r == 0)
		r = check_file(&ini, e);
	if (r == 0)
		r = take_drill(&ini, &d, e);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct drill) { 0 };
	return 0;
}

void drill_names(const char *folder, struct strlist *ret)
{
	const char *const folders[] = { DRILL_FOLDER_SITE, folder };

	for (size_t i = 0; i < 2; i++) {
		DIR *d = opendir(folders[i]);

		for (const struct dirent *entry; d && (entry = readdir(d));) {
			size_t n = strlen(entry->d_name);
			_cleanup_(free) char *name = NULL;

			if (entry->d_name[0] == '.' || !str_ends(entry->d_name, ".conf"))
				continue;
			name = xstrndup(entry->d_name, n - strlen(".conf"));
			strlist_add_once(ret, name);
		}
		if (d)
			(void)closedir(d); /* read side */
	}
	strlist_sort(ret);
}

static void phase_free(struct drill_phase *p)
{
	free(p->append);
	script_free(&p->script);
}

void drill_free(struct drill *d)
{
	free(d->name);
	free(d->file);
	free(d->title);
	free(d->machine);
	strlist_free(&d->disks);
	strlist_free(&d->symptoms);
	strlist_free(&d->exercise);
	strlist_free(&d->hints);
	phase_free(&d->breaking);
	phase_free(&d->cure);
	phase_free(&d->check);
	*d = (struct drill) { 0 };
}
