#include "image/draft.h"
#include "image/explain.h"

void image_promises_free(struct image_promises *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].needs);
	free(p->list);
	*p = (struct image_promises) { 0 };
}

/* As the keys of a promise are called: lifeboat-profile(5). */
static const char *kind_name(enum profile_item_kind kind)
{
	switch (kind) {
	case ITEM_TOOL:
		return "tools";
	case ITEM_APPLET:
		return "applets";
	case ITEM_MODULE:
		return "modules";
	case ITEM_LIBRARY:
		return "libraries";
	default:
		return "files";
	}
}

static void take_needs(struct image_promise *to, const struct profile *p, unsigned number)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->items[i].promise != number)
			continue;
		to->needs = xgrow(to->needs, to->count + 1, &to->capacity, sizeof(*to->needs));
		to->needs[to->count++] =
			(struct image_need) { kind_name(p->items[i].kind), p->items[i].value };
	}
}

void image_promises(const struct image_draft *d, struct image_promises *ret)
{
	for (size_t i = 0; i < d->profiles.count; i++) {
		const struct profile *p = &d->profiles.list[i];

		for (unsigned n = 1; n <= p->promise_count; n++) {
			const char *name = p->promises[n - 1].name;

			ret->list = xgrow(ret->list, ret->count + 1, &ret->capacity, sizeof(*ret->list));
			ret->list[ret->count] =
				(struct image_promise) { .name = name,
							 .profile = p->name,
							 .seen = strlist_has(&d->result.promises, name) };
			take_needs(&ret->list[ret->count++], p, n);
		}
	}
}
