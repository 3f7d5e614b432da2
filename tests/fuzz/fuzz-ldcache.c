/* ld.so.cache: whatever the bytes, reading ends with entries or none, and entries that are written can be read
 * again. The corpus is ldconfig's, in its new format and in its old one. */
#include "image/ldcache.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_cache(const void *data, size_t size, struct ldcache *ret)
{
	_cleanup_(tree) struct tree t = { 0 };
	struct error e;

	if (tree_add_data(&t, "etc/ld.so.cache", 0644, data, size, NULL, &e) < 0)
		abort();
	return ldcache_read(NULL, &t, ret, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ldcache) struct ldcache first = { 0 }, second = { 0 };
	_cleanup_(strbuf) struct strbuf written = { 0 };
	size_t count;

	if (read_cache(data, size, &first) != 1)
		return 0;
	for (size_t i = 0; i < first.count; i++)
		if (!ldcache_find(&first, first.entries[i].name, &count) || !count)
			abort(); /* an entry that is not found by its name */
	count = first.count;
	ldcache_format(first.entries, count, &written);
	if (read_cache(written.data, written.len, &second) != 1 || second.count != count)
		abort(); /* wrote what it cannot read */
	for (size_t i = 0; i < count; i++)
		if (!streq(first.entries[i].name, second.entries[i].name) ||
		    !streq(first.entries[i].path, second.entries[i].path))
			abort();
	return 0;
}
