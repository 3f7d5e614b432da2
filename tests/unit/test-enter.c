/* What `lifeboat enter` reads of a damaged system. */
#include "base/fs.h"
#include "enter/links.h"
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

static void check_link(const struct tempdir *temp, const char *name, const char *wanted)
{
	_cleanup_(free) char *path = xasprintf("%s/disk/%s", temp->path, name);
	char target[256] = "(none)";

	CHECK(readlink(path, target, sizeof(target) - 1) > 0 || !wanted);
	CHECK_STR(target, wanted ? wanted : "(none)");
}

TEST(links_as_udev_makes_them)
{
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	static char label[] = "a/b c", uuid[] = "u", other[] = "w", array[] = "v", part[] = "p";
	static char node[] = "/dev/sda1", raid[] = "/dev/sdb1", volume[] = "/dev/mapper/vg-root";
	struct block items[] = { { .node = node, .uuid = uuid, .label = label, .part_uuid = part },
				 { .node = raid, .uuid = array, .member = true },
				 { .node = volume, .uuid = other } };
	const struct blocks blocks = { .items = items, .count = 3 };
	struct error e;

	CHECK_OK(tempdir_make(&temp, &e));
	CHECK_OK(links_make(temp.path, &blocks, &e));
	items[0].uuid = other; /* made anew, not refused */
	items[2].uuid = uuid;
	CHECK_OK(links_make(temp.path, &blocks, &e));
	check_link(&temp, "by-uuid/w", "../../sda1");
	check_link(&temp, "by-uuid/u", "../../mapper/vg-root");
	check_link(&temp, "by-label/a\\x2fb\\x20c", "../../sda1");
	check_link(&temp, "by-partuuid/p", "../../sda1");
	check_link(&temp, "by-uuid/v", NULL);
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
