#include "cmd/prune.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>

static int print(struct cmd *c, const struct target *target, const struct set_list *l, struct error *e)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct set_info *s = &l->items[i];
		char size[SIZE_TEXT_MAX];

		(void)format_size(s->size, size);
		if (!c->json) {
			printf("%s/%s/%s  %10s  level %u%s\n", target->shown, s->host, s->name, size,
			       s->level, s->complete ? "" : "  left by a backup that was killed");
			continue;
		}
		json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:I, s:b}", "target", target->shown, "host",
					   s->host, "set", s->name, "level", (int)s->level, "size",
					   (json_int_t)s->size, "complete", s->complete);
		int failed = json_dumpf(object, stdout, JSON_COMPACT); /* of NULL as well */

		json_decref(object);
		if (failed)
			return error_errno(e, EIO, "write the result as JSON");
		printf("\n");
	}
	return 0;
}

static void tell(struct cmd *c, const struct target *target, const struct set_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		report_info(&c->report, "removed %s/%s/%s: %s", target->shown, l->items[i].host,
			    l->items[i].name,
			    l->items[i].complete ? "older than what is kept"
						 : "left by a backup that was killed");
}

int cmd_prune(struct cmd *c, const struct recovery_conf *conf, const struct target *target, const char *host,
	      bool locked, bool dry_run, struct error *e)
{
	struct set_prune_options o = {
		.full = UINT_MAX, .incremental = UINT_MAX, .dry_run = dry_run, .locked = locked
	};
	int r = 0;

	if (!streq(conf->keep, "all"))
		(void)recovery_parse_keep(conf->keep, &o.full, &o.incremental); /* was checked */
	else if (locked)
		return 0;
	for (const struct target *t = target; r == 0 && t; t = t->replica) {
		_cleanup_(set_list) struct set_list gone = { 0 };

		r = set_prune(t, host, &o, &gone, &c->report, e);
		if (r == 0 && dry_run)
			r = print(c, t, &gone, e);
		else if (r == 0)
			tell(c, t, &gone);
	}
	return r;
}
