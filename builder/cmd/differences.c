#include "cmd/differences.h"

#include "conf/ini.h"

#include <errno.h>

enum { hex_len = 64, name_at = hex_len + 4 /* "  ./" */ };

/* ---- files ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a + name_at, *(char *const *)b + name_at);
}

/* Lines that are none are left out: nothing is concluded from them. */
static void take_lines(const char *text, const char *skip, struct strlist *ret)
{
	_cleanup_(strlist) struct strlist lines = { 0 };

	strlist_add_parts(&lines, text, '\n');
	for (size_t i = 0; i < lines.count; i++) {
		const char *line = lines.items[i];

		if (strlen(line) > name_at && str_after(line + hex_len, "  ./") &&
		    !(skip && str_after(line + name_at, skip)))
			strlist_add(ret, line);
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), compare_names);
}

static bool is_module(const char *name)
{
	return strstr(name, "lib/modules/") != NULL;
}

void differences_of_files(const char *then, const char *now, const char *skip, struct strlist *ret)
{
	_cleanup_(strlist) struct strlist a = { 0 }, b = { 0 };

	take_lines(then, skip, &a);
	take_lines(now, skip, &b);
	for (size_t i = 0, j = 0; i < a.count || j < b.count;) {
		int order = i == a.count ? 1 : j == b.count ? -1 : compare_names(&a.items[i], &b.items[j]);
		const char *name = (order <= 0 ? a.items[i] : b.items[j]) + name_at;

		if (order < 0 && !is_module(name))
			strlist_addf(ret, "/%s is on the stick and would not be any more", name);
		else if (order > 0)
			strlist_addf(ret, "/%s is not on the stick and would be now", name);
		else if (order == 0 && strncmp(a.items[i], b.items[j], hex_len) != 0)
			strlist_addf(ret, "/%s has changed", name);
		i += order <= 0;
		j += order >= 0;
	}
}

/* ---- machines ---- */

static bool is_ignored(const char *key)
{
	static const char *const keys[] = { "created",        "kernel",
					    "size",           "used",
					    "fs.blocks",      "fs.inodes",
					    "fs.inodes-used", "fs.reserved-blocks",
					    "fs.journal-mib" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (streq(key, keys[i]))
			return true;
	return false;
}

/* All its values, which may be several. NULL: it has none. The caller frees. */
static char *values_of(const struct ini_section *s, const char *key)
{
	_cleanup_(strlist) struct strlist values = { 0 };

	for (size_t i = 0; i < s->count; i++)
		if (streq(s->entries[i].key, key))
			strlist_add(&values, s->entries[i].value);
	return values.count ? strlist_join(&values, ", ") : NULL;
}

static void compare_key(const struct ini_section *then, const struct ini_section *now, const char *key,
			struct strlist *ret)
{
	_cleanup_(free) char *was = values_of(then, key), *is = values_of(now, key);

	if (is_ignored(key) || (was && is && streq(was, is)))
		return;
	strlist_addf(ret, "machine: %s%s%s: %s was %s, is %s", then->kind, *then->name ? " " : "", then->name,
		     key, was ? was : "not set", is ? is : "not set");
}

static void compare_sections(const struct ini_section *then, const struct ini_section *now,
			     struct strlist *ret)
{
	_cleanup_(strlist) struct strlist keys = { 0 };

	for (size_t i = 0; i < then->count; i++)
		strlist_add_once(&keys, then->entries[i].key);
	for (size_t i = 0; i < now->count; i++)
		strlist_add_once(&keys, now->entries[i].key);
	for (size_t i = 0; i < keys.count; i++)
		compare_key(then, now, keys.items[i], ret);
}

int differences_of_machines(const char *then, const char *now, struct strlist *ret, struct error *e)
{
	_cleanup_(ini) struct ini a = INI_NONE, b = INI_NONE;
	int r = ini_parse_text("the recorded machine.conf", then, &a, e);

	if (r == 0)
		r = ini_parse_text("this machine", now, &b, e);
	for (size_t i = 0; r == 0 && i < a.count; i++) {
		const struct ini_section *s = &a.sections[i], *same = ini_same_section(&b, s);

		if (same)
			compare_sections(s, same, ret);
		else
			strlist_addf(ret, "machine: %s %s is gone", s->kind, s->name);
	}
	for (size_t i = 0; r == 0 && i < b.count; i++)
		if (!ini_same_section(&a, &b.sections[i]))
			strlist_addf(ret, "machine: %s %s is new", b.sections[i].kind, b.sections[i].name);
	return r;
}
