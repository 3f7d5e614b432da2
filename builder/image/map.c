#include "image/map.h"

#include "base/str.h"

/* Eight bytes at a time: keys are paths, and there are many look-ups. Only this process sees the numbers. */
static uint64_t hash(const char *s)
{
	const uint64_t factor = 0x9e3779b97f4a7c15u; /* 2^64 divided by the golden ratio */
	size_t len = strlen(s);
	uint64_t h = len;

	for (size_t done = 0; done < len; done += sizeof(uint64_t)) {
		uint64_t part = 0;

		memcpy(&part, s + done, len - done < sizeof(part) ? len - done : sizeof(part));
		h = (h ^ part) * factor;
		h ^= h >> 32;
	}
	return h;
}

/* The slot that holds `key`, or the free one where it belongs. There is always a free one. */
static struct map_slot *find(const struct map *m, const char *key, uint64_t hashed)
{
	size_t i = hashed & (m->size - 1);

	while (m->slots[i].key && !(m->slots[i].hash == hashed && streq(m->slots[i].key, key)))
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

void *map_get(const struct map *m, const char *key)
{
	return m->size ? find(m, key, hash(key))->value : NULL;
}

static void grow(struct map *m)
{
	struct map bigger = { .count = m->count, .size = m->size ? 2 * m->size : 256 };

	bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->size; i++)
		if (m->slots[i].key)
			*find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = bigger;
}

void map_put(struct map *m, const char *key, void *value)
{
	if (4 * (m->count + 1) > 3 * m->size)
		grow(m);
	uint64_t hashed = hash(key);
	struct map_slot *slot = find(m, key, hashed);

	m->count += !slot->key;
	*slot = (struct map_slot) { key, value, hashed };
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map) { 0 };
}
