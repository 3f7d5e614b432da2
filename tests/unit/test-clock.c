/* Clocks that jump: the newest set stays the newest, a level misses nothing that changed since the set below. */
#include "set-lab.h"

#include "backup/dump_tree.h"

static const char one_file[] = "mkdir from sets; echo 1 >from/file";

static char *save_level(struct place *p, unsigned level)
{
	return save_from(p, level, 1 << 20);
}

TEST(the_set_that_is_made_last_is_the_newest)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL, *level = NULL;

	place_make(&p, "sets", one_file);
	free(save_level(&p, 0));
	run(&p, "mv sets/box/2* sets/box/20991231T235959Z-0");
	_cleanup_(free) char *name = save_level(&p, 0);

	CHECK_STR(name, "21000101T000000Z-0");
	CHECK_OK(set_open(&p.target, NULL, NULL, &s, &quiet, &e));
	CHECK_STR(set_shown(s), "box/21000101T000000Z-0");
	/* a level that sorted before the set that it goes on from could not be opened */
	_cleanup_(free) char *above = save_level(&p, 1);

	CHECK_STR(above, "21000101T000001Z-1");
	CHECK_OK(set_open(&p.target, NULL, NULL, &level, &quiet, &e));
	CHECK_OK(set_verify(level, &quiet, &e));
}

TEST(sets_of_one_second_are_in_their_order)
{
	_cleanup_(place) struct place p;

	place_make(&p, "sets", one_file);
	free(save_level(&p, 0));
	_cleanup_(free) char *one = save_level(&p, 1), *full = save_level(&p, 0);

	CHECK(strcmp(one, full) < 0);
}

static bool has_since(struct place *p, const char *name)
{
	_cleanup_(free) char *path = xasprintf("sets/box/%s/" LEVELS_FILE, name), *text = NULL;

	CHECK_OK(read_file_at(p->dir.fd, path, 1 << 16, &text, NULL, &e));
	return strstr(text, "\nsince") != NULL;
}

TEST(what_changed_since_a_time_to_come_cannot_be_told)
{
	_cleanup_(place) struct place p;

	place_make(&p, "sets", one_file);
	free(save_level(&p, 0));
	_cleanup_(free) char *level = save_level(&p, 1);

	CHECK(has_since(&p, level));
	/* the full set was made while the clock was ahead */
	run(&p, "rm -r sets/box/*-1; cd sets/box/*-0; sed -i 's/^date = .*/date = 4102444800/' set.conf;"
		"sha256sum $(sed 's/.*  //' SHA256SUMS) >new; mv new SHA256SUMS");
	_cleanup_(free) char *full = save_level(&p, 1);

	CHECK(!has_since(&p, full));
}

/* ---- dump ---- */

TEST(what_a_clock_that_was_set_back_hides_from_dump_is_seen)
{
	enum { since = 1000 };
	_cleanup_(dump_tree) struct dump_tree *t = dump_tree_new();
	_cleanup_(listing) struct listing base = { 0 };
	struct listed f = { .path = xstrdup("./file"),
			    .ino = 12,
			    .mode = S_IFREG | 0644,
			    .size = 5,
			    .mtime = { .tv_sec = 900 } };
	const struct stat same = { .st_ino = 12,
				   .st_mode = S_IFREG | 0644,
				   .st_size = 5,
				   .st_mtim = { .tv_sec = 900 },
				   .st_ctim = { .tv_sec = 950 } };
	struct stat st;

	listing_take(&base, &f);
	dump_tree_base(t, &base);
	CHECK(!dump_tree_missed(t, &same, since));
	st = same, st.st_size = 6;
	CHECK(dump_tree_missed(t, &st, since));
	st.st_ctim.tv_sec = since; /* it changed after dump had passed */
	CHECK(!dump_tree_missed(t, &st, since));
	st = same, st.st_mtim.tv_sec = 920;
	CHECK(dump_tree_missed(t, &st, since));
	st = same, st.st_mode = S_IFREG | 0600;
	CHECK(dump_tree_missed(t, &st, since));
	st = same, st.st_uid = 7;
	CHECK(dump_tree_missed(t, &st, since));
	st = same, st.st_ino = 13; /* not there then */
	CHECK(dump_tree_missed(t, &st, since));
}

TAP_MAIN()
