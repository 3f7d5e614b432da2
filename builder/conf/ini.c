#include "conf/ini.h"

#include "base/fs.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>

/* Names stay below what libinih keeps of a heading or a key before it cuts them silently. */
enum { max_file = 1 << 20, max_line = 65536, max_name = 48 };

/* What libinih's callbacks share. The library tells neither lines nor empty sections, so the
 * reader, which sees every line as it goes by, keeps both. */
struct parse {
	struct ini *ini;
	const char *next; /* the text that is still to be read */
	unsigned line; /* of the line last handed out */
	unsigned heading; /* line of the last heading, 0 before the first */
	bool continued; /* the line last handed out is indented */
	struct error *e;
	int failed; /* 0 or the negative errno that is in `e` */
};

int ini_error(const struct ini *ini, unsigned line, struct error *e, const char *fmt, ...)
{
	_cleanup_(free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return error_text(e, EINVAL, "%s:%u: %s", ini->file, line, text ? text : "bad value");
}

static struct ini_section *last_section(struct ini *ini)
{
	return ini->count ? &ini->sections[ini->count - 1] : NULL;
}

/* A heading without any key means nothing, and hides a misspelt one. */
static int check_not_empty(struct parse *p)
{
	const struct ini_section *s = last_section(p->ini);

	if (p->heading == 0 || (s && s->line == p->heading))
		return 0;
	return ini_error(p->ini, p->heading, p->e, "empty section; expected key = value below it");
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > max_name)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(".-_", *s))
			return false;
	return true;
}

/* [kind] or [kind NAME]: NAME is any printable text without `]`. */
static bool is_heading(const char *s)
{
	size_t n = strcspn(s, " \t");
	_cleanup_(free) char *kind = xstrndup(s, n);

	if (strlen(s) > max_name || !is_name(kind))
		return false;
	for (; *s; s++)
		if (iscntrl((unsigned char)*s) || *s == '[' || *s == ']')
			return false;
	return true;
}

/* `text` follows the bracket that opens a heading. */
static int take_heading(struct parse *p, const char *text)
{
	int r = check_not_empty(p);

	if (r < 0)
		return r;
	_cleanup_(free) char *heading = xstrndup(text, strcspn(text, "]"));
	const char *rest = text + strcspn(text, "]");

	p->heading = p->line;
	if (*rest == ']')
		rest += 1 + strspn(rest + 1, " \t\r\n");
	else
		rest = "?";
	if (!is_heading(heading) || (*rest && *rest != '#'))
		return ini_error(p->ini, p->line, p->e,
				 "bad heading; expected [kind] or [kind NAME] of at most %d letters",
				 max_name);
	return 0;
}

static char *read_line(char *buf, int size, void *stream)
{
	struct parse *p = stream;

	if (p->failed || !*p->next)
		return NULL;
	size_t len = strcspn(p->next, "\n");

	p->line++;
	if (len + 2 > (size_t)size) {
		p->failed = ini_error(p->ini, p->line, p->e,
				      "line too long; expected at most %d bytes (an indented line goes on)",
				      size - 2);
		return NULL;
	}
	memcpy(buf, p->next, len);
	memcpy(buf + len, "\n", 2);
	/* what libinih skips at the beginning of a line */
	const char *start = buf + strspn(buf, " \t\r\v\f");

	p->continued = start > buf;
	if (*start == '[') {
		p->failed = take_heading(p, start + 1);
		if (p->failed)
			return NULL;
	}
	p->next += len + (p->next[len] == '\n');
	return buf;
}

static struct ini_section *open_section(struct ini *ini, const char *heading, unsigned line)
{
	size_t n = strcspn(heading, " \t");
	_cleanup_(free) char *kind = xstrndup(heading, n);
	struct ini_section *s = ini_add_section(ini, kind, heading + n + strspn(heading + n, " \t"));

	s->line = line;
	return s;
}

static int on_entry(void *user, const char *heading, const char *key, const char *value)
{
	struct parse *p = user;
	struct ini_section *s = last_section(p->ini);

	if (p->failed)
		return 0;
	if (p->heading == 0) {
		p->failed = ini_error(p->ini, p->line, p->e, "key before any section; expected [section]");
		return 0;
	}
	if (!s || s->line != p->heading)
		s = open_section(p->ini, heading, p->heading);
	if (!is_name(key)) {
		p->failed = ini_error(p->ini, p->line, p->e,
				      "bad key; expected letters, digits, '.', '-' and '_' before the =");
		return 0;
	}
	if (p->continued && s->count && streq(s->entries[s->count - 1].key, key)) {
		struct ini_entry *entry = &s->entries[s->count - 1];
		char *joined = xasprintf("%s%s%s", entry->value, *entry->value ? " " : "", value);

		free(entry->value);
		entry->value = joined;
		return 1;
	}
	ini_set(s, key, value);
	s->entries[s->count - 1].line = p->line;
	return 1;
}

int ini_parse_text(const char *file, const char *text, struct ini *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = { .file = xstrdup(file) };
	struct parse p = { .ini = &ini, .next = text, .e = e };

	/* Debian's libinih is configured at run time, through globals; this is our grammar. */
	static char comment_mark[] = "#";

	ini_use_stack = false;
	ini_max_line = ini_initial_alloc = max_line;
	ini_allow_inline_comments = true;
	ini_inline_comment_prefixes = comment_mark;
	ini_start_comment_prefixes = comment_mark;
	ini_stop_on_first_error = true;
	int line = ini_parse_stream(read_line, &p, on_entry, &p);

	if (!p.failed && line == 0)
		p.failed = check_not_empty(&p);
	if (p.failed)
		return p.failed;
	if (line < 0)
		return error_errno(e, ENOMEM, "parse %s", file);
	if (line > 0)
		return ini_error(&ini, (unsigned)line, e,
				 "not understood; expected [section], key = value or # comment");
	*ret = ini;
	ini = (struct ini)INI_NONE;
	return 0;
}

int ini_parse_at(int dirfd, const char *path, struct ini *ret, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	size_t len;
	int r = read_file_at(dirfd, path, max_file, &text, &len, e);

	if (r < 0)
		return r;
	if (strlen(text) != len)
		return error_text(e, EINVAL, "%s: holds NUL bytes; expected text", path);
	return ini_parse_text(path, text, ret, e);
}

static void section_free(struct ini_section *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->entries[i].key);
		free(s->entries[i].value);
	}
	free(s->entries);
	free(s->kind);
	free(s->name);
}

void ini_free(struct ini *ini)
{
	for (size_t i = 0; i < ini->count; i++)
		section_free(&ini->sections[i]);
	free(ini->sections);
	free(ini->file);
	*ini = (struct ini)INI_NONE;
}

const struct ini_section *ini_same_section(const struct ini *ini, const struct ini_section *like)
{
	for (size_t i = 0; i < ini->count; i++)
		if (streq(ini->sections[i].kind, like->kind) && streq(ini->sections[i].name, like->name))
			return &ini->sections[i];
	return NULL;
}

const struct ini_entry *ini_entry(const struct ini_section *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (streq(s->entries[i].key, key))
			return &s->entries[i];
	return NULL;
}

const char *ini_get(const struct ini_section *s, const char *key)
{
	const struct ini_entry *entry = ini_entry(s, key);

	return entry ? entry->value : NULL;
}

static const struct ini_schema *find_schema(const struct ini_schema *schemas, const char *kind)
{
	for (; schemas->kind; schemas++)
		if (streq(schemas->kind, kind))
			return schemas;
	return NULL;
}

/* "a, b, c": what could have stood there. */
static char *list_kinds(const struct ini_schema *schemas)
{
	struct strbuf b = { 0 };

	for (const struct ini_schema *s = schemas; s->kind; s++)
		strbuf_printf(&b, "%s[%s%s]", s == schemas ? "" : ", ", s->kind, s->named ? " NAME" : "");
	return b.data;
}

static char *list_keys(const struct ini_key *keys)
{
	struct strbuf b = { 0 };

	for (const struct ini_key *k = keys; k->key; k++)
		strbuf_printf(&b, "%s%s", k == keys ? "" : ", ", k->key);
	return b.data;
}

static int check_entry(const struct ini *ini, const struct ini_section *s, size_t index,
		       const struct ini_schema *schema, struct error *e)
{
	const struct ini_entry *entry = &s->entries[index];
	const struct ini_key *k = schema->keys;

	while (k->key && !streq(k->key, entry->key) && !streq(k->key, "*"))
		k++;
	if (!k->key) {
		_cleanup_(free) char *known = list_keys(schema->keys);

		return ini_error(ini, entry->line, e, "unknown key '%s' in [%s]; expected one of: %s",
				 entry->key, s->kind, known);
	}
	if (!k->repeats && ini_entry(s, entry->key) != entry)
		return ini_error(ini, entry->line, e, "'%s' is set twice; first on line %u", entry->key,
				 ini_entry(s, entry->key)->line);
	if (k->check && k->check(entry->value) < 0)
		return ini_error(ini, entry->line, e, "bad value '%s' for '%s'; expected %s", entry->value,
				 entry->key, k->expected);
	return 0;
}

static int check_section(const struct ini *ini, size_t index, const struct ini_schema *schemas,
			 struct error *e)
{
	const struct ini_section *s = &ini->sections[index];
	const struct ini_schema *schema = find_schema(schemas, s->kind);

	if (!schema) {
		_cleanup_(free) char *known = list_kinds(schemas);

		return ini_error(ini, s->line, e, "unknown section [%s]; expected one of: %s", s->kind,
				 known);
	}
	if (schema->named != (*s->name != '\0'))
		return ini_error(ini, s->line, e, "section [%s%s%s]; expected [%s%s]", s->kind,
				 *s->name ? " " : "", s->name, s->kind, schema->named ? " NAME" : "");
	for (size_t i = 0; i < index; i++)
		if (streq(ini->sections[i].kind, s->kind) && streq(ini->sections[i].name, s->name))
			return ini_error(ini, s->line, e, "section [%s%s%s] is there twice; first on line %u",
					 s->kind, *s->name ? " " : "", s->name, ini->sections[i].line);
	for (size_t i = 0; i < s->count; i++) {
		int r = check_entry(ini, s, i, schema, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int ini_check(const struct ini *ini, const struct ini_schema *schemas, struct error *e)
{
	for (size_t i = 0; i < ini->count; i++) {
		int r = check_section(ini, i, schemas, e);

		if (r < 0)
			return r;
	}
	return 0;
}

struct ini_section *ini_add_section(struct ini *ini, const char *kind, const char *name)
{
	ini->sections = xgrow(ini->sections, ini->count + 1, &ini->capacity, sizeof(*ini->sections));
	struct ini_section *s = &ini->sections[ini->count++];

	*s = (struct ini_section) { .kind = xstrdup(kind), .name = xstrdup(name ? name : "") };
	return s;
}

void ini_set(struct ini_section *s, const char *key, const char *value)
{
	s->entries = xgrow(s->entries, s->count + 1, &s->capacity, sizeof(*s->entries));
	s->entries[s->count++] = (struct ini_entry) { .key = xstrdup(key), .value = xstrdup(value) };
}

void ini_setf(struct ini_section *s, const char *key, const char *fmt, ...)
{
	_cleanup_(free) char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort(); /* as every allocation failure, see base/str.h */
	va_end(ap);
	ini_set(s, key, value);
}

static bool writable(const char *value)
{
	size_t n = strlen(value);

	if (n > max_line / 2 || strpbrk(value, "\r\n"))
		return false;
	if (n &&
	    (isspace((unsigned char)value[0]) || isspace((unsigned char)value[n - 1]) || value[0] == '#'))
		return false;
	for (const char *p = value; (p = strchr(p, '#')); p++)
		if (p > value && isspace((unsigned char)p[-1]))
			return false;
	return true;
}

int ini_format(const struct ini *ini, struct strbuf *ret, struct error *e)
{
	for (size_t i = 0; i < ini->count; i++) {
		const struct ini_section *s = &ini->sections[i];

		strbuf_printf(ret, "%s[%s%s%s]\n", i ? "\n" : "", s->kind, *s->name ? " " : "", s->name);
		for (size_t k = 0; k < s->count; k++) {
			if (!writable(s->entries[k].value))
				return error_text(e, EINVAL,
						  "write %s: the value of '%s' in [%s %s] cannot be written",
						  ini->file ? ini->file : "configuration", s->entries[k].key,
						  s->kind, s->name);
			strbuf_printf(ret, "%s = %s\n", s->entries[k].key, s->entries[k].value);
		}
	}
	return 0;
}
