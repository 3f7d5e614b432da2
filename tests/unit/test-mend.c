/* Names of disks in the files of a recovered system, here a folder. */
#include "base/fs.h"
#include "machine/machine_conf.h"
#include "machine/mend.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error e;
static struct report report;

#define TYPE "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

static const char old_machine[] =
	"[machine]\nfirmware = uefi\n"
	"[disk sda]\npath = /dev/sda\nsize = 10737418240\nsector-size = 512\ntable = gpt\n"
	"[partition sda1]\ndisk = sda\nnumber = 1\nstart = 1048576\nsize = 1073741824\ntype = " TYPE "\n"
	"[filesystem sda1]\ntype = ext4\nuuid = 11111111-0123-4123-8123-0123456789ab\nmountpoint = /\n"
	"[partition sda2]\ndisk = sda\nnumber = 2\nstart = 1074790400\nsize = 1073741824\ntype = " TYPE "\n"
	"[swap sda2]\ntype = swap\nuuid = 22222222-0123-4123-8123-0123456789ab\n"
	"[partition sda3]\ndisk = sda\nnumber = 3\nstart = 2148532224\nsize = 1073741824\ntype = " TYPE "\n"
	"[partition sda4]\ndisk = sda\nnumber = 4\nstart = 3222274048\nsize = 1073741824\ntype = " TYPE "\n"
	"[btrfs pool]\ndevices = sda3, sda4\n"
	"[filesystem pool]\ntype = btrfs\nuuid = 33333333-0123-4123-8123-0123456789ab\n";

#define ROOT "UUID=11111111-0123-4123-8123-0123456789ab"
#define POOL "UUID=33333333-0123-4123-8123-0123456789ab"
#define SWAP "UUID=22222222-0123-4123-8123-0123456789ab"

static const struct {
	const char *file, *before, *after;
} cases[] = {
	{ "etc/fstab",
	  "# /dev/sda1 was it\n/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\n/dev/sda12 /x\n",
	  "# /dev/sda1 was it\n" ROOT " / ext4 defaults 0 1\n" SWAP " none swap sw 0 0\n/dev/sda12 /x\n" },
	/* each device of a btrfs stands for the whole of it, but not as an option of mount(8) */
	{ "etc/default/grub",
	  "/dev/sda4 /srv btrfs device=/dev/sda3,device=/dev/sda4,device=/dev/sda12\nxdevice=/dev/sda3\n",
	  POOL " /srv btrfs device=/dev/vda3,device=/dev/vda4,device=/dev/sda12\nxdevice=" POOL "\n" },
	{ "boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda1 ro\n", "linux /vmlinuz root=" ROOT " ro\n" },
	{ "boot/extlinux/extlinux.conf", "append root=/dev/sda1 ro resume=/dev/sda2\n",
	  "append root=" ROOT " ro resume=" SWAP "\n" },
	{ "etc/kernel/cmdline", "root=/dev/sda1 quiet\n", "root=" ROOT " quiet\n" },
	{ "boot/efi/loader/entries/debian.conf", "title D\noptions root=/dev/sda1\n",
	  "title D\noptions root=" ROOT "\n" },
	{ "boot/efi/loader/entries/notes.txt", "root=/dev/sda1\n", "root=/dev/sda1\n" },
	{ "boot/loader/entries/other.conf", "options root=UUID=x\n", "options root=UUID=x\n" },
};

static void plan_on(const char *disk, struct plan *ret)
{
	_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
	const struct plan_options options = { 0 };

	CHECK_OK(machine_conf_parse("old", old_machine, &old, &e));
	struct device *d = machine_add(&present, DEVICE_DISK, disk);

	d->size = UINT64_C(10737418240);
	d->sector_size = 512;
	d->identity.path = xasprintf("/dev/%s", disk);
	CHECK_OK(plan_make(&old, &present, &options, ret, &e));
}

/* `moved`: the disk has another name now. */
static void mend(bool moved)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	plan_on(moved ? "vda" : "sda", &p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(free) char *folder =
			xstrndup(cases[i].file, (size_t)(strrchr(cases[i].file, '/') - cases[i].file));

		CHECK_OK(mkdir_parents_at(t.fd, folder, 0755, &e));
		CHECK_OK(write_file_at(t.fd, cases[i].file, 0640, cases[i].before, strlen(cases[i].before),
				       &e));
	}
	const struct recovered root = { .path = t.path };

	CHECK_OK(mend_names(&root, &p, &report, &e));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(free) char *text = NULL;

		CHECK_OK(read_file_at(t.fd, cases[i].file, 4096, &text, NULL, &e));
		CHECK_STR(text, moved ? cases[i].after : cases[i].before);
	}
}

TEST(names_of_a_disk_that_is_called_otherwise_become_uuids)
{
	mend(true);
}

TEST(names_that_are_right_stay)
{
	mend(false);
}

TEST(a_system_need_not_have_such_files)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(plan) struct plan p = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	plan_on("vda", &p);
	const struct recovered root = { .path = t.path };

	CHECK_OK(mend_names(&root, &p, &report, &e));
}

/* Where links of the recovered system point, as seen from here. */
struct outside {
	struct tempdir root, other;
	struct plan plan;
};

static void outside_begin(struct outside *o)
{
	*o = (struct outside) { .root = TEMPDIR_NONE, .other = TEMPDIR_NONE };
	CHECK_OK(tempdir_make(&o->root, &e));
	CHECK_OK(tempdir_make(&o->other, &e));
	plan_on("vda", &o->plan);
}

static void outside_end(struct outside *o)
{
	tempdir_remove(&o->root);
	tempdir_remove(&o->other);
	plan_free(&o->plan);
}

static const char fstab[] = "/dev/sda1 / ext4 defaults 0 1\n", mended[] = ROOT " / ext4 defaults 0 1\n";

TEST(links_of_the_recovered_system_lead_to_no_file_of_ours)
{
	static const char *const names[] = { "fstab", "other.conf", "default/grub" };
	struct outside o;

	outside_begin(&o);
	CHECK_OK(mkdir_parents_at(o.root.fd, "boot/loader", 0755, &e));
	CHECK_OK(mkdir_parents_at(o.other.fd, "default", 0755, &e));
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(write_file_at(o.other.fd, names[i], 0644, fstab, strlen(fstab), &e));
	CHECK(symlinkat(o.other.path, o.root.fd, "etc") == 0);
	CHECK(symlinkat(o.other.path, o.root.fd, "boot/loader/entries") == 0);
	CHECK(symlinkat(o.other.path, o.root.fd, "efi") == 0);
	const struct recovered root = { .path = o.root.path };

	CHECK_OK(mend_names(&root, &o.plan, &report, &e));
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(free) char *text = NULL;

		CHECK_OK(read_file_at(o.other.fd, names[i], 4096, &text, NULL, &e));
		CHECK_STR(text, fstab);
	}
	outside_end(&o);
}

TEST(links_are_followed_inside_the_recovered_system)
{
	_cleanup_(free) char *text = NULL, *entry = NULL;
	struct outside o;

	outside_begin(&o);
	CHECK_OK(mkdir_parents_at(o.root.fd, "data/etc", 0755, &e));
	CHECK_OK(mkdir_parents_at(o.root.fd, "data/entries", 0755, &e));
	CHECK_OK(mkdir_parents_at(o.root.fd, "boot/loader", 0755, &e));
	CHECK_OK(write_file_at(o.root.fd, "data/etc/fstab", 0644, fstab, strlen(fstab), &e));
	CHECK_OK(write_file_at(o.root.fd, "data/entries/a.conf", 0644, fstab, strlen(fstab), &e));
	CHECK(symlinkat("/data/etc", o.root.fd, "etc") == 0);
	CHECK(symlinkat("../../../../data/entries", o.root.fd, "boot/loader/entries") == 0);
	const struct recovered root = { .path = o.root.path };

	CHECK_OK(mend_names(&root, &o.plan, &report, &e));
	CHECK_OK(read_file_at(o.root.fd, "data/etc/fstab", 4096, &text, NULL, &e));
	CHECK_STR(text, mended);
	CHECK_OK(read_file_at(o.root.fd, "data/entries/a.conf", 4096, &entry, NULL, &e));
	CHECK_STR(entry, mended);
	outside_end(&o);
}

TEST(a_configuration_that_is_a_pipe_is_not_waited_for)
{
	struct outside o;

	outside_begin(&o);
	CHECK_OK(mkdir_parents_at(o.root.fd, "etc/initramfs-tools", 0755, &e));
	CHECK(mkfifoat(o.root.fd, "etc/initramfs-tools/initramfs.conf", 0600) == 0);
	struct recovered root = { .path = o.root.path };

	alarm(20);
	CHECK_OK(mend_initramfs(&root, &report, &e)); /* no MODULES=dep is seen: nothing is run */
	outside_end(&o);
}

TEST(mount_points_are_made_inside_the_recovered_system)
{
	_cleanup_(free) char *path = NULL, *wanted = NULL;
	struct outside o;
	struct stat st;

	outside_begin(&o);
	CHECK_OK(mkdir_parents_at(o.root.fd, "data", 0755, &e));
	_cleanup_(free) char *inside = xasprintf("%s%s", o.root.path, o.other.path);

	CHECK_OK(mkdir_parents_at(AT_FDCWD, inside, 0755, &e)); /* a folder of the same name there */
	CHECK(symlinkat(o.other.path, o.root.fd, "srv") == 0);
	const struct recovered root = { .path = o.root.path };

	CHECK_OK(recovered_inside(&root, "/srv/new/deep", &path, &e));
	wanted = xasprintf("%s/new/deep", inside);
	CHECK_STR(path, wanted);
	CHECK(stat(wanted, &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(fstatat(o.other.fd, "new", &st, 0) < 0 && errno == ENOENT);
	outside_end(&o);
}

TAP_MAIN()
