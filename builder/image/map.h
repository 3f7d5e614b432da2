/* A hash table from strings to pointers. It owns neither: keys must live as long as it does. */
#pragma once
#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct map {
	struct map_slot {
		const char *key; /* NULL: free */
		void *value;
		uint64_t hash; /* of the key */
	} * slots;
	size_t count, size; /* size is 0 or a power of two */
};

/* NULL when there is none. */
void *map_get(const struct map *m, const char *key);
/* Adds or replaces. */
void map_put(struct map *m, const char *key, void *value);
void map_free(struct map *m);
DEFINE_CLEANUP(map, struct map, map_free)
