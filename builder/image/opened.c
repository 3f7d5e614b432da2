#include "image/opened.h"

#include "image/dlopen_note.h"

#include <errno.h>

/* The first of the alternatives that is there. */
static int add_one(struct tools *t, const struct object *o, const struct dlopen_note *note, struct error *e)
{
	_cleanup_(free) char *names = strlist_join(&note->sonames, " or ");
	int r = 0;

	if (note->priority == DLOPEN_SUGGESTED) {
		report_debug(t->report, "left out: %s, which %s may open (%s)", names, o->shown, note->what);
		return 0;
	}
	const struct reason *why = tree_reason(t->tree, o->reason, "opened: %s", note->what);

	for (size_t i = 0; r == 0 && i < note->sonames.count; i++)
		r = libs_add_opened(&t->libs, o->canonical, note->sonames.items[i], why, e);
	if (r == 0 && note->priority == DLOPEN_REQUIRED)
		r = error_text(e, ENOENT, "pack %s: it opens %s (%s), which is in no folder of ld.so",
			       o->shown, names, note->what);
	else if (r == 0)
		report_debug(t->report, "%s is not on this machine: %s (%s)", names, o->shown, note->what);
	return r < 0 ? r : 0;
}

int opened_add(struct tools *t, const struct object *o, struct error *e)
{
	_cleanup_(dlopen_notes) struct dlopen_notes notes = { 0 };
	int r = 0;

	for (size_t i = 0; i < o->info.dlopen_notes.count; i++)
		if (!dlopen_notes_parse(o->info.dlopen_notes.items[i], &notes))
			report_warn(t->report,
				    "%s: its note on the libraries that it opens is not understood",
				    o->shown);
	for (size_t i = 0; r == 0 && i < notes.count; i++)
		r = add_one(t, o, &notes.list[i], e);
	return r;
}
