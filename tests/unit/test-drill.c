#include "base/fs.h"
#include "guest/drill.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

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

/* ---- machines ---- */

struct made {
	int count;
	const char *disks, *firmware;
	bool fails;
};

static int put(const char *folder, const char *name, const char *text, struct error *err)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", folder, name);

	return text ? write_file_at(AT_FDCWD, path, 0644, text, strlen(text), err) : 0;
}

static int make_machine(void *user, const char *folder, struct error *err)
{
	struct made *m = user;
	int r = put(folder, "disk0.img", "zero", err);

	m->count++;
	if (r == 0)
		r = put(folder, "disk1.img", "one", err);
	if (r == 0)
		r = put(folder, "disks", m->disks, err);
	if (r == 0)
		r = put(folder, "guest", "qemu\n", err);
	if (r == 0)
		r = put(folder, "firmware", m->firmware, err);
	return r < 0 || !m->fails ? r : error_text(err, EIO, "it does not want to");
}

static void cache_here(struct tempdir *temp)
{
	CHECK_OK(tempdir_make(temp, &e));
	CHECK(setenv("XDG_CACHE_HOME", temp->path, 1) == 0);
}

TEST(a_machine_of_several_disks_is_made_once)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(drill_machine) struct drill_machine first = { 0 }, again = { 0 };
	struct report report;
	struct made made = { .disks = "disk0.img,if=sata\ndisk1.img,if=nvme,serial=S\n",
			     .firmware = "uefi\n" };
	const struct drill_maker maker = { .shown = "it", .make = make_machine, .user = &made };

	cache_here(&temp);
	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_OK(drill_machine_kept("it-1", &maker, &first, &report, &e));
	CHECK_OK(drill_machine_kept("it-1", &maker, &again, &report, &e));
	CHECK_INT(made.count, 1);
	CHECK_INT(again.disks.count, 2);
	CHECK_STR(again.disks.items[1], "disk1.img,if=nvme,serial=S");
	CHECK(again.qemu && again.uefi && !again.kernel);
	CHECK_OK(drill_machine_check(&again, &e));

	_cleanup_(free) char *disk = xasprintf("%s/disk1.img", again.folder);
	struct stat st;

	CHECK(stat(disk, &st) == 0 && (st.st_mode & 0777) == 0444);
	CHECK(unlink(disk) == 0);
	CHECK_OK(put(again.folder, "disk1.img", "two", &e));
	CHECK_INT(drill_machine_check(&again, &e), -EUCLEAN);
	CHECK(strstr(e.text, "a disk of the clean machine has changed since it was made; remove "));
}

TEST(a_machine_that_cannot_be_made_is_tried_again)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(drill_machine) struct drill_machine m = { 0 };
	struct report report;
	struct made made = { .fails = true };
	const struct drill_maker maker = { .shown = "it", .make = make_machine, .user = &made };

	cache_here(&temp);
	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_ERROR(drill_machine_kept("it-1", &maker, &m, &report, &e), "it does not want to");
	made.fails = false;
	made.firmware = "coreboot\n";
	CHECK_INT(drill_machine_kept("it-1", &maker, &m, &report, &e), -EINVAL);
	CHECK(strstr(e.text, "/firmware: bad value 'coreboot'; expected bios or uefi"));
	CHECK_INT(made.count, 2);
	CHECK(!m.folder);
}

TAP_MAIN()
