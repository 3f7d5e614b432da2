/* modules.dep: whatever the bytes, reading ends with a table or an error; every path stays below its folder,
 * every need is a module of the table, and a table that is written and read again is the same. */
#include "base/str.h"
#include "image/moddep.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct moddep *d)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct moddep_module *m = &d->list[i];
		_cleanup_(free) char *guarded = xasprintf("/%s/", m->path);

		if (m->path[0] == '/' || strstr(guarded, "/../") || !map_get(&d->by_name, m->name))
			abort();
		for (size_t n = 0; n < m->need_count; n++)
			if (m->needs[n] >= d->count)
				abort();
	}
}

static void write_text(const struct moddep *d, struct strbuf *ret)
{
	for (size_t i = 0; i < d->count; i++) {
		strbuf_printf(ret, "%s:", d->list[i].path);
		for (size_t n = 0; n < d->list[i].need_count; n++)
			strbuf_printf(ret, " %s", d->list[d->list[i].needs[n]].path);
		strbuf_puts(ret, "\n");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(moddep) struct moddep d = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf written = { 0 }, rewritten = { 0 };
	struct error e;

	if (moddep_parse(xstrndup((const char *)data, size), "fuzz", &d, &e) < 0 || !d.count)
		return 0;
	check(&d);
	write_text(&d, &written);
	if (moddep_parse(xstrdup(written.data), "again", &again, &e) < 0)
		abort(); /* wrote what it cannot read */
	write_text(&again, &rewritten);
	if (!streq(written.data, rewritten.data))
		abort();
	return 0;
}
