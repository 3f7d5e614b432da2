/* Values of machine.conf: their forms, and reading them. */
#include "machine/conf_parse.h"

#include "machine/text.h"

#include <errno.h>

int conf_check_text(const char *value)
{
	_cleanup_(free) char *text = NULL;

	return text_unescape(value, &text);
}

int conf_check_yes_no(const char *value)
{
	bool ignored;

	return parse_bool(value, &ignored);
}

int conf_check_positive(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v == 0 ? -EINVAL : 0;
}

/* What off_t holds: sums of two of them fit into 64 bits. */
int conf_check_bytes(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v == 0 || v > INT64_MAX ? -EINVAL : 0;
}

/* Absolute and without tricks: recovery mounts there, below its own folder. */
int conf_check_path(const char *value)
{
	if (*value != '/')
		return -EINVAL;
	if (!value[1])
		return 0;
	for (const char *p = value; *p;) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		p += n;
	}
	return conf_check_text(value);
}

/* A part of file names. */
int conf_check_stream(const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *value && !value[strspn(value, allowed)] ? 0 : -EINVAL;
}

char *conf_text(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);
	char *text = NULL;

	if (value && text_unescape(value, &text) < 0)
		return xstrdup(value); /* the schema has refused it before */
	return text;
}

uint64_t conf_number(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);
	uint64_t v = 0;

	if (value && parse_u64(value, &v) < 0)
		return 0; /* as above */
	return v;
}

bool conf_yes(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);

	return value && streq(value, "yes");
}

/* The line of a key, or of its section when it is not there. */
unsigned conf_line(const struct ini_section *s, const char *key)
{
	const struct ini_entry *entry = ini_entry(s, key);

	return entry ? entry->line : s->line;
}

int conf_require(const struct conf_parse *p, const char *const keys[])
{
	for (; *keys; keys++)
		if (!ini_entry(p->section, *keys))
			return ini_error(p->ini, p->section->line, p->e,
					 "[%s%s%s] lacks '%s'; expected %s = … below it", p->section->kind,
					 *p->section->name ? " " : "", p->section->name, *keys, *keys);
	return 0;
}

void conf_put(struct ini_section *s, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	_cleanup_(free) char *escaped = text_escape(value);

	ini_set(s, key, escaped);
}

void conf_split(const struct ini_section *s, const char *key, struct strlist *ret)
{
	const char *value = ini_get(s, key);

	for (const char *at = value ? value : ""; *at;) {
		size_t n = strcspn(at, ", ");

		if (n)
			strlist_take(ret, xstrndup(at, n));
		at += n + strspn(at + n, ", ");
	}
}

/* Names become nodes below /dev: no dots alone, no option of a program. */
static bool is_name(const char *name, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+";

	return len > 0 && strspn(name, allowed) >= len && *name != '-' && *name != '.';
}

/* One name, one device: [disk x] and [partition x] would be told apart by nothing. */
static int check_name(const struct conf_parse *p)
{
	const struct ini_section *s = p->section;
	const char *slash = streq(s->kind, "volume") ? strchr(s->name, '/') : NULL,
		   *last = slash ? slash + 1 : s->name;

	if (!is_name(last, strlen(last)) || (slash && !is_name(s->name, (size_t)(slash - s->name))))
		return ini_error(
			p->ini, s->line, p->e,
			"bad name '%s'; expected letters, digits, _, -, + and ., not beginning with - or .",
			s->name);
	if (streq(s->kind, "volume") && !slash)
		return ini_error(p->ini, s->line, p->e, "bad name '%s'; expected GROUP/NAME", s->name);
	if (machine_find(p->m, s->name))
		return ini_error(p->ini, s->line, p->e, "'%s' is there twice; expected a name of its own",
				 s->name);
	return 0;
}

int conf_require_named(const struct conf_parse *p, const char *const keys[])
{
	int r = conf_require(p, keys);

	return r < 0 ? r : check_name(p);
}

/* Groups of characters of a class, with `between` them; `lengths` ends with 0. */
int conf_check_groups(const char *value, const unsigned lengths[], char between, int (*is)(int))
{
	for (; *lengths; lengths++) {
		for (unsigned i = 0; i < *lengths; i++)
			if (!is((unsigned char)*value++)) /* not behind the end: that is no such character */
				return -EINVAL;
		if (lengths[1] && *value++ != between)
			return -EINVAL;
	}
	return *value ? -EINVAL : 0;
}

/* A power of two, as LVM wants extents and chunks to be. */
int conf_check_power(const char *value)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	return r < 0 ? r : v < 512 || v > (uint64_t)1 << 40 || (v & (v - 1)) ? -EINVAL : 0;
}
