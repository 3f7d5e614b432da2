#include "image/promise.h"

#include <errno.h>

/* One promise of a profile, while it is looked at. */
struct checked {
	const struct profile *profile;
	unsigned number; /* as profile_item.promise */
	struct view *view;
	bool modules; /* see promises_check() */
	bool unknown; /* a need could not be looked at */
};

/* A library is opened by the promise's first tool, or by what stands in for it. */
static int check_library(const struct checked *c, const char *name, struct error *e)
{
	_cleanup_(strlist) struct strlist tools = { 0 };

	for (size_t i = 0; !tools.count && i < c->profile->count; i++) {
		const struct profile_item *item = &c->profile->items[i];

		if (item->promise == c->number && item->kind == ITEM_TOOL)
			strlist_add_parts(&tools, item->value, '|');
	}
	for (size_t i = 0; i < tools.count; i++)
		if (view_find_tool(c->view, tools.items[i]))
			return view_library(c->view, tools.items[i], name, e);
	return error_text(e, ENOENT, "no tool that opens library %s is in it", name);
}

static int check_one(struct checked *c, const struct profile_item *item, const char *name, struct error *e)
{
	switch (item->kind) {
	case ITEM_TOOL:
		return view_tool(c->view, name, e);
	case ITEM_APPLET:
		return view_applet(c->view, name, e);
	case ITEM_LIBRARY:
		return check_library(c, name, e);
	case ITEM_FILE:
		return view_file(c->view, name, e);
	case ITEM_MODULE:
		if (c->modules)
			return view_module(c->view, name, e);
		c->unknown = true;
		return 0;
	default:
		return 0; /* no other kind is a promise's */
	}
}

/* "A|B": one of them will do; the error is about the first. */
static int check_need(struct checked *c, const struct profile_item *item, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	struct error why, other;
	int r;

	strlist_add_parts(&names, item->value, '|');
	r = check_one(c, item, names.items[0], &why);
	for (size_t i = 1; r < 0 && i < names.count; i++)
		r = check_one(c, item, names.items[i], &other);
	if (r == 0)
		return 0;
	const struct promise *p = profile_promise(c->profile, item);

	return profile_error(c->profile, item, -r, e,
			     "the image does not keep '%s': %s; %s%s%smend the overlay or drop profile '%s'",
			     p->name, why.text, p->packages ? "reinstall " : "",
			     p->packages ? p->packages : "", p->packages ? ", " : "", c->profile->name);
}

int promises_check(const struct profiles *profiles, struct view *view, bool modules, struct strlist *kept,
		   struct error *e)
{
	for (size_t p = 0; p < profiles->count; p++) {
		const struct profile *profile = &profiles->list[p];

		for (unsigned n = 1; n <= profile->promise_count; n++) {
			struct checked c = { profile, n, view, modules, false };

			for (size_t i = 0; i < profile->count; i++) {
				int r = profile->items[i].promise == n ? check_need(&c, &profile->items[i], e)
								       : 0;

				if (r < 0)
					return r;
			}
			if (!c.unknown)
				strlist_add_once(kept, profile->promises[n - 1].name);
		}
	}
	return 0;
}
