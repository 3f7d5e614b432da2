#include "conf/ini.h"
#include "conf/recovery.h"
#include "base/fs.h"
#include "tap.h"

#include <fcntl.h>
#include <limits.h>

static struct error e;

TEST(sections_entries_and_lines)
{
	_cleanup_(ini) struct ini ini = INI_NONE;

	CHECK_OK(ini_parse_text("f", "# c\n[disk sda]\nsize = 10\n\n[a]\nx=1 # one\ny = a#b\n", &ini, &e));
	CHECK_INT(ini.count, 2);
	CHECK_STR(ini.sections[0].kind, "disk");
	CHECK_STR(ini.sections[0].name, "sda");
	CHECK_INT(ini.sections[0].line, 2);
	CHECK_INT(ini_entry(&ini.sections[0], "size")->line, 3);
	CHECK_STR(ini.sections[1].name, "");
	CHECK_STR(ini_get(&ini.sections[1], "x"), "1");
	CHECK_STR(ini_get(&ini.sections[1], "y"), "a#b");
	CHECK(!ini_get(&ini.sections[1], "z"));
}

TEST(indented_lines_continue)
{
	_cleanup_(ini) struct ini ini = INI_NONE;

	CHECK_OK(ini_parse_text("f", "[a]\nx = one\n  two\n\tthree\n", &ini, &e));
	CHECK_INT(ini.sections[0].count, 1);
	CHECK_STR(ini_get(&ini.sections[0], "x"), "one two three");
}

TEST(same_heading_twice_is_two_sections)
{
	_cleanup_(ini) struct ini ini = INI_NONE;

	CHECK_OK(ini_parse_text("f", "[a]\nx=1\n[a]\nx=2\n", &ini, &e));
	CHECK_INT(ini.count, 2);
	CHECK_INT(ini.sections[1].line, 3);
}

TEST(long_lines_are_whole)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strbuf_puts(&text, "[a]\nx = ");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&text, "word ");
	CHECK_OK(ini_parse_text("f", text.data, &ini, &e));
	CHECK_INT(strlen(ini_get(&ini.sections[0], "x")), 5 * 5000 - 1);
}

TEST(syntax_errors_name_the_line)
{
	struct ini ini;

	CHECK_ERROR(ini_parse_text("f", "[a]\nx = 1\nnonsense\n", &ini, &e),
		    "f:3: not understood; expected [section], key = value or # comment");
	CHECK_ERROR(ini_parse_text("f", "x = 1\n", &ini, &e),
		    "f:1: key before any section; expected [section]");
	CHECK_ERROR(ini_parse_text("f", "[a]\n\n[b]\nx=1\n", &ini, &e),
		    "f:1: empty section; expected key = value below it");
	CHECK_ERROR(ini_parse_text("f", "[b]\nx=1\n[a]\n", &ini, &e),
		    "f:3: empty section; expected key = value below it");
}

TEST(what_stands_before_a_heading_does_not_hide_it)
{
	struct ini ini = INI_NONE;

	CHECK_ERROR(ini_parse_text("f", "[a]\nx = 1\n\r[]\ny = 2\n", &ini, &e),
		    "f:3: bad heading; expected [kind] or [kind NAME] of at most 48 letters");
}

TEST(names_are_checked_not_cut)
{
	struct ini ini;

	CHECK_ERROR(ini_parse_text("f", "[a]\n = 1\n", &ini, &e),
		    "f:2: bad key; expected letters, digits, '.', '-' and '_' before the =");
	CHECK_ERROR(ini_parse_text("f", "[a] x\ny = 1\n", &ini, &e),
		    "f:1: bad heading; expected [kind] or [kind NAME] of at most 48 letters");
	CHECK_ERROR(ini_parse_text("f",
				   "[a b b b b b b b b b b b b b b b b b b b b b b b b b b b b b]\ny = 1\n",
				   &ini, &e),
		    "f:1: bad heading; expected [kind] or [kind NAME] of at most 48 letters");
}

TEST(writes_what_it_reads)
{
	_cleanup_(ini) struct ini ini = INI_NONE, again = INI_NONE;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	struct ini_section *s = ini_add_section(&ini, "disk", "sda");

	ini_set(s, "model", "QEMU HARDDISK; v2 = b");
	ini_setf(s, "size", "%d", 7);
	CHECK_OK(ini_format(&ini, &text, &e));
	CHECK_STR(text.data, "[disk sda]\nmodel = QEMU HARDDISK; v2 = b\nsize = 7\n");
	CHECK_OK(ini_parse_text("f", text.data, &again, &e));
	CHECK_STR(ini_get(&again.sections[0], "model"), "QEMU HARDDISK; v2 = b");
	ini_set(s, "label", "a #b");
	CHECK(ini_format(&ini, &text, &e) < 0);
}

static int load(const char *text, struct recovery_conf *ret)
{
	struct error ignored;

	CHECK(write_file_at(AT_FDCWD, "/tmp/lifeboat-test-recovery.conf", 0600, text, strlen(text),
			    &ignored) == 0);
	int r = recovery_conf_load("/tmp/lifeboat-test-recovery.conf", ret, &e);

	unlink("/tmp/lifeboat-test-recovery.conf");
	return r;
}

TEST(recovery_conf_values_and_defaults)
{
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };

	CHECK_OK(load("[backup]\ntarget = smb://me@host/share/dir\nmethod = xfsdump "
		      "archive\n[image]\nmax-initrd = 120M\nprofiles = a b\n",
		      &c));
	CHECK_STR(c.target, "smb://me@host/share/dir");
	CHECK_INT(c.max_initrd, 120 << 20);
	CHECK_INT(c.profiles.count, 2);
	CHECK_INT(c.methods.count, 2);
	CHECK_STR(c.methods.items[0], "xfsdump");
	CHECK_STR(c.address, "dhcp");
	CHECK_INT(c.chunk, 1 << 30);
	CHECK(!c.unattended);
}

static void check_split(const char *text, const char *joined)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	recovery_split_targets(text, &all);
	_cleanup_(free) char *got = strlist_join(&all, " | ");

	CHECK_STR(got, joined);
}

TEST(targets_are_split_where_another_begins)
{
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };

	check_split("file:///a", "file:///a");
	check_split("file:///a, smb://h/s", "file:///a | smb://h/s");
	check_split("file:///a , nfs://h/s,dev:///dev/sdx", "file:///a | nfs://h/s | dev:///dev/sdx");
	check_split("file:///a,b, c", "file:///a,b, c");
	CHECK_OK(load("[backup]\ntarget = file:///a, nfs://h/x\n", &c));
	CHECK_ERROR(load("[backup]\ntarget = , nfs://h/x\n", &c),
		    "/tmp/lifeboat-test-recovery.conf:2: bad value ', nfs://h/x' for 'target'; expected "
		    "smb://[user@]host/share[/path], nfs://host/export[/path], file:///path, "
		    "disk://UUID[/path] or dev:///dev/X");
}

static void check_keep(const char *text, int result, unsigned full, unsigned incremental)
{
	unsigned got_full = 1234, got_incremental = 1234;

	CHECK_INT(recovery_parse_keep(text, &got_full, &got_incremental), result);
	CHECK_INT(got_full, result ? 1234 : full);
	CHECK_INT(got_incremental, result ? 1234 : incremental);
}

TEST(keep_is_numbers_of_full_and_incremental)
{
	check_keep("4 full, 7 incremental", 0, 4, 7);
	check_keep("0 incremental,1 full", 0, 1, 0);
	check_keep("2 full", 0, 2, UINT_MAX);
	check_keep("3 incremental", 0, UINT_MAX, 3);
	check_keep("", -EINVAL, 0, 0);
	check_keep("0 full", -EINVAL, 0, 0); /* the last one is never removed */
	check_keep("-1 full", -EINVAL, 0, 0);
	check_keep("4", -EINVAL, 0, 0);
	check_keep("4 full, 5 full", -EINVAL, 0, 0);
	check_keep("4 fulls", -EINVAL, 0, 0);
}

TEST(recovery_conf_points_at_mistakes)
{
	struct recovery_conf c;

	CHECK_ERROR(load("[backup]\ntraget = x\n", &c),
		    "/tmp/lifeboat-test-recovery.conf:2: unknown key "
		    "'traget' in [backup]; expected one of: target, "
		    "credentials, encrypt-to, smb-security, identity, exclude, leave-out, method, keep, "
		    "snapshots, timeout, "
		    "max-age, "
		    "prove-every, retry, chunk");
	CHECK_ERROR(load("[network]\n\naddress = 10.0.0.1\n", &c),
		    "/tmp/lifeboat-test-recovery.conf:3: bad value '10.0.0.1' for 'address'; expected dhcp, "
		    "none or "
		    "ADDRESS/PREFIX");
	CHECK_ERROR(
		load("[backup]\nmethod = xfsdump tape\n", &c),
		"/tmp/lifeboat-test-recovery.conf:2: bad value 'xfsdump tape' for 'method'; expected names "
		"of: archive dump xfsdump send");
	CHECK_ERROR(load("[backup]\nleave-out = sdb /mnt/data\n", &c),
		    "/tmp/lifeboat-test-recovery.conf:2: bad value 'sdb /mnt/data' for 'leave-out'; expected "
		    "names of "
		    "disks, partitions or volumes (sdb, sda3, vg0/windows), or paths in /dev");
	CHECK_ERROR(load("[bakcup]\ntarget = x\n", &c),
		    "/tmp/lifeboat-test-recovery.conf:1: unknown section "
		    "[bakcup]; expected one of: [image], [network], "
		    "[backup], [console], [ssh], [wifi], [recover], [prove]");
}

TAP_MAIN()
