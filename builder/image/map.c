#include "image/map.h"

#include "base/str.h"

#include <stdint.h>

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

/* The slot that holds `key`, or the free one where it belongs. There is always a free one. */
static struct map_slot *find(const struct map *m, const char *key)
{
	size_t i = hash(key) & (m->size - 1);

	while (m->slots[i].key && !streq(m->slots[i].key, key))
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

void *map_get(const struct map *m, const char *key)
{
	return m->size ? find(m, key)->value : NULL;
}

static void grow(struct map *m)
{
	struct map bigger = { .count = m->count, .size = m->size ? 2 * m->size : 256 };

	bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->size; i++)
		if (m->slots[i].key)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
}

void map_put(struct map *m, const char *key, void *value)
{
	if (4 * (m->count + 1) > 3 * m->size)
		grow(m);
	struct map_slot *slot = find(m, key);

	m->count += !slot->key;
	*slot = (struct map_slot) { key, value };
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map) { 0 };
}
