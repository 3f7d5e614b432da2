/* SHA256SUMS and the names in a set. */
#include "backup/age.h"
#include "backup/set_private.h"

#include <ctype.h>
#include <errno.h>

void sums_free(struct sums *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i].name);
	free(s->items);
	*s = (struct sums) { 0 };
}

void sums_add(struct sums *s, const char *name, const char hex[DIGEST_HEX_SIZE])
{
	s->items = xgrow(s->items, s->count + 1, &s->capacity, sizeof(*s->items));
	struct sum *sum = &s->items[s->count++];

	sum->name = xstrdup(name);
	memcpy(sum->hex, hex, DIGEST_HEX_SIZE);
}

const struct sum *sums_find(const struct sums *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (streq(s->items[i].name, name))
			return &s->items[i];
	return NULL;
}

void sums_format(const struct sums *s, struct strbuf *ret)
{
	for (size_t i = 0; i < s->count; i++)
		strbuf_printf(ret, "%s  %s\n", s->items[i].hex, s->items[i].name);
}

/* One line, without its newline. False: not of the form. */
static bool parse_line(const char *line, struct sums *s)
{
	enum { digits = DIGEST_HEX_SIZE - 1 };
	char hex[DIGEST_HEX_SIZE];

	if (strspn(line, "0123456789abcdef") != digits || line[digits] != ' ' || line[digits + 1] != ' ')
		return false;
	const char *name = line + digits + 2;

	if (!set_name_good(name) || streq(name, SUMS_FILE) || sums_find(s, name))
		return false;
	memcpy(hex, line, digits);
	hex[digits] = '\0';
	sums_add(s, name, hex);
	return true;
}

int sums_parse(const char *text, const char *shown, struct sums *ret, struct error *e)
{
	_cleanup_(sums) struct sums s = { 0 };
	unsigned line = 0;

	while (*text) {
		const char *end = strchr(text, '\n');
		_cleanup_(free) char *one = xstrndup(text, end ? (size_t)(end - text) : strlen(text));

		line++;
		if (!end || !parse_line(one, &s))
			return error_text(e, EBADMSG, "%s/%s:%u: damaged; expected a SHA-256 and a file name",
					  shown, SUMS_FILE, line);
		text = end + 1;
	}
	*ret = s;
	s = (struct sums) { 0 };
	return 0;
}

bool set_name_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 200 || (!isalnum((unsigned char)*name) && *name != '_'))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-+", *name))
			return false;
	return true;
}

bool set_folder_name(const char *name, unsigned *ret_level, bool *ret_complete)
{
	static const char form[] = "ddddddddTddddddZ-d";

	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)name[i]) : name[i] != form[i])
			return false;
	const char *rest = name + strlen(form);

	if (*rest && !streq(rest, PARTIAL_SUFFIX))
		return false;
	if (ret_level)
		*ret_level = (unsigned)(rest[-1] - '0');
	if (ret_complete)
		*ret_complete = !*rest;
	return true;
}

bool chunk_is_sealed(const char *file)
{
	return str_ends(file, AGE_SUFFIX);
}

const struct sum *chunk_find(const struct sums *s, const char *name, const char *method, unsigned number)
{
	_cleanup_(free) char *file = xasprintf("%s.%s.zst.%03u" AGE_SUFFIX, name, method, number);
	const struct sum *sum = sums_find(s, file);

	if (sum)
		return sum;
	file[strlen(file) - strlen(AGE_SUFFIX)] = '\0';
	return sums_find(s, file);
}

int chunk_number(const char *file, const char *name, const char *method)
{
	const char *p = str_after(file, name);
	uint64_t n;

	if (!p || *p++ != '.' || !(p = str_after(p, method)) || !(p = str_after(p, ".zst.")))
		return -1;
	if (strlen(p) < 3 || (p[3] && !streq(p + 3, AGE_SUFFIX)))
		return -1;
	const char digits[] = { p[0], p[1], p[2], '\0' };

	if (parse_u64(digits, &n) < 0)
		return -1;
	return (int)n;
}
