/* The journal of a recovery: what goes on where, and above all what must not go on. */
#include "base/fs.h"
#include "machine/journal.h"
#include "machine/machine_conf.h"
#include "tap.h"

#include <fcntl.h>

static struct error e;

#define GIB (UINT64_C(1) << 30)
#define TYPE "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

static const char old_machine[] =
	"[machine]\nfirmware = bios\n"
	"[disk sda]\nsize = 10737418240\nsector-size = 512\ntable = gpt\n"
	"table-id = 01234567-0123-4123-8123-0123456789AB\n"
	"[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = 1073741824\ntype = " TYPE "\n"
	"uuid = 11111111-0123-4123-8123-0123456789AB\n"
	"[filesystem sda1]\ntype = ext4\nmountpoint = /\nstream = root\nmethod = dump\n"
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 1074790400\nsize = 1073741824\ntype = " TYPE "\n"
	"[filesystem sda2]\ntype = ext4\nmountpoint = /home\nstream = home\nmethod = dump\n";

/* The same disk with a group on LUKS on an array, and a btrfs with two subvolumes in one of its volumes. */
static const char layered_machine[] =
	"[machine]\nfirmware = bios\n"
	"[disk sda]\nsize = 10737418240\nsector-size = 512\ntable = gpt\n"
	"table-id = 01234567-0123-4123-8123-0123456789AB\n"
	"[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = 1073741824\ntype = " TYPE "\n"
	"uuid = 11111111-0123-4123-8123-0123456789AB\n"
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 1074790400\nsize = 1073741824\ntype = " TYPE "\n"
	"[raid md0]\ndevices = sda1, sda2\nlevel = raid1\nmetadata = 1.2\n"
	"uuid = 01234567:89abcdef:01234567:89abcdef\ncomponent-size = 1072693248\ndata-offset = 1048576\n"
	"[crypt secret]\ndevice = md0\ntype = luks2\nuuid = 0e1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7\n"
	"offset = 16777216\nstream = luks-secret\n"
	"[group vg]\ndevices = secret\ndevice-uuids = abcdef-0123-4567-89ab-cdef-0123-456789\n"
	"device-starts = 1048576\nuuid = ghijkl-0123-4567-89ab-cdef-0123-456789\nextent-size = 4194304\n"
	"[volume vg/root]\ntype = linear\nuuid = mnopqr-0123-4567-89ab-cdef-0123-456789\nsize = 536870912\n"
	"[filesystem vg/root]\ntype = btrfs\nuuid = 0f1f2a3b-4c5d-6e7f-8091-a2b3c4d5e6f7\n"
	"[subvolume root.1]\nfilesystem = vg/root\npath = /@\nmountpoint = /\nstream = root\nmethod = "
	"tar\n"
	"[subvolume root.2]\nfilesystem = vg/root\npath = /@home\nmountpoint = /home\nstream = home\n"
	"method = tar\n"
	"[volume vg/srv]\ntype = linear\nuuid = stuvwx-0123-4567-89ab-cdef-0123-456789\nsize = 268435456\n"
	"[filesystem vg/srv]\ntype = ext4\nmountpoint = /srv\nstream = srv\nmethod = dump\n";

/* The steps: wipe, table, mkfs, mkfs, mount, restore, mount, restore, unmount (and what mends). */
enum { WIPE, TABLE, MKFS_ROOT, MKFS_HOME, MOUNT_ROOT, RESTORE_ROOT, MOUNT_HOME, RESTORE_HOME };

/* What may be different from what was begun. */
struct change {
	const char *serial, *label, *table_id, *part_uuid;
	uint64_t part_size;
	bool blank; /* the disk as it was before the recovery began */
	bool layered; /* the other machine */
};

static void add_present(struct machine *m, const struct change *c)
{
	struct device *d = machine_add(m, DEVICE_DISK, "vda");

	d->size = 10 * GIB;
	d->sector_size = 512;
	d->identity.path = xstrdup("/dev/vda");
	d->identity.serial = xstrdup(c->serial ? c->serial : "S");
	d->now.devno = 77;
	if (c->blank)
		return;
	d->now.holds = xstrdup("gpt table, ext4, ext4");
	d->table = TABLE_GPT;
	d->table_id = xstrdup(c->table_id ? c->table_id : "01234567-0123-4123-8123-0123456789ab");
	for (unsigned n = 1; n <= 2; n++) {
		struct device *p = machine_add(m, DEVICE_PARTITION, n == 1 ? "vda1" : "vda2");

		p->parent = d;
		p->number = n;
		p->start = n == 1 ? 1048576 : 1074790400;
		p->size = n == 1 && c->part_size ? c->part_size : GIB;
		p->part_type = xstrdup(TYPE);
		p->part_uuid = xstrdup(n == 1 && !c->part_uuid ? "11111111-0123-4123-8123-0123456789AB"
				       : c->part_uuid          ? c->part_uuid
							       : "22222222-0123-4123-8123-0123456789AB");
	}
}

static void plan_on(const struct change *c, const struct strlist *begun, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	/* nobody is there: only the journal allows to take a disk that is not blank */
	const struct plan_options options = { .unattended = true, .begun = begun };

	CHECK_OK(machine_conf_parse("old", c->layered ? layered_machine : old_machine, &old, &e));
	if (c->label)
		machine_find(&old, "sda1")->content.label = xstrdup(c->label);
	add_present(&present, c);
	CHECK_OK(plan_make(&old, &present, &options, ret, &e));
}

/* A recovery of `source` is killed with `done` steps done; the next one finds things changed. */
static int go_on(size_t done, const char *source, const struct change *c, struct plan *ret)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(plan) struct plan first = { 0 };
	_cleanup_(journal) struct journal j = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	plan_on(&(struct change) { .blank = true, .layered = c->layered }, NULL, &first);
	CHECK_OK(journal_write(t.path, &first, "host/set", 0, &e));
	CHECK_OK(journal_write(t.path, &first, "host/set", done, &e));
	CHECK_OK(journal_read(t.path, &j, &e));
	CHECK_INT(j.done, done);
	CHECK_INT(j.map.count, 1);
	CHECK_STR(j.map.items[0], "sda=vda");
	plan_on(c, &j.map, ret);
	return journal_continue(&j, source, ret, &e);
}

TEST(it_goes_on_behind_what_is_done)
{
	for (size_t done = TABLE + 1; done <= RESTORE_HOME; done++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_OK(go_on(done, "host/set", &(struct change) { 0 }, &p));
		CHECK_INT(p.done, done);
		CHECK_STR(p.mappings[0].reason, "the recovery of it was begun here");
		for (size_t i = 0; i < p.step_count; i++) {
			/* half a restore is no restore: its file system is made again, and only that one */
			bool made_again = (done == RESTORE_ROOT && i == MKFS_ROOT) ||
					  (done == RESTORE_HOME && i == MKFS_HOME);

			CHECK_INT(p.steps[i].done, i < done && !made_again);
		}
	}
}

static const struct device *filesystem_of(const struct device *d)
{
	return d && d->kind == DEVICE_SUBVOLUME ? d->parent : d;
}

static bool fills(enum step_kind kind)
{
	return kind == STEP_MKFS || kind == STEP_SUBVOLUMES || kind == STEP_RESTORE;
}

/* Layers go on as partitions do; a subvolume's half restore makes its whole btrfs again, and no other file system. */
TEST(layers_and_subvolumes_go_on)
{
	size_t count = 9, layers = 0, made_again = 0;

	for (size_t done = TABLE + 1; done < count; done++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_OK(go_on(done, "host/set", &(struct change) { .layered = true }, &p));
		CHECK_INT(p.done, done);
		count = p.step_count;
		const struct step *next = &p.steps[done];

		for (size_t i = 0; i < p.step_count; i++) {
			const struct step *s = &p.steps[i];
			bool half = next->kind == STEP_RESTORE && fills(s->kind) &&
				    filesystem_of(s->device) == filesystem_of(next->device);

			CHECK_INT(s->done, i < done && !half);
			layers += s->done && (s->kind == STEP_RAID || s->kind == STEP_IMAGE ||
					      s->kind == STEP_CRYPT || s->kind == STEP_GROUP);
			made_again += i < done && half;
		}
	}
	CHECK(layers > 20);
	/* @: its btrfs with the subvolumes; @home: also what was restored into @; srv: its ext4 */
	CHECK_INT(made_again, 2 + 3 + 1);
}

TEST(when_nothing_is_done_nothing_need_be_there)
{
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(go_on(WIPE, "host/set", &(struct change) { .table_id = "whatever was there" }, &p));
	CHECK(!p.steps[WIPE].done);
}

TEST(another_recovery_does_not_go_on)
{
	static const struct {
		const char *source;
		struct change change;
		const char *why;
	} cases[] = {
		{ "host/later", { 0 }, "its plan was another one" },
		{ "host/set", { .serial = "OTHER" }, "its plan was another one" },
		{ "host/set", { .label = "edited" }, "its plan was another one" },
		{ "host/set",
		  { .table_id = "76543210-0123-4123-8123-0123456789AB" },
		  "/dev/vda has another partition table" },
		{ "host/set", { .blank = true }, "/dev/vda has another partition table" },
		{ "host/set", { .part_size = GIB / 2 }, "partition 1 of /dev/vda is another one" },
		{ "host/set",
		  { .part_uuid = "33333333-0123-4123-8123-0123456789AB" },
		  "partition 1 of /dev/vda is another one" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(plan) struct plan p = { 0 };

		CHECK_ERROR(go_on(MKFS_HOME, cases[i].source, &cases[i].change, &p), cases[i].why);
		CHECK_INT(p.done, 0);
		for (size_t k = 0; k < p.step_count; k++)
			CHECK(!p.steps[k].done);
	}
}

TEST(no_journal_is_an_empty_one)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(plan) struct plan p = { 0 };
	_cleanup_(journal) struct journal j = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	CHECK_OK(journal_read(t.path, &j, &e));
	CHECK(!j.plan);
	plan_on(&(struct change) { .blank = true }, NULL, &p);
	CHECK_OK(journal_write(t.path, &p, "", 3, &e));
	journal_remove(t.path);
	CHECK_OK(journal_read(t.path, &j, &e));
	CHECK(!j.plan);
}

TEST(what_nobody_wrote_is_refused)
{
	static const char *const texts[] = {
		"",
		"[journal]\n",
		"[journal]\nplan = x\ndone = 1\n",
		"[disk sda]\nis = vda\n",
		"[journal]\nplan = 0123456789012345678901234567890123456789012345678901234567890123\n",
		("[journal]\nplan = 0123456789012345678901234567890123456789012345678901234567890123\ndone = "
		 "-1\n[disk sda]\nis = vda\n"),
	};
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(journal) struct journal j = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		CHECK_OK(write_file_at(t.fd, "journal", 0600, texts[i], strlen(texts[i]), &e));
		CHECK(journal_read(t.path, &j, &e) < 0);
		CHECK(!j.plan);
	}
}

TEST(one_recovery_at_a_time)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(fd) int first = -1, second = -1;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *folder = xasprintf("%s/run/lifeboat", t.path);

	CHECK_OK(journal_lock(folder, &first, &e));
	CHECK_INT(journal_lock(folder, &second, &e), -EBUSY);
	CHECK(close(TAKE_FD(first)) == 0);
	CHECK_OK(journal_lock(folder, &second, &e));
}

TAP_MAIN()
