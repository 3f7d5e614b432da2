#include "image/share.h"
#include "base/fs.h"
#include "tap.h"

#include <sys/stat.h>

static struct error e;

static void add(struct tree *t, const char *path, const char *text)
{
	CHECK_OK(tree_add_data(t, path, 0644, text, strlen(text), NULL, &e));
}

TEST(paths_lead_through_the_trees_own_links)
{
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tree_add_link(&t, "/lib", "usr/lib", NULL, &e));
	CHECK_OK(tree_add_link(&t, "/usr/lib/abs", "/opt/x", NULL, &e));
	CHECK_OK(tree_add_link(&t, "/opt/x/up", "../../etc", NULL, &e));
	add(&t, "/lib/abs/up/./file", "hello");
	CHECK(tree_find(&t, "etc/file"));
	CHECK(!tree_find(&t, "lib/abs/up/file"));
	CHECK(S_ISDIR(tree_find(&t, "etc")->mode));
	CHECK_INT(tree_find(&t, "etc/file")->size, 5);
}

TEST(a_folder_may_stand_where_a_link_to_one_is)
{
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tree_add_link(&t, "/lib", "usr/lib", NULL, &e));
	CHECK_OK(tree_add_folder(&t, "/lib", 0755, NULL, &e));
	CHECK(S_ISLNK(tree_find(&t, "lib")->mode));
}

TEST(the_first_one_stays_unless_replaced)
{
	_cleanup_(tree) struct tree t = { 0 };

	add(&t, "/etc/x", "one");
	add(&t, "/etc/x", "two");
	CHECK_STR(tree_find(&t, "etc/x")->data, "one");
	t.replace = true;
	add(&t, "/etc/x", "three");
	CHECK_STR(tree_find(&t, "etc/x")->data, "three");
	CHECK_INT(t.count, 2);
}

TEST(files_and_folders_do_not_take_each_others_place)
{
	_cleanup_(tree) struct tree t = { 0 };

	add(&t, "/a/b", "");
	CHECK_ERROR(tree_add_data(&t, "/a", 0644, "", 0, NULL, &e),
		    "add /a to the image: there is a folder of that name already");
	CHECK_ERROR(tree_add_folder(&t, "/a/b", 0755, NULL, &e),
		    "add /a/b to the image: there is a file of that name already");
	CHECK_ERROR(tree_add_data(&t, "/a/b/c", 0644, "", 0, NULL, &e),
		    "add /a/b/c to the image: /a/b is not a folder there");
}

TEST(links_in_a_circle_end)
{
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tree_add_link(&t, "/a", "b", NULL, &e));
	CHECK_OK(tree_add_link(&t, "/b", "a", NULL, &e));
	CHECK_ERROR(tree_add_data(&t, "/a/x", 0644, "", 0, NULL, &e),
		    "add /a/x to the image: Too many levels of symbolic links");
}

TEST(the_list_says_why)
{
	_cleanup_(tree) struct tree t = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	const struct reason *profile = tree_reason(&t, NULL, "profile %s", "smb");
	const struct reason *tool = tree_reason(&t, profile, "tool x");

	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abc", 3, tool, &e));
	CHECK_OK(tree_add_link(&t, "/a", "bin/x", profile, &e));
	tree_sort(&t);
	tree_list(&t, &text);
	CHECK_STR(text.data, "/a\tlink\t0777\t5\tprofile smb\n"
			     "/bin\tfolder\t0755\t0\tprofile smb → tool x\n"
			     "/bin/x\tfile\t0755\t3\tprofile smb → tool x\n");
}

TEST(who_asks_later_is_remembered)
{
	_cleanup_(tree) struct tree t = { 0 };
	const struct reason *profile = tree_reason(&t, NULL, "profile smb");
	const struct reason *first = tree_reason(&t, profile, "tool x"),
			    *later = tree_reason(&t, profile, "helper");

	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abc", 3, first, &e));
	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abc", 3, first, &e));
	CHECK_INT(tree_find(&t, "bin/x")->further_count, 0);
	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abc", 3, later, &e));
	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abc", 3, later, &e));
	tree_also(&t, "bin/x", profile, "tool %s", "x");
	tree_also(&t, "bin/x", profile, "tool %s", "y");
	tree_also(&t, "bin/x", profile, "tool %s", "y");
	tree_also(&t, "bin", profile, "tool y");
	tree_also(&t, "nowhere", profile, "tool y");
	CHECK_INT(tree_find(&t, "bin/x")->further_count, 2);
	CHECK(tree_find(&t, "bin/x")->reason == first);
	CHECK(tree_find(&t, "bin/x")->further[0] == later);
	CHECK_STR(tree_find(&t, "bin/x")->further[1]->text, "tool y");
	CHECK_INT(tree_find(&t, "bin")->further_count, 0);
	CHECK(!tree_find(&t, "nowhere"));

	/* What takes its place was asked for by nobody else. */
	t.replace = true;
	CHECK_OK(tree_add_data(&t, "/bin/x", 0755, "abcd", 4, later, &e));
	CHECK(tree_find(&t, "bin/x")->reason == later);
	CHECK_INT(tree_find(&t, "bin/x")->further_count, 0);
}

TEST(many_entries)
{
	_cleanup_(tree) struct tree t = { 0 };
	char path[64];

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path), "d%d/f%d", i % 10, i);
		add(&t, path, "");
	}
	CHECK_INT(t.count, 5010);
	tree_sort(&t);
	for (size_t i = 1; i < t.count; i++)
		CHECK(strcmp(t.entries[i - 1]->path, t.entries[i]->path) < 0);
}

static const struct entry *shared(const struct tree *t, const char *path)
{
	return tree_find(t, path)->same_as;
}

TEST(programs_of_one_content_are_one_file)
{
	_cleanup_(tree) struct tree t = { 0 };

	add(&t, "/usr/lib/c", "same");
	add(&t, "/usr/lib/a", "same");
	add(&t, "/usr/lib/b", "other");
	add(&t, "/usr/lib/d", "four");
	add(&t, "/usr/lib/e", "same");
	CHECK_OK(tree_add_data(&t, "/usr/bin/x", 0755, "same", 4, NULL, &e)); /* another mode */
	add(&t, "/usr/lib/empty", "");
	add(&t, "/usr/lib/empty2", "");
	add(&t, "/etc/one", "same"); /* somebody may edit it */
	tree_sort(&t);
	CHECK_OK(tree_share_duplicates(&t, &e));
	/* The last one carries the content. */
	CHECK(shared(&t, "usr/lib/a") == tree_find(&t, "usr/lib/e"));
	CHECK(shared(&t, "usr/lib/c") == tree_find(&t, "usr/lib/e"));
	CHECK(!shared(&t, "usr/lib/e"));
	CHECK_INT(tree_find(&t, "usr/lib/e")->links, 3);
	CHECK(!shared(&t, "usr/lib/b") && !shared(&t, "usr/lib/d") && !shared(&t, "usr/bin/x"));
	CHECK(!shared(&t, "usr/lib/empty") && !shared(&t, "etc/one"));
}

TEST(hard_links_of_the_machine_stay)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tempdir_make(&dir, &e));
	CHECK_OK(write_file_at(dir.fd, "one", 0644, "text", 4, &e));
	CHECK_OK(write_file_at(dir.fd, "copy", 0644, "text", 4, &e));
	CHECK(linkat(dir.fd, "one", dir.fd, "two", 0) == 0);
	_cleanup_(free) char *one = xasprintf("%s/one", dir.path);
	_cleanup_(free) char *two = xasprintf("%s/two", dir.path);
	_cleanup_(free) char *copy = xasprintf("%s/copy", dir.path);

	CHECK_OK(tree_add_file(&t, "/etc/a", 0644, one, 4, NULL, &e));
	CHECK_OK(tree_add_file(&t, "/etc/b", 0644, copy, 4, NULL, &e));
	CHECK_OK(tree_add_file(&t, "/etc/c", 0644, two, 4, NULL, &e));
	tree_sort(&t);
	CHECK_OK(tree_share_duplicates(&t, &e));
	CHECK(shared(&t, "etc/a") == tree_find(&t, "etc/c"));
	CHECK(!shared(&t, "etc/b"));
}

TEST(a_file_that_is_gone_is_told_when_it_is_compared)
{
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tree_add_file(&t, "/usr/lib/a", 0644, "/no/such/file", 4, NULL, &e));
	tree_sort(&t);
	CHECK_ERROR(tree_share_duplicates(&t, &e), "pack /no/such/file: No such file or directory");
}

TAP_MAIN()
