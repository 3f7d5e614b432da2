/* What `lifeboat enter` reads of a damaged system. */
#include "enter/rootfs.h"
#include "enter/systems.h"
#include "tap.h"

#include <string.h>

static const char *name_of(const char *text)
{
	static char *last;

	free(last);
	last = os_release_name(text);
	return last;
}

TEST(an_os_release_has_a_name)
{
	CHECK_STR(name_of("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
		  "Debian GNU/Linux 12 (bookworm)");
	CHECK_STR(name_of("NAME='Some Linux'\nID=some\n"), "Some Linux");
	CHECK_STR(name_of("PRETTY_NAME=\nID=arch\n"), "arch");
	CHECK_STR(name_of("PRETTY_NAME=\"a \\\"b\\\" \\$c\"\n"), "a \"b\" $c");
	CHECK(name_of("VERSION=1\n") == NULL);
	CHECK(name_of("") == NULL);
}

TEST(a_name_does_not_command_the_terminal)
{
	CHECK_STR(name_of("NAME=\"a\033[2Jb\"\n"), "a?[2Jb");
}

TEST(names_in_fstab_that_last)
{
	CHECK(fstab_name_lasts("UUID=1b2c-3d4e"));
	CHECK(fstab_name_lasts("LABEL=root"));
	CHECK(fstab_name_lasts("/dev/mapper/vg-root"));
	CHECK(fstab_name_lasts("/dev/disk/by-id/ata-x-part1"));
	CHECK(fstab_name_lasts("/dev/vg/root"));
	CHECK(fstab_name_lasts("/dev/md0"));
	CHECK(!fstab_name_lasts("/dev/sda1"));
	CHECK(!fstab_name_lasts("/dev/nvme0n1p2"));
	CHECK(!fstab_name_lasts("tmpfs"));
	CHECK(!fstab_name_lasts("/srv/image"));
}

TAP_MAIN()
