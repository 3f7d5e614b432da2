#include "base/fs.h"
#include "guest/proof_private.h"
#include "guest/proof_text.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>

/* Memory that lacks makes a NULL of the whole: json_pack() takes none for `o`, and appending drops the list. */
static void append(json_t **list, json_t *item)
{
	if (*list && json_array_append_new(*list, item) == 0)
		return;
	json_decref(*list);
	*list = NULL;
}

/* NULL: it is left out, by o*. */
static json_t *name(const char *s)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (!s)
		return NULL;
	proof_quote(&text, s);
	return json_stringn(text.data, text.len);
}

static json_t *lines(const char *s)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (!s)
		return NULL;
	proof_lines(&text, s, strlen(s));
	return json_stringn(text.data, text.len);
}

static json_t *reasons_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->reasons.count; i++)
		append(&list, name(p->reasons.items[i]));
	return list;
}

static json_t *machine_json(const struct proof *p)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < p->machine.disk_count; i++) {
		const struct proof_disk *d = &p->machine.disks[i];

		append(&disks,
		       json_pack("{s:o, s:I, s:I, s:o*, s:o*}", "name", name(d->name), "bytes",
				 (json_int_t)d->bytes, "sector_size", (json_int_t)d->sector_size,
				 "old_serial", name(d->old_serial), "new_serial", name(d->new_serial)));
	}
	return json_pack("{s:o*, s:o*, s:o}", "host", name(p->machine.host), "firmware",
			 name(p->machine.firmware), "disks", disks);
}

static json_t *medium_json(const struct proof *p)
{
	return json_pack("{s:o*, s:s, s:I}", "path", name(p->medium.path), "sha256", p->medium.sha256,
			 "bytes", (json_int_t)p->medium.bytes);
}

static json_t *set_json(const struct proof *p)
{
	return json_pack("{s:o*, s:o*, s:s, s:I, s:I}", "target", name(p->set.target), "name",
			 name(p->set.name), "sha256", p->set.sha256, "files", (json_int_t)p->set.files,
			 "bytes", (json_int_t)p->set.bytes);
}

/* The seed as text: JSON's numbers are not sure to hold 64 bits. */
static json_t *sample_json(const struct proof *p)
{
	char seed[24];

	(void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)p->seed);
	return p->sampled ? json_pack("{s:s, s:f}", "seed", seed, "share", p->share) : NULL;
}

static json_t *compared_json(const struct proof *p)
{
	json_t *all = json_object();

	for (size_t kind = 0; all && kind < PROOF_KIND_COUNT; kind++) {
		const uint64_t *n = p->counts[kind];
		json_t *one = json_pack("{s:I, s:I, s:I}", proof_outcome_names[PROOF_EQUAL],
					(json_int_t)n[PROOF_EQUAL], proof_outcome_names[PROOF_EXPLAINED],
					(json_int_t)n[PROOF_EXPLAINED], proof_outcome_names[PROOF_DIFFERENT],
					(json_int_t)n[PROOF_DIFFERENT]);

		if (json_object_set_new(all, proof_kind_names[kind], one) < 0) {
			json_decref(all);
			all = NULL;
		}
	}
	return all;
}

static json_t *differences_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->difference_count; i++) {
		const struct proof_difference *d = &p->differences[i];

		append(&list,
		       json_pack("{s:s, s:o, s:o, s:o*, s:o*, s:o*}", "kind", proof_kind_names[d->kind],
				 "what", name(d->what), "attribute", name(d->attribute), "expected",
				 name(d->expected), "found", name(d->found), "reason", name(d->reason)));
	}
	return list;
}

static json_t *checks_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->check_count; i++)
		append(&list, json_pack("{s:o, s:b, s:o*}", "name", name(p->checks[i].name), "passed",
					(int)p->checks[i].passed, "said", lines(p->checks[i].said)));
	return list;
}

static json_t *phases_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->phase_count; i++)
		append(&list, json_pack("{s:o, s:f, s:f, s:b}", "name", name(p->phases[i].name), "begun",
					p->phases[i].begun, "seconds", p->phases[i].seconds, "failed",
					(int)p->phases[i].failed));
	return list;
}

static json_t *events_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->event_count; i++)
		append(&list,
		       json_pack("{s:f, s:o}", "at", p->events[i].at, "text", name(p->events[i].text)));
	return list;
}

static json_t *screenshots_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->screenshot_count; i++) {
		const struct proof_screenshot *s = &p->screenshots[i];

		append(&list,
		       json_pack("{s:f, s:o, s:o, s:s, s:I}", "at", s->at, "caption", name(s->caption),
				 "file", name(s->file), "sha256", s->sha256, "bytes", (json_int_t)s->bytes));
	}
	return list;
}

static json_t *logs_json(const struct proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->log_count; i++) {
		const struct proof_log *l = &p->logs[i];

		append(&list, json_pack("{s:o, s:I, s:s, s:o, s:b}", "path", name(l->path), "bytes",
					(json_int_t)l->bytes, "sha256", l->sha256, "tail", lines(l->tail),
					"cut", (int)l->cut));
	}
	return list;
}

static json_t *resources_json(const struct proof_resources *r)
{
	return json_pack("{s:I, s:I, s:I}", "memory", (json_int_t)r->memory, "disk", (json_int_t)r->disk,
			 "processors", (json_int_t)r->processors);
}

static json_t *proof_json(const struct proof *p)
{
	return json_pack("{s:i, s:s, s:o, s:I, s:f, s:o*, s:o, s:o, s:o, s:o*, s:o, s:o, s:I, s:o, s:o, s:o, "
			 "s:o, s:o, s:{s:o, s:o}}",
			 "lifeboat_proof", PROOF_FORMAT, "verdict", proof_verdict_names[p->verdict],
			 "reasons", reasons_json(p), "created", (json_int_t)p->created, "seconds", p->seconds,
			 "version", name(p->version), "machine", machine_json(p), "medium", medium_json(p),
			 "set", set_json(p), "sample", sample_json(p), "compared", compared_json(p),
			 "differences", differences_json(p), "differences_left_out",
			 (json_int_t)p->differences_left_out, "checks", checks_json(p), "phases",
			 phases_json(p), "events", events_json(p), "screenshots", screenshots_json(p), "logs",
			 logs_json(p), "resources", "planned", resources_json(&p->planned), "used",
			 resources_json(&p->used));
}

/* JSON has no others, and json_pack() leaks what comes after one. */
static bool times_are_numbers(const struct proof *p)
{
	bool good = isfinite(p->seconds) && isfinite(p->share);

	for (size_t i = 0; i < p->phase_count; i++)
		good &= isfinite(p->phases[i].begun) && isfinite(p->phases[i].seconds);
	for (size_t i = 0; i < p->event_count; i++)
		good &= isfinite(p->events[i].at);
	for (size_t i = 0; i < p->screenshot_count; i++)
		good &= isfinite(p->screenshots[i].at);
	return good;
}

int proof_format_json(const struct proof *p, struct strbuf *ret, struct error *e)
{
	if (!times_are_numbers(p))
		return error_text(e, EINVAL, "the proof holds a time that is no number");

	json_t *all = proof_json(p);
	_cleanup_(free) char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));

	json_decref(all);
	if (!text)
		return error_errno(e, ENOMEM, "write the proof as JSON");
	strbuf_puts(ret, text);
	strbuf_puts(ret, "\n");
	return 0;
}

int proof_write_json(const struct proof *p, const char *path, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = proof_format_json(p, &text, e);

	return r < 0 ? r : write_file_at(AT_FDCWD, path, 0600, text.data, text.len, e);
}
