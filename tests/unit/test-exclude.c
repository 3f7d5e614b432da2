/* Which patterns leave out what, and which file systems they concern. */
#include "backup/exclude.h"
#include "tap.h"

static struct strlist words(const char *text)
{
	struct strlist l = { 0 };

	strlist_add_words(&l, text);
	return l;
}

TEST(a_path_or_a_name)
{
	static const struct {
		const char *patterns, *path;
		bool itself, covered;
	} cases[] = {
		{ "/var/cache", "/var/cache", true, true },
		{ "/var/cache", "/var/cache/apt", false, true },
		{ "/var/cache", "/var/cached", false, false },
		{ "/var/cache/*", "/var/cache", false, false },
		{ "/var/cache/*", "/var/cache/apt", true, true },
		{ "/var/cache/*", "/var/cache/apt/x", false, true },
		{ "/home/*/.cache", "/home/a/.cache", true, true },
		{ "/home/*/.cache", "/home/a/b/.cache", false, false },
		{ ".cache", "/home/a/b/.cache", true, true },
		{ "*.o", "/src/a.o", true, true },
		{ "*.o", "/src.o/a", false, true },
		{ "/a?b", "/a b", true, true },
		{ "/a[", "/a[", true, true }, /* no pattern, but a name */
		{ "/x /y", "/y", true, true },
		{ "", "/y", false, false },
		{ "*", "/", false, false }, /* the root has no name */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strlist) struct strlist l = words(cases[i].patterns);

		printf("# %s: %s\n", cases[i].patterns, cases[i].path);
		CHECK_INT(exclude_matches(&l, cases[i].path), cases[i].itself);
		CHECK_INT(exclude_covers(&l, cases[i].path), cases[i].covered);
	}
}

TEST(file_systems_that_a_pattern_concerns)
{
	static const struct {
		const char *pattern, *mountpoint; /* * : nowhere */
		bool concerned;
	} cases[] = {
		{ "/var/cache", "/", true },      { "/var/cache", "/home", false },
		{ "/home", "/", false },          { "/home", "/home", true },
		{ "/home/a", "/", false },        { "/home/a", "/home", true },
		{ "/home/a", "/home/a/b", true }, /* what lies in a folder that is left out */
		{ "/h*/a", "/", true }, /* nobody knows before it is looked at */
		{ "/h*/a", "/home", true },       { "/h*/a", "/srv", false },
		{ "/srv/*", "/", false },         { "/srv/*", "/srv", true },
		{ "*.o", "/home", true },         { "*.o", "*", true },
		{ "/var/cache", "*", false },     { "/homes", "/", true },
		{ "/homes", "/home", false },
	};
	_cleanup_(strlist) struct strlist all = words("/ /home /home/a/b /srv");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strlist) struct strlist l = words(cases[i].pattern), got = { 0 };
		const char *at = *cases[i].mountpoint == '*' ? NULL : cases[i].mountpoint;

		printf("# %s: %s\n", cases[i].pattern, cases[i].mountpoint);
		exclude_concerning(&l, at, &all, &got);
		CHECK_INT(got.count, cases[i].concerned);
	}
}

TAP_MAIN()
