/* What `lifeboat check` calls a difference, and what a medium's record keeps. */
#include "base/fs.h"
#include "cmd/differences.h"
#include "cmd/record.h"
#include "tap.h"

static struct error e;

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

/* The lines, joined. */
static const char *files(const char *then, const char *now, const char *skip)
{
	static char *last;
	_cleanup_(strlist) struct strlist l = { 0 };

	free(last);
	differences_of_files(then, now, skip, &l);
	last = l.count ? strlist_join(&l, "\n") : xstrdup("");
	return last;
}

static const char *machines(const char *then, const char *now)
{
	static char *last;
	_cleanup_(strlist) struct strlist l = { 0 };

	free(last);
	last = NULL;
	CHECK_OK(differences_of_machines(then, now, &l, &e));
	last = l.count ? strlist_join(&l, "\n") : xstrdup("");
	return last;
}

TEST(the_same_files_are_no_difference)
{
	CHECK_STR(files("", "", NULL), "");
	CHECK_STR(files(ONE "  ./a\n" TWO "  ./b\n", TWO "  ./b\n" ONE "  ./a\n", NULL), "");
}

TEST(a_file_that_changed_came_or_went)
{
	CHECK_STR(files(ONE "  ./usr/bin/mount\n", TWO "  ./usr/bin/mount\n", NULL),
		  "/usr/bin/mount has changed");
	CHECK_STR(files(ONE "  ./a\n", ONE "  ./a\n" TWO "  ./b c\n", NULL),
		  "/b c is not on the stick and would be now");
	CHECK_STR(files(ONE "  ./a\n" TWO "  ./b\n", TWO "  ./b\n", NULL),
		  "/a is on the stick and would not be any more");
}

TEST(a_driver_that_is_no_longer_used_does_no_harm)
{
	CHECK_STR(files(ONE "  ./usr/lib/modules/6.1/kernel/a.ko\n", "", NULL), "");
	CHECK_STR(files("", ONE "  ./usr/lib/modules/6.1/kernel/a.ko\n", NULL),
		  "/usr/lib/modules/6.1/kernel/a.ko is not on the stick and would be now");
}

TEST(of_another_kernel_its_modules_are_not_told_one_by_one)
{
	CHECK_STR(files(ONE "  ./usr/lib/modules/6.1/a.ko\n" ONE "  ./b\n",
			ONE "  ./usr/lib/modules/6.2/a.ko\n" TWO "  ./b\n", "usr/lib/modules/"),
		  "/b has changed");
}

static const char machine[] = "[machine]\ncreated = 1\nkernel = 6.1\n\n[disk sda]\nserial = A\nsize = 100\n\n"
			      "[filesystem sda1]\ntype = ext4\nuuid = u\nused = 5\nfs.inodes-used = 7\n";

TEST(figures_that_change_by_themselves_do_not_count)
{
	CHECK_STR(machines(machine, machine), "");
	CHECK_STR(machines(machine,
			   "[machine]\ncreated = 2\nkernel = 6.2\n[disk sda]\nserial = A\nsize = 200\n"
			   "[filesystem sda1]\ntype = ext4\nuuid = u\nused = 6\nfs.inodes-used = 8\n"),
		  "");
}

TEST(disks_and_file_systems_that_changed)
{
	CHECK_STR(machines(machine, "[machine]\ncreated = 3\n[disk sda]\nserial = B\n[filesystem sda1]\ntype "
				    "= ext4\nuuid "
				    "= u\nlabel = x\n"
				    "[swap sda2]\nuuid = v\n"),
		  "machine: disk sda: serial was A, is B\nmachine: filesystem sda1: label was not set, is x\n"
		  "machine: swap sda2 is new");
	CHECK_STR(machines(machine, "[machine]\ncreated = 3\n[disk sda]\nserial = A\n"),
		  "machine: filesystem sda1 is gone");
}

TEST(a_medium_is_remembered)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(record) struct record r = { 0 };
	_cleanup_(cmd) struct cmd c = { .report = { .verbosity = VERBOSITY_QUIET } };
	_cleanup_(medium) struct medium m = { .temp = TEMPDIR_NONE,
					      .image_built = true,
					      .created = 1700000000 };

	CHECK_OK(tempdir_make(&dir, &e));
	CHECK(setenv("LIFEBOAT_STATE", dir.path, 1) == 0);
	CHECK_INT(record_load(&r, &e), -ENOENT);
	m.image.kernel_version = xstrdup("6.1.0-9-amd64");
	strbuf_puts(&m.manifest, ONE "  ./a\n");
	strlist_add(&c.profiles, "minimal");
	strlist_add(&c.profiles, "ssh");
	record_save(&c, &m, NULL, "/dev/sdz");
	CHECK_OK(record_load(&r, &e));
	CHECK_STR(r.medium, "/dev/sdz");
	CHECK_STR(r.kernel, "6.1.0-9-amd64");
	CHECK_STR(r.profiles, "minimal ssh");
	CHECK_STR(r.kernel_wanted, "");
	CHECK_STR(r.conf, "none");
	CHECK_STR(r.files, ONE "  ./a\n");
	CHECK_INT(r.created, 1700000000);

	m.image_built = false; /* --image: whatever is in it, it is not what was recorded */
	record_save(&c, &m, NULL, "/dev/sdz");
	record_free(&r);
	CHECK_INT(record_load(&r, &e), -ENOENT);
}

TAP_MAIN()
