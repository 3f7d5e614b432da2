/* Why a file is in the image, what it costs, what would go with whom: on trees made here. */
#include "image/budget.h"
#include "image/draft.h"
#include "image/explain.h"
#include "image/ram.h"
#include "tap.h"

#include <math.h>

static struct error e;

struct lab {
	struct recovery_conf conf;
	struct image_request request;
	struct image_draft draft;
	const struct reason *small, *large; /* profiles */
};

/* Content that no compressor makes much smaller. */
static void put(struct lab *lab, const char *path, size_t size, const struct reason *why)
{
	_cleanup_(free) char *data = xmalloc(size + 1);
	uint32_t x = 12345 + (uint32_t)size;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (char)(x >> 24);
	}
	CHECK_OK(tree_add_data(&lab->draft.tree, path, 0755, data, size, why, &e));
}

static const struct reason *because(struct lab *lab, const struct reason *why, const char *text)
{
	return tree_reason(&lab->draft.tree, why, "%s", text);
}

/* small → tool one → libs → libc, small → tool two → libs; large → tool three → libc and its own library;
 * large → module disk → module bus, large → tool two as well. */
static void lab_make(struct lab *lab)
{
	*lab = (struct lab) { .conf = { .compress = (char *)"none", .path = (char *)"test.conf" } };
	lab->request.conf = &lab->conf;
	lab->draft.request = &lab->request;
	lab->draft.root = (struct root)ROOT_NONE;
	lab->draft.kernel.version = xstrdup("6.6.6-lab");
	struct tree *t = &lab->draft.tree;

	lab->small = because(lab, NULL, "profile small");
	lab->large = because(lab, NULL, "profile large");
	const struct reason *one = because(lab, lab->small, "tool one"),
			    *two = because(lab, lab->small, "tool two"),
			    *libs = because(lab, one, "library libs.so.1"),
			    *three = because(lab, lab->large, "tool three"),
			    *disk = because(lab, lab->large, "module disk (for pci:x)");

	put(lab, "usr/bin/one", 100000, one);
	put(lab, "usr/lib/libs.so.1.2", 50000, libs);
	CHECK_OK(tree_add_link(t, "usr/lib/libs.so.1", "libs.so.1.2", libs, &e));
	CHECK_OK(tree_add_link(t, "lib", "usr/lib", because(lab, NULL, "layout"), &e));
	put(lab, "usr/lib/libc.so.6", 80000, because(lab, libs, "library libc.so.6"));
	put(lab, "usr/bin/two", 20000, two);
	tree_also(t, "usr/lib/libs.so.1.2", two, "library libs.so.1");
	put(lab, "usr/bin/three", 30000, three);
	tree_also(t, "lib/libc.so.6", three, "library libc.so.6");
	put(lab, "usr/lib/libown.so.1", 10000, because(lab, three, "library libown.so.1"));
	tree_also(t, "usr/lib/libc.so.6", because(lab, three, "library libown.so.1"), "library libc.so.6");
	put(lab, "usr/lib/modules/disk.ko", 5000, disk);
	put(lab, "usr/lib/modules/bus.ko", 4000, because(lab, disk, "module bus"));
	put(lab, "usr/bin/two", 20000, because(lab, lab->large, "tool two"));
	put(lab, "init", 1000, because(lab, NULL, "overlay"));
	tree_sort(t);
}

static void lab_free(struct lab *lab)
{
	tree_free(&lab->draft.tree);
	weights_free(&lab->draft.weights);
	kernel_free(&lab->draft.kernel);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static char *chains_text(const struct chains *c)
{
	struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (size_t i = 0; i < c->count; i++) {
		for (size_t n = 0; n < c->list[i].count; n++)
			strbuf_printf(&b, "%s%s", n ? " > " : "", c->list[i].steps[n]);
		strbuf_puts(&b, "\n");
	}
	return b.data;
}

static void check_why(const struct lab *lab, const char *path, const char *want)
{
	_cleanup_(image_why) struct image_why why = { 0 };

	image_why(&lab->draft, path, &why);
	_cleanup_(free) char *text = chains_text(&why.chains);

	CHECK_STR(text, want);
	CHECK(!why.chains.more);
}

TEST(every_chain_is_found_the_shortest_first)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	check_why(&lab, "usr/bin/two",
		  "profile small > tool two\n"
		  "profile large > tool two\n");
	check_why(&lab, "usr/lib/libs.so.1.2",
		  "profile small > tool one > library libs.so.1\n"
		  "profile small > tool two > library libs.so.1\n"
		  "profile large > tool two > library libs.so.1\n");
	/* What asks for a library is also there because of others. */
	check_why(&lab, "usr/lib/libc.so.6",
		  "profile large > tool three > library libc.so.6\n"
		  "profile small > tool one > library libs.so.1 > library libc.so.6\n"
		  "profile small > tool two > library libs.so.1 > library libc.so.6\n"
		  "profile large > tool two > library libs.so.1 > library libc.so.6\n"
		  "profile large > tool three > library libown.so.1 > library libc.so.6\n");
	check_why(&lab, "usr/lib/modules/bus.ko", "profile large > module disk (for pci:x) > module bus\n");
	check_why(&lab, "init", "overlay\n");
}

TEST(a_link_has_the_chains_of_its_file)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_why) struct image_why why = { 0 };

	lab_make(&lab);
	image_why(&lab.draft, "usr/lib/libs.so.1", &why);
	CHECK_INT(why.chains.count, 3);
	CHECK_STR(why.file->path, "usr/lib/libs.so.1.2");
	image_why_free(&why);
	image_why(&lab.draft, "lib", &why);
	CHECK(S_ISDIR(why.file->mode));
}

TEST(circles_end)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	struct tree *t = &lab.draft.tree;
	const struct entry *libs = tree_find(t, "usr/lib/libs.so.1.2"),
			   *libc = tree_find(t, "usr/lib/libc.so.6");

	tree_also(t, libs->path, libc->reason, "library libs.so.1");
	tree_also(t, libc->path, libc->reason, "library libc.so.6");
	check_why(
		&lab, libs->path,
		"profile small > tool one > library libs.so.1\n"
		"profile small > tool two > library libs.so.1\n"
		"profile large > tool two > library libs.so.1\n"
		"profile large > tool three > library libc.so.6 > library libs.so.1\n"
		"profile large > tool three > library libown.so.1 > library libc.so.6 > library libs.so.1\n");
	CHECK_OK(tree_add_link(t, "a", "b", lab.small, &e));
	CHECK_OK(tree_add_link(t, "b", "a", lab.small, &e));
	tree_sort(t);
	check_why(&lab, "a", "profile small\n");
}

/* 2^20 chains: those that are asked for are found all the same, and it is said that there are more. */
TEST(too_many_chains_are_cut)
{
	_cleanup_(tree) struct tree t = { 0 };
	_cleanup_(reasons) struct reasons g = { 0 };
	_cleanup_(chains) struct chains chains = { 0 };
	const struct reason *below[2] = { tree_reason(&t, NULL, "profile x"), NULL };

	below[1] = below[0];
	for (int i = 0; i < 20; i++) {
		const struct reason *made[2];

		for (int side = 0; side < 2; side++) {
			_cleanup_(free) char *path = xasprintf("%02d-%d", i, side);

			made[side] = tree_reason(&t, below[0], "library %s", path);
			CHECK_OK(tree_add_data(&t, path, 0644, "", 0, made[side], &e));
			tree_also(&t, path, below[1], "library %s", path);
		}
		memcpy(below, made, sizeof(below));
	}
	tree_sort(&t);
	reasons_make(&t, &g);
	reasons_chains(&g, t.count - 1, 50, &chains);
	CHECK(chains.more);
	/* Before the first of them was complete there were too many: that of those who asked first is there. */
	CHECK_INT(chains.count, 1);
	CHECK_INT(chains.list[0].count, 21);
	CHECK_STR(chains.list[0].steps[0], "profile x");
	CHECK_STR(chains.list[0].steps[20], "library 19-1");
	chains_free(&chains);
	reasons_chains(&g, 9, 16, &chains);
	CHECK_INT(chains.count, 16);
	CHECK(!chains.more);
	chains_free(&chains);
	reasons_chains(&g, 11, 16, &chains);
	CHECK_INT(chains.count, 16);
	CHECK(chains.more);
}

TEST(a_word_stands_for_files)
{
	_cleanup_(lab) struct lab lab;
	static const struct {
		const char *what, *want;
	} cases[] = {
		{ "/usr/bin/one", "usr/bin/one" },
		{ "usr/bin/one", "usr/bin/one" },
		{ "//lib/../lib/libc.so.6", "usr/lib/libc.so.6" },
		{ "/lib", "lib" },
		{ "libs.so.1", "usr/lib/libs.so.1" },
		{ "one", "usr/bin/one" }, /* not the link of the same name */
		{ "twin", "usr/bin/twin usr/lib/twin" },
		{ "lib", "lib" }, /* a link; folders have no name here */
		{ "usr", "" },
		{ "four", "" },
		{ "/usr/bin/one/more", "" },
		{ "", "" },
		{ "/", "" },
	};

	lab_make(&lab);
	put(&lab, "usr/bin/twin", 1, lab.small);
	put(&lab, "usr/lib/twin", 1, lab.small);
	CHECK_OK(tree_add_link(&lab.draft.tree, "sbin/one", "../usr/bin/one", lab.small, &e));
	tree_sort(&lab.draft.tree);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(strlist) struct strlist found = { 0 };

		image_find(&lab.draft, cases[i].what, &found);
		_cleanup_(free) char *all = strlist_join(&found, " ");

		CHECK_STR(all ? all : "", cases[i].want);
	}
}

TEST(the_list_begins_with_what_costs_most)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_items) struct image_items items = { 0 };
	double sum = 0;

	lab_make(&lab);
	CHECK_OK(image_items(&lab.draft, &items, &e));
	CHECK_STR(items.list[0].entry->path, "usr/bin/one");
	CHECK_STR(items.list[1].entry->path, "usr/lib/libc.so.6");
	for (size_t i = 0; i < items.count; i++) {
		CHECK(!S_ISDIR(items.list[i].entry->mode));
		CHECK(i == 0 || items.list[i].share <= items.list[i - 1].share);
		sum += items.list[i].share;
	}
	CHECK_INT(items.count, 11);
	CHECK(sum > 0.99 && sum < 1); /* the rest is folders */
	/* 100000 and a header of 110 + 12, of 301000 and 11 headers and four folders of about 120 */
	CHECK(fabs(items.list[0].share - 0.331) < 0.001);
}

TEST(shares_are_of_the_compressed_image)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_items) struct image_items items = { 0 };
	_cleanup_(free) char *zeros = xcalloc(1, 4000000);

	lab_make(&lab);
	lab.conf.compress = (char *)"zstd";
	CHECK_OK(tree_add_data(&lab.draft.tree, "zeros", 0644, zeros, 4000000, lab.small, &e));
	tree_sort(&lab.draft.tree);
	CHECK_OK(image_items(&lab.draft, &items, &e));
	CHECK_STR(items.list[0].entry->path, "usr/bin/one");
	for (size_t i = 0; i < items.count; i++)
		if (streq(items.list[i].entry->path, "zeros"))
			CHECK(items.list[i].share < 0.01);
}

static const struct image_sum *find_sum(const struct image_sums *sums, const char *name)
{
	for (size_t i = 0; i < sums->count; i++)
		if (name ? sums->list[i].name && streq(sums->list[i].name, name) : !sums->list[i].name)
			return &sums->list[i];
	TAP_FAIL("no sum of %s", name ? name : "what has no name");
}

static void check_sum(const struct image_sums *sums, const char *name, size_t files, uint64_t size,
		      size_t alone_files, uint64_t alone_size)
{
	const struct image_sum *sum = find_sum(sums, name);

	printf("# %s\n", name ? name : "(others)");
	CHECK_INT(sum->files, files);
	CHECK_INT(sum->size, size);
	CHECK_INT(sum->alone_files, alone_files);
	CHECK_INT(sum->alone_size, alone_size);
}

TEST(sums_count_a_file_once_and_say_what_is_nobody_elses)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	for (enum image_by by = 0; by < BY_COUNT; by++) {
		_cleanup_(image_sums) struct image_sums sums = { 0 };
		double share = 0;
		size_t files = 0;

		CHECK_OK(image_sums(&lab.draft, by, &sums, &e));
		for (size_t i = 0; i < sums.count; i++) {
			share += sums.list[i].share;
			files += sums.list[i].files;
		}
		CHECK(fabs(share - 1) < 1e-6);
		CHECK_INT(files, 11);
		switch (by) {
		case BY_PROFILE:
			/* without small: one and the link go; two, libs and libc are there for large, too */
			check_sum(&sums, "small", 5, 250011, 2, 100011);
			check_sum(&sums, "large", 4, 49000, 4, 49000);
			check_sum(&sums, "overlay", 1, 1000, 0, 0);
			check_sum(&sums, "layout", 1, 7, 0, 0);
			break;
		case BY_TOOL:
			check_sum(&sums, "one", 4, 230011, 2, 100011);
			check_sum(&sums, "two", 1, 20000, 1, 20000);
			check_sum(&sums, "three", 2, 40000, 2, 40000);
			check_sum(&sums, NULL, 4, 10007, 0, 0);
			break;
		default:
			check_sum(&sums, "disk", 2, 9000, 2, 9000);
			check_sum(&sums, NULL, 9, 291018, 0, 0);
		}
	}
}

/* What a profile asks for and a tool needs as well is not saved by dropping the tool from the profile. */
TEST(what_is_asked_for_elsewhere_stays)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_sums) struct image_sums sums = { 0 };

	lab_make(&lab);
	struct tree *t = &lab.draft.tree;

	tree_also(t, "usr/bin/three", tree_find(t, "usr/bin/one")->reason, "tool three");
	tree_also(t, "usr/lib/modules/disk.ko", lab.small, "module disk");
	CHECK_OK(image_sums(&lab.draft, BY_TOOL, &sums, &e));
	check_sum(&sums, "three", 2, 40000, 0, 0);
	image_sums_free(&sums);
	CHECK_OK(image_sums(&lab.draft, BY_PROFILE, &sums, &e));
	check_sum(&sums, "large", 4, 49000, 0, 0);
	image_sums_free(&sums);
	CHECK_OK(image_sums(&lab.draft, BY_MODULE, &sums, &e));
	check_sum(&sums, "disk", 2, 9000, 2, 9000);
}

TEST(hard_links_cost_once)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_sums) struct image_sums sums = { 0 };

	lab_make(&lab);
	struct tree *t = &lab.draft.tree;
	struct entry *carrier = tree_find(t, "usr/bin/three"), *twin;

	put(&lab, "a-twin", 30000, lab.small);
	twin = tree_find(t, "a-twin");
	twin->same_as = carrier;
	carrier->links = 2;
	tree_sort(t);
	CHECK_OK(image_sums(&lab.draft, BY_PROFILE, &sums, &e));
	check_sum(&sums, "small", 6, 250011, 3, 100011);
	/* three is no longer asked for, but its content is still there under the other name */
	check_sum(&sums, "large", 4, 49000, 4, 19000);
}

TEST(over_budget_names_what_costs_most)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	lab.draft.result.initrd_size = 300 << 10;
	CHECK_OK(budget_check(&lab.draft, &e));
	lab.conf.max_initrd = 300 << 10;
	CHECK_OK(budget_check(&lab.draft, &e));
	lab.conf.max_initrd = 200 << 10;
	CHECK_ERROR(budget_check(&lab.draft, &e),
		    "make the image: its initrd has 300.0 KiB, more than max-initrd = 200.0 KiB in test.conf "
		    "allows; "
		    "most of it: profile small 83 %, profile large 16 %, tool one 76 %, tool three 13 %, "
		    "tool two 7 %, "
		    "module disk 3 %; 'lifeboat list' has the rest: drop what can go, or raise max-initrd");
}

/* The guess of a small tree is nearly what packing gives; of a large one it is near. */
TEST(guesses_are_near)
{
	static const char *const names[] = { "zstd", "gzip", "none" };
	_cleanup_(lab) struct lab lab;

	lab_make(&lab);
	for (size_t i = 0; i < 60; i++) {
		_cleanup_(free) char *path = xasprintf("many/%zu", i);

		put(&lab, path, 700000 + i, lab.small);
	}
	tree_sort(&lab.draft.tree);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(weights) struct weights weights = { 0 };
		const struct compressor *compressor = compressor_find(names[i], NULL);
		uint64_t content = 60 * 700000 + 301000, guess;

		CHECK_OK(weigh_tree(&lab.draft.tree, compressor, &weights, &e));
		CHECK_OK(weigh_guess(&lab.draft.tree, &weights, compressor, 0, &guess, &e));
		/* the content cannot be compressed */
		CHECK(guess > content && guess < content + content / 50);
	}
}

TEST(a_file_that_went_away_is_an_error)
{
	_cleanup_(lab) struct lab lab;
	_cleanup_(image_items) struct image_items items = { 0 };

	lab_make(&lab);
	lab.conf.compress = (char *)"zstd";
	CHECK_OK(tree_add_file(&lab.draft.tree, "gone", 0644, "/nonexistent/gone", 5, lab.small, &e));
	tree_sort(&lab.draft.tree);
	CHECK_ERROR(image_items(&lab.draft, &items, &e), "pack /nonexistent/gone: No such file or directory");
}

TEST(ram_is_for_unpacking_or_for_working)
{
	CHECK_INT(ram_needed(8 << 20, 10 << 20, 30 << 20), (6 * 8 + 16 + 30 + 96) << 20);
	CHECK_INT(ram_needed(8 << 20, 40 << 20, 100 << 20), (6 * 8 + 16 + 40 + 2 * 100) << 20);
}

TEST(promises_with_what_they_need)
{
	struct image_draft d = { 0 };
	struct profile list[2];
	_cleanup_(image_promises) struct image_promises got = { 0 };

	CHECK_OK(profile_parse("disk", "d.conf",
			       "[promise can open]\ntools = a|b c\nmodules = m\n[tools]\nrequired = other\n"
			       "[promise can close]\napplets = ash\nfiles = /f\n",
			       &list[0], &e));
	CHECK_OK(profile_parse("net", "n.conf", "[promise can call]\nlibraries = l\ntools = t\n", &list[1],
			       &e));
	d.profiles = (struct profiles) { .list = list, .count = 2 };
	strlist_add_words(&d.result.promises, "x");
	strlist_add(&d.result.promises, "can close");
	image_promises(&d, &got);
	CHECK_INT(got.count, 3);
	CHECK_STR(got.list[0].name, "can open");
	CHECK_STR(got.list[0].profile, "disk");
	CHECK(!got.list[0].seen && got.list[1].seen && !got.list[2].seen);
	CHECK_INT(got.list[0].count, 3);
	CHECK_STR(got.list[0].needs[0].what, "a|b");
	CHECK_STR(got.list[0].needs[2].kind, "modules");
	CHECK_STR(got.list[1].needs[0].kind, "applets");
	CHECK_STR(got.list[1].needs[1].what, "/f");
	CHECK_STR(got.list[2].profile, "net");
	CHECK_STR(got.list[2].needs[0].kind, "libraries");
	strlist_free(&d.result.promises);
	profile_free(&list[0]);
	profile_free(&list[1]);
}

TAP_MAIN()
