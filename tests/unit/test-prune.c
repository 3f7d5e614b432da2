/* Retention: which sets go, and that nothing goes which is still needed. */
#include "set-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

/* Sets of "box" at noon of the days of January 2026, as DAY-LEVEL words, each with two files. */
static void make(struct place *p, const char *sets)
{
	_cleanup_(free) char *script = xasprintf(
		"for s in %s; do d=box/202601${s%%-*}T120000Z-${s#*-}; mkdir -p $d; cd $d;"
		"echo $s >machine.conf; echo $s >root.dump.zst.000; sha256sum * >SHA256SUMS; cd ../..; done",
		sets);

	place_make(p, "", script);
}

/* What is left, as DAY-LEVEL words. The caller frees. */
static char *left(struct place *p)
{
	_cleanup_(set_list) struct set_list l = { 0 };
	_cleanup_(strlist) struct strlist words = { 0 };

	CHECK_OK(set_list(&p->target, &l, &e));
	for (size_t i = 0; i < l.count; i++)
		if (streq(l.items[i].host, "box"))
			strlist_addf(&words, "%.2s-%u%s", l.items[i].name + 6, l.items[i].level,
				     l.items[i].complete ? "" : "p");
	return strlist_join(&words, " ");
}

static void check(const char *sets, unsigned full, unsigned incremental, const char *wanted)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list would = { 0 }, gone = { 0 };
	struct set_prune_options o = { .full = full, .incremental = incremental, .dry_run = true };

	make(&p, sets);
	CHECK_OK(set_prune(&p.target, "box", &o, &would, &quiet, &e));
	_cleanup_(free) char *before = left(&p);

	CHECK_STR(before, sets);
	o.dry_run = false;
	CHECK_OK(set_prune(&p.target, "box", &o, &gone, &quiet, &e));
	_cleanup_(free) char *after = left(&p);

	CHECK_STR(after, wanted);
	CHECK_INT(would.count, gone.count);
	for (size_t i = 0; i < gone.count; i++)
		CHECK_STR(would.items[i].name, gone.items[i].name);
}

TEST(the_newest_stay)
{
	check("01-0 02-0 03-0 04-0", 2, UINT_MAX, "03-0 04-0");
	check("01-0 02-0", 5, 5, "01-0 02-0");
	check("01-0 02-0 03-0", UINT_MAX, UINT_MAX, "01-0 02-0 03-0");
	check("01-0", 1, 0, "01-0");
}

TEST(the_newest_full_set_always_stays)
{
	check("01-0 02-0", 0, 0, "02-0");
	check("01-0 02-1 03-2", 0, 0, "01-0");
}

TEST(a_base_stays_with_what_goes_on_from_it)
{
	check("01-0 02-1 03-0 04-1", 1, 2, "01-0 02-1 03-0 04-1");
	check("01-0 02-1 03-0 04-1", 1, 1, "03-0 04-1");
	check("01-0 02-1 03-2 04-3", 1, 1, "01-0 02-1 03-2 04-3");
	/* by dump's rule, a level goes on from the newest of a lower one */
	check("01-0 02-1 03-2 04-1", 1, 1, "01-0 04-1");
	check("01-0 02-3 03-2 04-1 05-2", 1, 1, "01-0 04-1 05-2");
}

TEST(what_a_set_names_as_its_base_counts)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list gone = { 0 };
	struct set_prune_options o = { .full = 1, .incremental = 1 };

	make(&p, "01-0 02-0 03-0 04-1");
	run_in(p.dir.path,
	       "printf '[set]\\nlevel = 1\\nbase = 20260101T120000Z-0\\n' >box/20260104T120000Z-1/set.conf");
	CHECK_OK(set_prune(&p.target, "box", &o, &gone, &quiet, &e));
	_cleanup_(free) char *after = left(&p);

	CHECK_STR(after, "01-0 03-0 04-1");
}

static void refuses(const char *sets, const char *harm, const char *why)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list gone = { 0 };
	struct set_prune_options o = { .full = 1, .incremental = 1 };

	make(&p, sets);
	run_in(p.dir.path, harm);
	_cleanup_(free) char *before = left(&p);

	CHECK(set_prune(&p.target, "box", &o, &gone, &quiet, &e) < 0);
	if (!strstr(e.text, why))
		TAP_FAIL("'%s', expected '%s'", e.text, why);
	_cleanup_(free) char *after = left(&p);

	CHECK_STR(after, before);
}

TEST(nothing_goes_when_what_stays_is_not_whole)
{
	refuses("01-0 02-0", "rm box/*02T*/root*", "root.dump.zst.000: missing");
	refuses("01-0 02-0", "rm box/*02T*/SHA256SUMS",
		"the newest full set is not whole, so nothing is removed");
	refuses("01-0 02-0 03-1",
		"printf '[set]\\nbase = 20251231T120000Z-0\\n' >box/20260103T120000Z-1/set.conf",
		"the set that it goes on from is not there");
	refuses("01-0 02-0 03-1", "printf nonsense >box/20260103T120000Z-1/set.conf", "set.conf:1");
	refuses("01-1 02-1", "true", "the set that it goes on from is not there");
}

TEST(remains_of_killed_backups_go_after_a_day)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list gone = { 0 };
	struct set_prune_options o = { .full = UINT_MAX, .incremental = UINT_MAX };

	make(&p, "01-0 02-0 03-0");
	run_in(p.dir.path,
	       "cd box; mv 20260101T120000Z-0 20260101T120000Z-0.partial;"
	       "mv 20260102T120000Z-0 20260102T120000Z-0.partial;"
	       "touch -d '25 hours ago' 20260101*/* 20260101*; touch -d '25 hours ago' 20260102*");
	CHECK_OK(set_prune(&p.target, "box", &o, &gone, &quiet, &e));
	_cleanup_(free) char *after = left(&p);

	CHECK_STR(after, "02-0p 03-0");
	CHECK_INT(gone.count, 1);
}

TEST(nothing_goes_while_a_backup_is_written)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(set_list) struct set_list gone = { 0 };
	struct set_prune_options o = { .full = 1, .incremental = 1 };

	make(&p, "01-0 02-0");
	CHECK_OK(set_begin(&p.target, "box", 0, 1 << 20, &w, &quiet, &e));
	CHECK_INT(set_prune(&p.target, "box", &o, &gone, &quiet, &e), -EBUSY);
	o.locked = true; /* by that one */
	CHECK_OK(set_prune(&p.target, "box", &o, &gone, &quiet, &e));
	CHECK_INT(gone.count, 1);
}

TEST(other_hosts_and_foreign_files_are_left_alone)
{
	_cleanup_(place) struct place p;
	_cleanup_(set_list) struct set_list gone = { 0 }, all = { 0 };
	struct set_prune_options o = { .full = 1, .incremental = 1 };

	make(&p, "01-0 02-0");
	run_in(p.dir.path, "cp -a box raft; mkdir box/2026-notes box/x.partial; touch box/list");
	CHECK_OK(set_prune(&p.target, "box", &o, &gone, &quiet, &e));
	CHECK_OK(set_list(&p.target, &all, &e));
	CHECK_INT(all.count, 3);
	run_in(p.dir.path, "ls -d box/2026-notes box/x.partial box/list");
}

TAP_MAIN()
