/* The hash table: what was put in is there, and nothing else. */
#include "image/map.h"
#include "base/str.h"
#include "tap.h"

enum { count = 5000 };

/* Of every length, and alike but for one byte. */
static char *make_key(size_t i)
{
	return xasprintf("%.*s%zu", (int)(i % 40), "usr/lib/modules/6.1.0-56-amd64/kernel/drivers", i);
}

TEST(what_was_put_in_is_there)
{
	_cleanup_(map) struct map m = { 0 };
	_cleanup_(strlist) struct strlist keys = { 0 };
	static char values[count];

	CHECK(map_get(&m, "") == NULL);
	for (size_t i = 0; i < count; i++) {
		strlist_take(&keys, make_key(i));
		map_put(&m, keys.items[i], &values[i]);
	}
	CHECK_INT(m.count, count);
	for (size_t i = 0; i < count; i++) {
		_cleanup_(free) char *again = make_key(i);
		_cleanup_(free) char *longer = xasprintf("%s/", again);

		CHECK(map_get(&m, again) == &values[i]);
		CHECK(map_get(&m, longer) == NULL);
	}
	CHECK(map_get(&m, "") == NULL);
	map_put(&m, "", values);
	CHECK(map_get(&m, "") == values);
	map_put(&m, keys.items[7], &values[8]);
	CHECK_INT(m.count, count + 1);
	CHECK(map_get(&m, keys.items[7]) == &values[8]);
}

TAP_MAIN()
