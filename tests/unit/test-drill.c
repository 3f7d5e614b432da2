#include "base/fs.h"
#include "guest/drill.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

static struct error e;

#define DRILL "[drill]\ntitle = t\nsymptom = s\nexercise = x\n"
#define BREAK "[break]\nboot = rescue\nrun = a\n"
#define CURE "[cure]\nboot = rescue\nrun = b\n"
#define CHECK_ "[check]\nboot = machine\nwait = c\n"

/* Works in a folder of its own, which has the drill. */
static int load(struct tempdir *temp, const char *text, struct drill *ret)
{
	CHECK_OK(tempdir_make(temp, &e));
	CHECK(fchdir(temp->fd) == 0);
	CHECK_OK(write_file_at(AT_FDCWD, "d.conf", 0644, text, strlen(text), &e));
	return drill_load("none", "./d.conf", ret, &e);
}

TEST(a_drill)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(drill) struct drill d = { 0 };

	CHECK_OK(load(&temp,
		      "[drill]\ntitle = t\nsymptom = s\nsymptom = u\nexercise = one\n  line\nexercise = two\n"
		      "hint = h\nfirmware = uefi\ndisks = 64M 1G\nmachine = debian-x\n" BREAK
		      "[cure]\nclean = yes\n" CHECK_,
		      &d));
	CHECK_STR(d.name, "d");
	CHECK_STR(d.title, "t");
	CHECK_STR(d.machine, "debian-x");
	CHECK(d.uefi);
	CHECK_INT(d.symptoms.count, 2);
	CHECK_INT(d.exercise.count, 2);
	CHECK_STR(d.exercise.items[0], "one line");
	CHECK_INT(d.hints.count, 1);
	CHECK_INT(d.disks.count, 2);
	CHECK_INT(d.breaking.boot, DRILL_BOOT_RESCUE);
	CHECK_INT(d.breaking.script.count,
		  3); /* the way to the rescue system's shell comes first, sync last */
	CHECK(d.cure.clean && d.cure.boot == DRILL_BOOT_NOTHING);
	CHECK_INT(d.check.boot, DRILL_BOOT_MACHINE);
	CHECK_INT(d.check.script.count, 1);
}

TEST(bad_drills)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ BREAK CURE CHECK_, "./d.conf: [drill] needs title, symptom and exercise" },
		{ "[drill]\ntitle = t\nexercise = x\n" BREAK CURE CHECK_,
		  "./d.conf: [drill] needs title, symptom and exercise" },
		{ DRILL BREAK CURE,
		  "./d.conf: no [check]; a drill has [drill], [break], [cure] and [check]" },
		{ DRILL "[break]\nrun = a\n" CURE CHECK_,
		  "./d.conf:5: [break] has no boot; expected boot = machine or rescue" },
		{ DRILL BREAK "[cure]\nclean = yes\nrun = a\n" CHECK_,
		  "./d.conf:8: [cure] has no boot; expected boot = machine or rescue" },
		{ DRILL "disks = 0\n" BREAK CURE CHECK_,
		  "./d.conf:5: bad value '0' for 'disks'; expected up to eight sizes, such as 64M" },
		{ DRILL "machine = ../x\n" BREAK CURE CHECK_,
		  "./d.conf:5: bad value '../x' for 'machine'; expected a name of lower-case letters, digits "
		  "and '-'" },
		{ DRILL "firmware = efi\n" BREAK CURE CHECK_,
		  "./d.conf:5: bad value 'efi' for 'firmware'; expected bios or uefi" },
		{ DRILL "title = again\n" BREAK CURE CHECK_,
		  "./d.conf:5: 'title' is set twice; first on line 2" },
		{ DRILL BREAK BREAK CURE CHECK_,
		  "./d.conf:8: section [break] is there twice; first on line 5" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
		_cleanup_(drill) struct drill d = { 0 };

		CHECK_ERROR(load(&temp, cases[i].text, &d), cases[i].error);
		CHECK(!d.name);
	}
}

/* Every drill that comes with Lifeboat is one: tests/guest/60-drills.t does some, MATRIX=all all of them. */
TEST(the_drills_that_come_along)
{
	_cleanup_(strlist) struct strlist names = { 0 };

	drill_names("profiles/drills", &names);
	CHECK(names.count >= 14);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(drill) struct drill d = { 0 };

		CHECK_OK(drill_load("profiles/drills", names.items[i], &d, &e));
		CHECK(d.hints.count > 0);
	}
}

TAP_MAIN()
