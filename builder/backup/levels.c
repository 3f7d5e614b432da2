#include "backup/levels.h"

#include "backup/set_private.h"
#include "conf/ini.h"

#include <errno.h>

static void record_free(struct stream_record *r)
{
	free(r->name);
	free(r->method);
	free(r->identity);
	free(r->exclude);
}

void levels_free(struct levels *l)
{
	for (size_t i = 0; i < l->count; i++)
		record_free(&l->streams[i]);
	free(l->streams);
	free(l->base);
	*l = (struct levels) { 0 };
}

void levels_add(struct levels *l, struct stream_record *r)
{
	l->streams = xgrow(l->streams, l->count + 1, &l->capacity, sizeof(*l->streams));
	l->streams[l->count++] = *r;
	*r = (struct stream_record) { 0 };
}

const struct stream_record *levels_find(const struct levels *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (streq(l->streams[i].name, name))
			return &l->streams[i];
	return NULL;
}

void levels_exclusions(const struct levels *l, struct strlist *ret)
{
	for (size_t i = 0; i < l->count; i++) {
		_cleanup_(strlist) struct strlist words = { 0 };

		if (l->streams[i].exclude)
			strlist_add_words(&words, l->streams[i].exclude);
		for (size_t k = 0; k < words.count; k++)
			strlist_add_once(ret, words.items[k]);
	}
}

int levels_format(const struct levels *l, struct strbuf *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	struct ini_section *s = ini_add_section(&ini, "set", "");

	ini_setf(s, "level", "%u", l->level);
	if (l->base) {
		ini_set(s, "base", l->base);
		ini_set(s, "base-sums", l->base_sums);
	}
	for (size_t i = 0; i < l->count; i++) {
		const struct stream_record *r = &l->streams[i];

		s = ini_add_section(&ini, "stream", r->name);
		ini_set(s, "method", r->method);
		ini_setf(s, "date", "%lld", (long long)r->date);
		if (r->since)
			ini_setf(s, "since", "%lld", (long long)r->since);
		if (r->identity)
			ini_set(s, "identity", r->identity);
		if (r->exclude)
			ini_set(s, "exclude", r->exclude);
	}
	return ini_format(&ini, ret, e);
}

/* ---- reading ---- */

static int check_level(const char *value)
{
	return *value >= '0' && *value <= '9' && !value[1] ? 0 : -EINVAL;
}

static int check_set(const char *value)
{
	bool complete = false;

	return set_folder_name(value, NULL, &complete) && complete ? 0 : -EINVAL;
}

static int check_sums(const char *value)
{
	return strlen(value) == DIGEST_HEX_SIZE - 1 &&
			       strspn(value, "0123456789abcdef") == DIGEST_HEX_SIZE - 1
		       ? 0
		       : -EINVAL;
}

static int check_date(const char *value)
{
	uint64_t n;

	return parse_u64(value, &n) == 0 && n <= INT64_MAX ? 0 : -EINVAL;
}

static const struct ini_key set_keys[] = { { "level", "0 to 9", check_level },
					   { "base", "a set's name", check_set },
					   { "base-sums", "64 hexadecimal digits", check_sums },
					   { NULL, NULL, NULL } };
static const struct ini_key stream_keys[] = { { "method", "a backup method", NULL },
					      { "date", "seconds since 1970", check_date },
					      { "since", "seconds since 1970", check_date },
					      { "identity", NULL, NULL },
					      { "exclude", NULL, NULL },
					      { NULL, NULL, NULL } };
static const struct ini_schema schemas[] = { { "set", false, set_keys },
					     { "stream", true, stream_keys },
					     { NULL, false, NULL } };

static char *copy_of(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static int64_t date_of(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);
	uint64_t n = 0;

	if (value)
		(void)parse_u64(value, &n); /* checked before */
	return (int64_t)n;
}

static int take_section(const struct ini *ini, const struct ini_section *s, struct levels *l, struct error *e)
{
	if (streq(s->kind, "stream")) {
		struct stream_record r = { .date = date_of(s, "date"), .since = date_of(s, "since") };

		if (!ini_get(s, "method") || levels_find(l, s->name))
			return ini_error(ini, s->line, e, "a stream without a method, or twice");
		r.name = xstrdup(s->name);
		r.method = xstrdup(ini_get(s, "method"));
		r.identity = copy_of(ini_get(s, "identity"));
		r.exclude = copy_of(ini_get(s, "exclude"));
		levels_add(l, &r);
		return 0;
	}
	const char *base = ini_get(s, "base"), *sums = ini_get(s, "base-sums"), *level = ini_get(s, "level");

	if (!level || !base != !sums || l->base)
		return ini_error(ini, s->line, e,
				 "expected level, and either both base and base-sums or none");
	l->level = (unsigned)(*level - '0');
	l->base = copy_of(base);
	if (sums)
		memcpy(l->base_sums, sums, sizeof(l->base_sums));
	return 0;
}

int levels_parse(const char *shown, const char *text, struct levels *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(levels) struct levels l = { 0 };
	int r = ini_parse_text(shown, text, &ini, e);

	if (r == 0)
		r = ini_check(&ini, schemas, e);
	for (size_t i = 0; r == 0 && i < ini.count; i++)
		r = take_section(&ini, &ini.sections[i], &l, e);
	for (size_t i = 0; r == 0 && i < l.count; i++)
		if (l.streams[i].since && !l.base)
			r = error_text(e, EBADMSG, "%s: [stream %s] has since, but there is no base", shown,
				       l.streams[i].name);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct levels) { 0 };
	return 0;
}
