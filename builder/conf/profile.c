#include "conf/profile.h"

#include "conf/ini.h"

#include <errno.h>
#include <stdarg.h>

static int is_text(const char *v)
{
	return *v ? 0 : -EINVAL;
}

static int is_yes(const char *v)
{
	return streq(v, "yes") ? 0 : -EINVAL;
}

static int is_target(const char *v)
{
	return *v && !strpbrk(v, " \t") ? 0 : -EINVAL;
}

/* A key whose words become items of one kind. */
struct item_key {
	const char *section, *key;
	enum profile_item_kind kind;
	bool words; /* one item per word; else one item without value */
};
static const struct item_key item_keys[] = {
	{ "tools", "required", ITEM_TOOL, true },
	{ "tools", "optional", ITEM_TOOL_OPTIONAL, true },
	{ "tools", "this-program", ITEM_THIS_PROGRAM, false },
	{ "modules", "required", ITEM_MODULE, true },
	{ "modules", "optional", ITEM_MODULE_OPTIONAL, true },
	{ "modules", "classes", ITEM_MODULE_CLASS, true },
	{ "modules", "aliases", ITEM_MODULE_ALIAS, true },
	{ "modules", "machine", ITEM_MACHINE, false },
	{ "modules", "machine-except", ITEM_MACHINE_EXCEPT, true },
	{ "firmware", "names", ITEM_FIRMWARE, true },
	{ "files", "required", ITEM_FILE, true },
	{ "files", "optional", ITEM_FILE_OPTIONAL, true },
	{ "promise", "tools", ITEM_TOOL, true },
	{ "promise", "applets", ITEM_APPLET, true },
	{ "promise", "modules", ITEM_MODULE, true },
	{ "promise", "libraries", ITEM_LIBRARY, true },
	{ "promise", "files", ITEM_FILE, true },
};

static const struct ini_schema schemas[] = {
	{ "profile", false,
	  (const struct ini_key[]) { { "description", "one line", is_text },
				     { "requires", "names of profiles", is_text },
				     { NULL } } },
	{ "tools", false,
	  (const struct ini_key[]) { { "required", "names or paths of programs", is_text },
				     { "optional", "names or paths of programs", is_text },
				     { "this-program", "yes", is_yes },
				     { NULL } } },
	{ "modules", false,
	  (const struct ini_key[]) { { "required", "names of modules", is_text },
				     { "optional", "names of modules", is_text },
				     { "classes", "folders such as kernel/drivers/ata", is_text },
				     { "aliases", "module aliases", is_text },
				     { "machine", "yes", is_yes },
				     { "machine-except", "folders such as kernel/sound", is_text },
				     { NULL } } },
	{ "firmware", false,
	  (const struct ini_key[]) { { "names", "files below /lib/firmware", is_text }, { NULL } } },
	{ "files", false,
	  (const struct ini_key[]) { { "required", "absolute paths", is_text },
				     { "optional", "absolute paths", is_text },
				     { NULL } } },
	{ "promise", true,
	  (const struct ini_key[]) { { "tools", "names or paths of programs", is_text },
				     { "applets", "commands of busybox", is_text },
				     { "modules", "names of modules", is_text },
				     { "libraries", "file names of libraries", is_text },
				     { "files", "absolute paths", is_text },
				     { "packages", "names of packages", is_text },
				     { NULL } } },
	{ "link", true,
	  (const struct ini_key[]) { { "target", "where the link points", is_target }, { NULL } } },
	{ NULL },
};

static void add_item(struct profile *p, struct profile_item item)
{
	p->items = xgrow(p->items, p->count + 1, &p->capacity, sizeof(*p->items));
	p->items[p->count++] = item;
}

static void take_words(struct profile *p, const struct item_key *key, const struct ini_entry *entry,
		       unsigned promise)
{
	_cleanup_(strlist) struct strlist words = { 0 };

	if (!key->words) {
		add_item(p, (struct profile_item) { .kind = key->kind, .line = entry->line });
		return;
	}
	strlist_add_words(&words, entry->value);
	for (size_t i = 0; i < words.count; i++)
		add_item(p, (struct profile_item) { .kind = key->kind,
						    .value = xstrdup(words.items[i]),
						    .line = entry->line,
						    .promise = promise });
}

/* Paths and folders are checked here, where the line is known. */
static int check_item(const struct profile *p, const struct profile_item *item, struct error *e)
{
	bool absolute =
		item->kind == ITEM_FILE || item->kind == ITEM_FILE_OPTIONAL || item->kind == ITEM_LINK;

	if (absolute && item->value[0] != '/')
		return profile_error(p, item, EINVAL, e, "'%s'; expected an absolute path", item->value);
	if ((item->kind == ITEM_MODULE_CLASS || item->kind == ITEM_MACHINE_EXCEPT) && item->value[0] == '/')
		return profile_error(p, item, EINVAL, e, "'%s'; expected a folder such as kernel/drivers/ata",
				     item->value);
	return 0;
}

/* Returns its number. */
static unsigned add_promise(struct profile *p, const struct ini_section *s)
{
	const char *packages = ini_get(s, "packages");

	p->promises = xgrow(p->promises, p->promise_count + 1, &p->promise_capacity, sizeof(*p->promises));
	p->promises[p->promise_count++] =
		(struct promise) { xstrdup(s->name), packages ? xstrdup(packages) : NULL };
	return (unsigned)p->promise_count;
}

/* A promise that needs nothing could not be broken; a library is opened by a tool. */
static int check_promise(const struct ini *ini, const struct ini_section *s, struct error *e)
{
	if (!ini_get(s, "tools") && ini_get(s, "libraries"))
		return ini_error(ini, s->line, e, "[promise %s] has libraries but no tools that open them",
				 s->name);
	if (s->count == 0 || (s->count == 1 && ini_get(s, "packages")))
		return ini_error(ini, s->line, e, "[promise %s] needs nothing; expected tools, modules …",
				 s->name);
	return 0;
}

static int take_section(struct profile *p, const struct ini *ini, const struct ini_section *s,
			struct error *e)
{
	bool is_promise = streq(s->kind, "promise");
	int r = is_promise ? check_promise(ini, s, e) : 0;

	if (r < 0)
		return r;
	if (streq(s->kind, "profile")) {
		const char *description = ini_get(s, "description"), *requires = ini_get(s, "requires");

		p->description = description ? xstrdup(description) : NULL;
		if (requires)
			strlist_add_words(&p->requires, requires);
		return 0;
	}
	size_t from = p->count;
	unsigned promise = is_promise ? add_promise(p, s) : 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct ini_entry *entry = &s->entries[i];

		if (streq(s->kind, "link"))
			add_item(p, (struct profile_item) { .kind = ITEM_LINK,
							    .value = xstrdup(s->name),
							    .target = xstrdup(entry->value),
							    .line = entry->line });
		for (size_t k = 0; k < sizeof(item_keys) / sizeof(*item_keys); k++)
			if (streq(item_keys[k].section, s->kind) && streq(item_keys[k].key, entry->key))
				take_words(p, &item_keys[k], entry, promise);
	}
	for (size_t i = from; r == 0 && i < p->count; i++)
		r = check_item(p, &p->items[i], e);
	return r;
}

int profile_parse(const char *name, const char *file, const char *text, struct profile *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(profile) struct profile p = { .name = xstrdup(name), .file = xstrdup(file) };
	int r = ini_parse_text(file, text, &ini, e);

	if (r == 0)
		r = ini_check(&ini, schemas, e);
	for (size_t i = 0; r == 0 && i < ini.count; i++)
		r = take_section(&p, &ini, &ini.sections[i], e);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct profile) { 0 };
	return 0;
}

const struct promise *profile_promise(const struct profile *p, const struct profile_item *item)
{
	return item->promise ? &p->promises[item->promise - 1] : NULL;
}

bool profile_promises(const struct profile *p, const char *promise)
{
	for (size_t i = 0; i < p->promise_count; i++)
		if (streq(p->promises[i].name, promise))
			return true;
	return false;
}

int profile_error(const struct profile *p, const struct profile_item *item, int code, struct error *e,
		  const char *fmt, ...)
{
	_cleanup_(free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort(); /* as every allocation failure, see base/str.h */
	va_end(ap);
	return error_text(e, code, "%s:%u: %s", p->file, item->line, text);
}

void profile_free(struct profile *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].value);
		free(p->items[i].target);
	}
	free(p->items);
	for (size_t i = 0; i < p->promise_count; i++) {
		free(p->promises[i].name);
		free(p->promises[i].packages);
	}
	free(p->promises);
	strlist_free(&p->requires);
	free(p->name);
	free(p->file);
	free(p->description);
	*p = (struct profile) { 0 };
}

void profiles_free(struct profiles *p)
{
	for (size_t i = 0; i < p->count; i++)
		profile_free(&p->list[i]);
	free(p->list);
	*p = (struct profiles) { 0 };
}
