/* Which disks may be overwritten, on a machine that is only a folder. */
#include "tap.h"

#include "base/fs.h"
#include "media/device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A stick sdb with one partition, and a disk sda that nobody asks about. */
struct machine {
	struct tempdir t;
	char *sys, *proc;
};

static void put(const struct machine *m, const char *path, const char *text)
{
	struct error e = { 0 };
	_cleanup_(free) char *folder = xstrdup(path);

	*strrchr(folder, '/') = '\0';
	CHECK_OK(mkdir_parents_at(m->t.fd, folder, 0755, &e));
	CHECK_OK(write_file_at(m->t.fd, path, 0644, text, strlen(text), &e));
}

#define USB "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1"
#define SDB USB "/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb"

static struct machine make_machine(void)
{
	struct machine m = { .t = TEMPDIR_NONE };
	struct error e = { 0 };

	CHECK_OK(tempdir_make(&m.t, &e));
	m.sys = xasprintf("%s/sys", m.t.path);
	m.proc = xasprintf("%s/proc", m.t.path);
	put(&m, USB "/idVendor", "0951\n");
	put(&m, USB "/manufacturer", "Kingston\n");
	put(&m, USB "/product", "DataTraveler 3.0\n");
	put(&m, USB "/serial", "60A44C3FAE22\n");
	put(&m, SDB "/dev", "8:16\n");
	put(&m, SDB "/size", "60506112\n");
	put(&m, SDB "/ro", "0\n");
	put(&m, SDB "/removable", "1\n");
	put(&m, SDB "/diskseq", "42\n");
	put(&m, SDB "/device/model", "DataTraveler 3.0\n");
	put(&m, SDB "/sdb1/dev", "8:17\n");
	put(&m, SDB "/sdb1/partition", "1\n");
	CHECK_OK(mkdir_parents_at(m.t.fd, SDB "/holders", 0755, &e));
	CHECK_OK(mkdir_parents_at(m.t.fd, SDB "/sdb1/holders", 0755, &e));
	CHECK_OK(mkdir_parents_at(m.t.fd, "sys/dev/block", 0755, &e));
	_cleanup_(free) char *disk = xasprintf("%s/%s", m.t.path, SDB);
	_cleanup_(free) char *partition = xasprintf("%s/%s/sdb1", m.t.path, SDB);

	CHECK_INT(symlinkat(disk, m.t.fd, "sys/dev/block/8:16"), 0);
	CHECK_INT(symlinkat(partition, m.t.fd, "sys/dev/block/8:17"), 0);
	put(&m, "proc/self/mountinfo",
	    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	    "23 22 0:21 / /proc rw - proc proc rw\n");
	put(&m, "proc/swaps",
	    "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/sda5 partition\t975868\t0\t-2\n");
	return m;
}

static void machine_free(struct machine *m)
{
	tempdir_remove(&m->t);
	free(m->sys);
	free(m->proc);
}
DEFINE_CLEANUP(machine, struct machine, machine_free)

static void check_refusal(const struct machine *m, unsigned minor_number, const char *want)
{
	struct error e = { 0 };
	const struct device_roots roots = { m->sys, m->proc };
	_cleanup_(usb_device) struct usb_device d = { 0 };

	CHECK_OK(device_describe(&roots, makedev(8, minor_number), &d, &e));
	if (want)
		CHECK_STR(d.refusal, want);
	else if (d.refusal)
		TAP_FAIL("refused: %s", d.refusal);
}

TEST(a_stick_is_known)
{
	struct error e = { 0 };
	_cleanup_(machine) struct machine m = make_machine();
	const struct device_roots roots = { m.sys, m.proc };
	_cleanup_(usb_device) struct usb_device d = { 0 };

	CHECK_OK(device_describe(&roots, makedev(8, 16), &d, &e));
	CHECK_STR(d.model, "Kingston DataTraveler 3.0");
	CHECK_STR(d.serial, "60A44C3FAE22");
	CHECK_STR(d.transport, "usb");
	CHECK_INT(d.size, 60506112LL * 512);
	CHECK_INT(d.diskseq, 42);
	CHECK(d.removable);
	CHECK(!d.refusal);
	CHECK_INT(device_describe(&roots, makedev(8, 99), &d, &e), -ENOENT);
}

TEST(partition_is_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	check_refusal(&m, 17, "sdb1 is a partition, not a whole disk");
}

TEST(read_only_and_empty_are_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, SDB "/size", "0\n");
	check_refusal(&m, 16, "sdb holds no medium");
	put(&m, SDB "/ro", "1\n");
	check_refusal(&m, 16, "sdb is read-only");
}

TEST(mounted_is_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, "proc/self/mountinfo", "30 22 8:17 / /media/my\\040stick rw - vfat /dev/sdb1 rw\n");
	check_refusal(&m, 16, "sdb1 is mounted at /media/my\\040stick");
	put(&m, "proc/self/mountinfo", "30 22 8:16 / /mnt rw shared:7 master:2 - ext4 /dev/root rw\n");
	check_refusal(&m, 16, "sdb is mounted at /mnt");
	/* btrfs: a number of its own, only the source tells */
	put(&m, "proc/self/mountinfo", "30 22 0:44 /@ /mnt rw shared:7 - btrfs /dev/sdb1 rw\n");
	check_refusal(&m, 16, "sdb1 is mounted at /mnt");
	put(&m, "proc/self/mountinfo", "30 22 8:177 / /mnt rw - ext4 /dev/sdb11 rw\n");
	check_refusal(&m, 16, NULL);
}

TEST(root_is_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, "proc/self/mountinfo", "22 1 8:17 / / rw,relatime shared:1 - ext4 /dev/root rw\n");
	check_refusal(&m, 16, "sdb1 holds this system's root");
}

TEST(swap_is_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, "proc/swaps", "Filename Type Size Used Priority\n/dev/sdb1 partition\t975868\t0\t-2\n");
	check_refusal(&m, 16, "sdb1 is used as swap");
}

TEST(holders_are_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, SDB "/sdb1/holders/md0", "");
	check_refusal(&m, 16, "sdb1 is in use by md0");
	put(&m, SDB "/holders/dm-3", "");
	check_refusal(&m, 16, "sdb is in use by dm-3");
}

TEST(loops_are_refused)
{
	_cleanup_(machine) struct machine m = make_machine();

	put(&m, "sys/block/loop0/loop/backing_file", "/srv/sdb1\n");
	check_refusal(&m, 16, NULL);
	put(&m, "sys/block/loop1/loop/backing_file", "/dev/sdb1\n");
	check_refusal(&m, 16, "sdb1 is in use by loop1");
}

TEST(what_cannot_be_looked_up_is_an_error)
{
	struct error e = { 0 };
	_cleanup_(machine) struct machine m = make_machine();
	const struct device_roots roots = { m.sys, m.proc };
	struct usb_device d;

	CHECK_INT(unlinkat(m.t.fd, "proc/swaps", 0), 0);
	check_refusal(&m, 16, NULL); /* a kernel without swap */
	CHECK_INT(unlinkat(m.t.fd, "proc/self/mountinfo", 0), 0);
	CHECK_INT(device_describe(&roots, makedev(8, 16), &d, &e), -ENOENT);
}

TAP_MAIN()
