#include "conf/profile.h"
#include "base/fs.h"
#include "tap.h"

#include <fcntl.h>

static struct error e;

TEST(words_become_items_with_their_lines)
{
	_cleanup_(profile) struct profile p = { 0 };

	CHECK_OK(profile_parse("x", "x.conf",
			       "[profile]\ndescription = what for\nrequires = a b\n"
			       "[tools]\nrequired = dump\n    restore\nthis-program = yes\n"
			       "[link /bin/sh]\ntarget = busybox\n"
			       "[modules]\nclasses = kernel/drivers/ata\n",
			       &p, &e));
	CHECK_STR(p.description, "what for");
	CHECK_INT(p.requires.count, 2);
	CHECK_INT(p.count, 5);
	CHECK_INT(p.items[0].kind, ITEM_TOOL);
	CHECK_STR(p.items[1].value, "restore");
	CHECK_INT(p.items[1].line, 5);
	CHECK_INT(p.items[2].kind, ITEM_THIS_PROGRAM);
	CHECK_INT(p.items[3].kind, ITEM_LINK);
	CHECK_STR(p.items[3].value, "/bin/sh");
	CHECK_STR(p.items[3].target, "busybox");
	CHECK_INT(p.items[4].kind, ITEM_MODULE_CLASS);
}

TEST(mistakes_are_pointed_at)
{
	struct profile p;

	CHECK_ERROR(profile_parse("x", "x.conf", "[tools]\nrequierd = dump\n", &p, &e),
		    "x.conf:2: unknown key 'requierd' in [tools]; expected one of: required, optional, "
		    "this-program");
	CHECK_ERROR(profile_parse("x", "x.conf", "[tools]\nthis-program = no\n", &p, &e),
		    "x.conf:2: bad value 'no' for 'this-program'; expected yes");
	CHECK_ERROR(profile_parse("x", "x.conf", "[files]\n\nrequired = /a b\n", &p, &e),
		    "x.conf:3: 'b'; expected an absolute path");
	CHECK_ERROR(profile_parse("x", "x.conf", "[modules]\nclasses = /kernel\n", &p, &e),
		    "x.conf:2: '/kernel'; expected a folder such as kernel/drivers/ata");
}

TEST(a_promise_is_a_list_of_needs)
{
	_cleanup_(profile) struct profile p = { 0 };

	CHECK_OK(profile_parse("x", "x.conf",
			       "[tools]\nrequired = ls\n[promise can mount nfs4]\ntools = mount.nfs a|b\n"
			       "modules = nfsv4\nlibraries = liba.so\nfiles = /etc/rpc\napplets = ping\n"
			       "packages = nfs-common\n[promise can do more]\nfiles = /etc/more\n",
			       &p, &e));
	CHECK_INT(p.promise_count, 2);
	CHECK_STR(p.promises[0].name, "can mount nfs4");
	CHECK_STR(p.promises[0].packages, "nfs-common");
	CHECK_INT(p.count, 8);
	CHECK(!profile_promise(&p, &p.items[0]));
	CHECK(profile_promise(&p, &p.items[1]) == &p.promises[0]);
	CHECK_STR(p.items[2].value, "a|b");
	CHECK_INT(p.items[3].kind, ITEM_MODULE);
	CHECK_INT(p.items[3].line, 5);
	CHECK_INT(p.items[4].kind, ITEM_LIBRARY);
	CHECK_INT(p.items[6].kind, ITEM_APPLET);
	CHECK(profile_promise(&p, &p.items[7]) == &p.promises[1]);
	CHECK(profile_promises(&p, "can do more") && !profile_promises(&p, "can do"));
}

TEST(mistakes_in_promises_are_pointed_at)
{
	struct profile p;

	CHECK_ERROR(profile_parse("x", "x.conf", "[promise]\ntools = a\n", &p, &e),
		    "x.conf:1: section [promise]; expected [promise NAME]");
	CHECK_ERROR(profile_parse("x", "x.conf", "[promise a]\ntool = a\n", &p, &e),
		    "x.conf:2: unknown key 'tool' in [promise]; expected one of: tools, applets, modules, "
		    "libraries, "
		    "files, packages");
	CHECK_ERROR(profile_parse("x", "x.conf", "[promise a]\npackages = p\n", &p, &e),
		    "x.conf:1: [promise a] needs nothing; expected tools, modules …");
	CHECK_ERROR(profile_parse("x", "x.conf", "\n[promise a]\nlibraries = p\n", &p, &e),
		    "x.conf:2: [promise a] has libraries but no tools that open them");
	CHECK_ERROR(profile_parse("x", "x.conf", "[promise a]\nfiles = p\n", &p, &e),
		    "x.conf:2: 'p'; expected an absolute path");
	CHECK_ERROR(
		profile_parse("x", "x.conf", "[promise a]\nfiles = /p\n[promise a]\nfiles = /q\n", &p, &e),
		"x.conf:3: section [promise a] is there twice; first on line 1");
}

static void put(const struct tempdir *t, const char *name, const char *text)
{
	CHECK_OK(write_file_at(t->fd, name, 0644, text, strlen(text), &e));
}

TEST(required_profiles_come_first_and_once)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(profiles) struct profiles all = { 0 };
	_cleanup_(strlist) struct strlist names = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	put(&t, "base.conf", "[profile]\nrequires = b\n"); /* a circle is no harm */
	put(&t, "a.conf", "[profile]\nrequires = base\n");
	put(&t, "b.conf", "[profile]\nrequires = base a\n");
	strlist_add_words(&names, "b a");
	CHECK_OK(profiles_load(t.path, &names, &all, &e));
	CHECK_INT(all.count, 3);
	CHECK_STR(all.list[0].name, "base");
	CHECK_STR(all.list[1].name, "a");
	CHECK_STR(all.list[2].name, "b");
}

TEST(a_profile_that_is_nowhere)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(strlist) struct strlist names = { 0 };
	struct profiles all;

	CHECK_OK(tempdir_make(&t, &e));
	put(&t, "a.conf", "[profile]\nrequires = nowhere\n");
	strlist_add(&names, "a");
	_cleanup_(free) char *want =
		xasprintf("no profile 'nowhere', required by profile a (looked for %s/nowhere.conf)", t.path);

	CHECK_ERROR(profiles_load(t.path, &names, &all, &e), want);
}

/* Those that come with Lifeboat. */
TEST(our_own_profiles_are_right)
{
	static const char *const names[] = { "minimal",      "smb",         "nfs",     "ssh",
					     "lvm",          "raid",        "luks",    "xfs",
					     "btrfs",        "uefi",        "wifi",    "keyboard",
					     "this-machine", "storage-all", "net-all", "any-machine" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(profiles) struct profiles all = { 0 };
		_cleanup_(strlist) struct strlist one = { 0 };

		strlist_add(&one, names[i]);
		CHECK_OK(profiles_load("profiles", &one, &all, &e));
		CHECK_STR(all.list[0].name, "minimal");
		for (size_t k = 0; k < all.count; k++)
			CHECK(all.list[k].description);
	}
}

TAP_MAIN()
