/* What a machine that starts says on its console, and what is made of it. */
#include "guest/proof_run.h"
#include "tap.h"

TEST(why_it_does_not_come_up)
{
	static const struct {
		const char *said, *screen, *want;
	} cases[] = {
		{ "Begin: Running /scripts/local-block ... done.\r\nGave up waiting for root file system "
		  "device.  "
		  "Common problems:\r\n - Boot args\r\nALERT!  UUID=5ea1f00d-0000 does not exist.  Dropping "
		  "to "
		  "a shell!\r\n(initramfs) ",
		  "",
		  "its initramfs does not find the root file system (ALERT!  UUID=5ea1f00d-0000 does not "
		  "exist.  "
		  "Dropping to a shell!)" },
		{ "", "error: no such device: 5ea1f00d-0000.\nEntering rescue mode...\ngrub rescue>\n",
		  "GRUB does not find its files (error: no such device: 5ea1f00d-0000.)" },
		{ "[\033[0;1;31m TIME \033[0m] Timed out waiting for device "
		  "\033[0;1;39m/dev/disk/by-uuid/5EA1"
		  "\033[0m.\r\n[\033[0;1;38;5;185mDEPEND\033[0m] Dependency failed for "
		  "\033[0;1;39mboot-efi.mount"
		  "\033[0m.\r\nYou are in emergency mode. After logging in",
		  "",
		  "systemd stopped in emergency mode (Timed out waiting for device "
		  "/dev/disk/by-uuid/5EA1.)" },
		{ "Dependency failed for srv.mount\nYou are in emergency mode.", "",
		  "systemd stopped in emergency mode (Dependency failed for srv.mount)" },
		{ "[ 3.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
		  "",
		  "its kernel panicked (Kernel panic - not syncing: VFS: Unable to mount root fs on "
		  "unknown-block(0,0))" },
		{ "\033[01;01HUEFI Interactive Shell v2.2\r\n", "", "the firmware finds no boot loader" },
		{ "cryptsetup: ERROR: vda5_crypt: cryptsetup failed, bad password or options?\r\n", "",
		  "the key file's passphrase does not open its disk" },
		{ "Debian GNU/Linux 12 box ttyS0\r\n\r\nbox login: ", "Booting `Debian'\n", NULL },
		{ "", "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(free) char *why = proof_symptom(cases[i].said, cases[i].screen);

		CHECK_STR(why ? why : "nothing", cases[i].want ? cases[i].want : "nothing");
	}
}

TEST(what_failed_is_told_once)
{
	static const char said[] =
		"[  OK  ] Started \033[0;1;39mcron.service\033[0m.\r\n"
		"[\033[0;1;31mFAILED\033[0m] Failed to start \033[0;1;39mnginx.service\033[0m - A web "
		"server.\r\n"
		"a program says: Failed to open its file\r\n"
		"[\033[0;1;31mFAILED\033[0m] Failed to mount \033[0;1;39m/srv\033[0m.\r\nbox login: ";
	_cleanup_(strlist) struct strlist failed = { 0 };

	proof_failed_units(said, &failed);
	proof_failed_units(said, &failed);
	CHECK_INT(failed.count, 2);
	CHECK_STR(failed.items[0], "Failed to start nginx.service - A web server.");
	CHECK_STR(failed.items[1], "Failed to mount /srv.");
}

TAP_MAIN()
