#include "machine/commands.h"

void commands_free(struct commands *c)
{
	for (size_t i = 0; i < c->count; i++)
		strlist_free(&c->items[i]);
	free(c->items);
	*c = (struct commands) { 0 };
}

struct strlist *commands_add(struct commands *c)
{
	c->items = xrealloc(c->items, (c->count + 1) * sizeof(*c->items));
	c->items[c->count] = (struct strlist) { 0 };
	return &c->items[c->count++];
}
