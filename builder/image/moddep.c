#include "image/moddep.h"

#include "base/str.h"

#include <errno.h>

void moddep_free(struct moddep *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->list[i].name);
	free(d->list);
	free(d->needs);
	free(d->text);
	map_free(&d->by_name);
	*d = (struct moddep) { 0 };
}

size_t moddep_plain_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *suffix = strstr(slash ? slash : path, ".ko");

	return suffix ? (size_t)(suffix - path) + strlen(".ko") : strlen(path);
}

char *moddep_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *suffix = strstr(base, ".ko");
	char *name = xstrndup(base, suffix ? (size_t)(suffix - base) : strlen(base));

	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return name;
}

/* Where the modules are taken from and put to is a matter of these paths. */
static bool is_module_inside(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path, *suffix = strstr(base, ".ko");

	return *path != '/' && !str_after(path, "../") && !strstr(path, "/../") && suffix && suffix > base;
}

/* The first pass: a module per line, `needs` still as text behind it. */
static int parse_line(struct moddep *d, char *line, const char *shown, struct error *e)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return error_text(e, EINVAL, "%s:%zu: no ':' behind the module's path", shown, d->count + 1);
	*colon = '\0';
	if (!is_module_inside(line))
		return error_text(e, EINVAL, "%s:%zu: '%.100s' is not the path of a module below this folder",
				  shown, d->count + 1, line);
	d->list = xgrow(d->list, d->count + 1, &d->capacity, sizeof(*d->list));
	d->list[d->count++] = (struct moddep_module) { .name = moddep_name(line), .path = line };
	return 0;
}

/* The second pass, when every line has its module. `by_path` holds places plus one. */
static int parse_needs(struct moddep *d, size_t at, const struct map *by_path, size_t *used,
		       const char *shown, struct error *e)
{
	struct moddep_module *module = &d->list[at];
	char *rest = (char *)module->path + strlen(module->path) + 1;

	module->needs = d->needs + *used;
	for (char *word; (word = strsep(&rest, " \t"));) {
		if (!*word)
			continue;
		size_t place = (size_t)map_get(by_path, word);

		if (!place)
			return error_text(e, EINVAL,
					  "%s:%zu: it needs '%.100s', which has no line of its own", shown,
					  at + 1, word);
		d->needs[(*used)++] = (uint32_t)(place - 1);
		module->need_count++;
	}
	return 0;
}

/* There are no more words than this: each stands behind a blank or a colon. */
static size_t count_words(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == ' ' || *text == '\t' || *text == ':';
	return n;
}

int moddep_parse(char *text, const char *shown, struct moddep *ret, struct error *e)
{
	_cleanup_(moddep) struct moddep d = { .text = text };
	_cleanup_(map) struct map by_path = { 0 };
	size_t used = 0;
	int r = 0;

	d.needs = xcalloc(count_words(text) + 1, sizeof(*d.needs));
	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));)
		if (*line || (rest && *rest))
			r = parse_line(&d, line, shown, e);
	for (size_t i = 0; r == 0 && i < d.count; i++) {
		map_put(&by_path, d.list[i].path, (void *)(i + 1));
		if (!map_get(&d.by_name, d.list[i].name))
			map_put(&d.by_name, d.list[i].name, &d.list[i]);
	}
	for (size_t i = 0; r == 0 && i < d.count; i++)
		r = parse_needs(&d, i, &by_path, &used, shown, e);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct moddep) { 0 };
	return 0;
}
