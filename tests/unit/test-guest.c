#include "base/fs.h"
#include "guest/disk.h"
#include "guest/keeper.h"
#include "guest/qemu_args.h"
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static struct error e;

/* Works in a folder of its own with a raw and a qcow2 disk. */
static void make_disks(struct tempdir *temp)
{
	CHECK_OK(tempdir_make(temp, &e));
	CHECK_OK(write_file_at(temp->fd, "raw.img", 0644, "\0\0\0\0\0", 5, &e));
	CHECK_OK(write_file_at(temp->fd, "q.img", 0644, "QFI\xfb\0\0\0\3", 8, &e));
	CHECK(fchdir(temp->fd) == 0);
}

static int parse(const char *text, struct guest_disks *ret)
{
	_cleanup_(strlist) struct strlist texts = { 0 };

	strlist_add(&texts, text);
	return guest_disks_parse(&texts, ret, &e);
}

TEST(disk_options)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(guest_disks) struct guest_disks d = { 0 };

	make_disks(&temp);
	CHECK_OK(parse("q.img,rw,serial=A-1,if=nvme", &d));
	CHECK_INT(d.count, 1);
	CHECK_STR(d.items[0].file, "q.img");
	CHECK_STR(d.items[0].serial, "A-1");
	CHECK_INT(d.items[0].bus, BUS_NVME);
	CHECK(d.items[0].writable && d.items[0].qcow2);
	guest_disks_free(&d);
	CHECK_OK(parse("raw.img", &d));
	CHECK(d.items[0].bus == BUS_DEFAULT && !d.items[0].serial && !d.items[0].writable &&
	      !d.items[0].qcow2);
}

TEST(bad_disk_options)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "disk '': no file; expected FILE[,OPTION…]" },
		{ ",rw", "disk ',rw': no file; expected FILE[,OPTION…]" },
		{ "raw.img,", "disk 'raw.img,': unknown option ''; expected if=BUS, serial=TEXT, "
			      "sector=BYTES, rw or cow=FILE" },
		{ "raw.img,ro", "disk 'raw.img,ro': unknown option 'ro'; expected if=BUS, serial=TEXT, "
				"sector=BYTES, rw or cow=FILE" },
		{ "raw.img,if=ide",
		  "disk 'raw.img,if=ide': unknown bus 'ide'; expected virtio, sata, nvme or usb" },
		{ "raw.img,serial=", "disk 'raw.img,serial=': bad serial ''; expected 1 to 20 letters, "
				     "digits, '-', '_' or '.'" },
		{ "raw.img,serial=a b", "disk 'raw.img,serial=a b': bad serial 'a b'; expected 1 to 20 "
					"letters, digits, '-', '_' or '.'" },
		{ "raw.img,serial=123456789012345678901", "disk 'raw.img,serial=123456789012345678901': bad "
							  "serial '123456789012345678901'; expected 1 to "
							  "20 letters, digits, '-', '_' or '.'" },
		{ "none.img", "open the guest's disk none.img: No such file or directory" },
		{ ".", "the guest's disk . is neither a file nor a block device" },
	};
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(guest_disks) struct guest_disks d = { 0 };

	make_disks(&temp);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_ERROR(parse(cases[i].text, &d), cases[i].error);
	CHECK_INT(d.count, 0);
}

#define TCG(rest)                                                                                      \
	"qemu-system-x86_64 -machine q35 -nodefaults -no-user-config -no-reboot -smp 2 -accel "        \
	"tcg,thread=multi -m 700 -vga std -display none -chardev stdio,id=console,signal=off -serial " \
	"chardev:console -device virtio-rng-pci -device qemu-xhci" rest

TEST(qemu_command_lines)
{
	static char forward[] = "5000:22";
	static char *forwards[] = { forward, NULL };
	static const struct {
		const char *name;
		struct guest_request request;
		bool ovmf;
		const char *disks, *args;
	} cases[] = {
		{ "kernel and initrd",
		  { .kernel = "k", .initrd = "i,j" },
		  false,
		  "",
		  TCG(" -kernel k -append console=ttyS0,115200 -initrd i,j") },
		{ "words for the kernel, network",
		  { .kernel = "k", .append = "a=b c", .network = true },
		  false,
		  "",
		  TCG(" -kernel k -append console=ttyS0,115200 a=b c -netdev user,id=net0 -device "
		      "virtio-net-pci,netdev=net0,romfile=") },
		{ "a stick, with a comma in its name",
		  { .medium = "a,b.img" },
		  false,
		  "",
		  TCG(" -drive if=none,id=medium,format=raw,snapshot=on,file=a,,b.img -device "
		      "usb-storage,drive=medium,removable=on,bootindex=1") },
		{ "a CD under UEFI",
		  { .medium = "c.iso", .medium_is_cd = true, .uefi = true },
		  true,
		  "",
		  TCG(" -drive if=pflash,unit=0,format=raw,readonly=on,file=CODE -drive "
		      "if=pflash,unit=1,format=raw,file=VARS -drive "
		      "if=none,id=medium,format=raw,media=cdrom,readonly=on,file=c.iso -device "
		      "ide-cd,drive=medium,bootindex=1") },
		{ "disks on every bus",
		  { 0 },
		  false,
		  "raw.img raw.img,if=sata,serial=S,rw q.img,if=sata raw.img,if=nvme raw.img,if=usb,serial=U",
		  TCG(" -drive if=none,id=disk0,format=raw,snapshot=on,file=raw.img"
		      " -device virtio-blk-pci,drive=disk0,bootindex=2"
		      " -drive if=none,id=disk1,format=raw,file=raw.img"
		      " -device ahci,id=sata -device ide-hd,drive=disk1,bootindex=3,serial=S,bus=sata.0"
		      " -drive if=none,id=disk2,format=qcow2,snapshot=on,file=q.img"
		      " -device ide-hd,drive=disk2,bootindex=4,bus=sata.1"
		      " -drive if=none,id=disk3,format=raw,snapshot=on,file=raw.img"
		      " -device nvme,drive=disk3,bootindex=5,serial=disk3"
		      " -drive if=none,id=disk4,format=raw,snapshot=on,file=raw.img"
		      " -device usb-storage,drive=disk4,bootindex=6,serial=U") },
		{ "sectors of 4 KiB",
		  { 0 },
		  false,
		  "raw.img,sector=4096",
		  TCG(" -drive if=none,id=disk0,format=raw,snapshot=on,file=raw.img -device "
		      "virtio-blk-pci,drive=disk0,bootindex=2,logical_block_size=4096,physical_block_size="
		      "4096") },
		{ "cut off from the world, but for a port of the guest",
		  { .kernel = "k",
		    .network = true,
		    .cut_off = true,
		    .forwards = { .items = forwards, .count = 1 } },
		  false,
		  "",
		  TCG(" -kernel k -append console=ttyS0,115200 -netdev "
		      "user,id=net0,restrict=on,hostfwd=tcp:127."
		      "0.0.1:5000-:22 -device virtio-net-pci,netdev=net0,romfile=") },
	};
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;

	make_disks(&temp);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(guest_disks) struct guest_disks disks = { 0 };
		_cleanup_(strlist) struct strlist texts = { 0 }, args = { 0 };
		const struct qemu_setup setup = { .accel = "tcg",
						  .ovmf_code = cases[i].ovmf ? "CODE" : NULL,
						  .ovmf_vars = cases[i].ovmf ? "VARS" : NULL,
						  .memory_mib = 700 };

		strlist_add_words(&texts, cases[i].disks);
		CHECK_OK(guest_disks_parse(&texts, &disks, &e));
		CHECK_OK(qemu_args(&cases[i].request, &disks, &setup, &args, &e));
		_cleanup_(free) char *line = strlist_join(&args, " ");

		if (!streq(line, cases[i].args))
			TAP_FAIL("%s:\n# got      %s\n# expected %s", cases[i].name, line, cases[i].args);
	}
}

TEST(a_seventh_sata_disk_is_refused)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	_cleanup_(guest_disks) struct guest_disks disks = { 0 };
	_cleanup_(strlist) struct strlist texts = { 0 }, args = { 0 };
	const struct guest_request request = { 0 };
	const struct qemu_setup setup = { .accel = "kvm", .memory_mib = 512 };

	make_disks(&temp);
	for (int i = 0; i < 7; i++)
		strlist_add(&texts, "raw.img,if=sata");
	CHECK_OK(guest_disks_parse(&texts, &disks, &e));
	CHECK_ERROR(qemu_args(&request, &disks, &setup, &args, &e),
		    "disk raw.img: the guest has only 6 SATA ports");
	CHECK_INT(args.count, 0);
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static bool goes_away(const char *path)
{
	for (int i = 0; i < 500 && is_there(path); i++)
		usleep(20 * 1000);
	return !is_there(path);
}

TEST(the_keeper_clears_away_after_a_killed_parent)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	int pipe_fds[2];
	char byte;

	CHECK_OK(tempdir_make(&temp, &e));
	CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
	alarm(60); /* a keeper that keeps nothing would leave this waiting */
	pid_t parent = fork();

	CHECK(parent >= 0);
	if (parent == 0) {
		struct keeper k = KEEPER_NONE;

		alarm(60);

		CHECK_OK(keeper_start(temp.path, &k, &e));
		pid_t guest = fork();

		CHECK(guest >= 0);
		if (guest == 0) { /* holds the pipe open as long as it lives */
			alarm(60);
			close(k.fd); /* as its exec would */
			setpgid(0, 0);
			CHECK(write(pipe_fds[1], "x", 1) == 1);
			pause();
		}
		setpgid(guest, guest);
		CHECK_OK(keeper_watch(&k, guest, &e));
		close(pipe_fds[1]);
		pause();
	}
	close(pipe_fds[1]);
	CHECK(read(pipe_fds[0], &byte, 1) == 1);
	usleep(100 * 1000); /* until the keeper has been told */
	CHECK(is_there(temp.path));
	CHECK(kill(parent, SIGKILL) == 0);
	CHECK(waitpid(parent, NULL, 0) == parent);
	CHECK_INT(read(pipe_fds[0], &byte, 1), 0); /* the guest is gone */
	CHECK(goes_away(temp.path));
	close(pipe_fds[0]);
}

TEST(a_dismissed_keeper_leaves_all_alone)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	struct keeper k = KEEPER_NONE;

	CHECK_OK(tempdir_make(&temp, &e));
	CHECK_OK(keeper_start(temp.path, &k, &e));
	keeper_dismiss(&k);
	CHECK_INT(k.pid, 0);
	CHECK(is_there(temp.path));
}

TAP_MAIN()
