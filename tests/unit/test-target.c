/* Target URLs: every form, every refusal; credentials files; opening what needs no mount. */
#include "tap.h"

#include "backup/target_kind.h"
#include "base/fs.h"

#include <fcntl.h>
#include <sys/stat.h>

struct good {
	const char *text, *scheme, *user, *host, *share, *path;
	unsigned port;
	const char *shown; /* NULL: as `text` */
};

static const struct good goods[] = {
	{ "smb://nas/backup", "smb", NULL, "nas", "backup", "", 0, NULL },
	{ "smb://ann@nas/backup/a/b", "smb", "ann", "nas", "backup", "a/b", 0, NULL },
	{ "smb://nas:1445/backup/", "smb", NULL, "nas", "backup", "", 1445, "smb://nas:1445/backup" },
	{ "smb://192.0.2.7//backup///x/", "smb", NULL, "192.0.2.7", "backup", "x", 0,
	  "smb://192.0.2.7/backup/x" },
	{ "smb://[fd00::2]:1445/b", "smb", NULL, "fd00::2", "b", "", 1445, NULL },
	{ "smb://[fd00::2]/b", "smb", NULL, "fd00::2", "b", "", 0, NULL },
	{ "smb://a%40b@nas/my%20share", "smb", "a@b", "nas", "my share", "", 0, "smb://a@b@nas/my share" },
	{ "nfs://nas/srv/backup", "nfs", NULL, "nas", "/srv/backup", "", 0, NULL },
	{ "nfs://nas:12049/e", "nfs", NULL, "nas", "/e", "", 12049, NULL },
	{ "disk://1234-ABCD", "disk", NULL, "1234-ABCD", "1234-ABCD", "", 0, NULL },
	{ "disk://0e4b8a66-0d7e-4d0c-b3c5-3ad0e3a8bd10/my/sets/", "disk", NULL,
	  "0e4b8a66-0d7e-4d0c-b3c5-3ad0e3a8bd10", "0e4b8a66-0d7e-4d0c-b3c5-3ad0e3a8bd10", "my/sets", 0,
	  "disk://0e4b8a66-0d7e-4d0c-b3c5-3ad0e3a8bd10/my/sets" },
	{ "dev:///dev/sdx", "dev", NULL, NULL, NULL, "/dev/sdx", 0, NULL },
	{ "file:///mnt/usb", "file", NULL, NULL, NULL, "/mnt/usb", 0, NULL },
	{ "file:////mnt//usb/", "file", NULL, NULL, NULL, "/mnt/usb", 0, "file:///mnt/usb" },
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

TEST(urls_are_taken_apart)
{
	struct error e = { 0 };

	for (size_t i = 0; i < sizeof(goods) / sizeof(*goods); i++) {
		const struct good *g = &goods[i];
		_cleanup_(target_url) struct target_url u = { 0 };

		CHECK_OK(target_url_parse(g->text, &u, &e));
		_cleanup_(free) char *shown = target_url_show(&u);

		CHECK_STR(shown, g->shown ? g->shown : g->text);
		if (!same(u.scheme, g->scheme) || !same(u.user, g->user) || !same(u.host, g->host) ||
		    !same(u.share, g->share) || !same(u.path, g->path) || u.port != g->port)
			TAP_FAIL("%s: taken apart wrongly", g->text);
	}
}

static const char *const bads[][2] = {
	{ "disk:///x", "target 'disk:///x': it names no UUID; expected disk://UUID[/folder]" },
	{ "disk://me@1234-ABCD",
	  "target 'disk://me@1234-ABCD': a disk has neither user nor port; expected disk://UUID[/folder]" },
	{ "dev://host/dev/sdx",
	  "target 'dev://host/dev/sdx': a device of this machine has no host; expected dev:///dev/DEVICE" },
	{ "backup", "target 'backup': it is not a URL; expected smb://host/share, nfs://host/export, "
		    "file:///folder, disk://UUID or dev:///dev/DEVICE" },
	{ "ftp://x/y",
	  "target 'ftp://x/y': its kind is unknown; expected smb://host/share, nfs://host/export, "
	  "file:///folder, disk://UUID or dev:///dev/DEVICE" },
	{ "smb://nas",
	  "target 'smb://nas': it names no share; expected smb://[user@]host[:port]/share[/folder]" },
	{ "smb:///share", "target 'smb:///share': it names no host; expected "
			  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://ann:secret@nas/b",
	  "target 'smb://ann:...@nas/b': a password does not belong there, but into a "
	  "credentials file (mode 0600); expected "
	  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://@nas/b", "target 'smb://@nas/b': the user before '@' is missing; expected "
			  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://a,uid=0@nas/b",
	  "target 'smb://a,uid=0@nas/b': a ',' cannot be part of a user name; expected "
	  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas:0/b", "target 'smb://nas:0/b': its port is not a number from 1 to 65535; expected "
			   "smb://[user@]host[:port]/share[/folder]" },
	/* whatever is in the password, none of it is shown */
	{ "smb://ann:p@ss@nas/b",
	  "target 'smb://ann:...@nas/b': a password does not belong there, but into a "
	  "credentials file (mode 0600); expected smb://[user@]host[:port]/share[/folder]" },
	{ "smb://ann:p/ss@nas/b", "target 'smb://ann:...@nas/b': its port is not a number from 1 to 65535; "
				  "expected smb://[user@]host[:port]/share[/folder]" },
	{ "smb://ann%3Asecret@nas/b",
	  "target 'smb://ann:...@nas/b': a password does not belong there, but into a credentials file (mode "
	  "0600); expected smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas:70000/b",
	  "target 'smb://nas:70000/b': its port is not a number from 1 to 65535; expected "
	  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://na s/b", "target 'smb://na s/b': its host is not a name or an address; expected "
			  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://-oX/b", "target 'smb://-oX/b': its host is not a name or an address; expected "
			 "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://[fd00::2/b", "target 'smb://[fd00::2/b': the ']' of its address is missing; expected "
			      "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://[fd00::2]x/b", "target 'smb://[fd00::2]x/b': after ']' comes ':' or '/'; expected "
				"smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas/b/../c", "target 'smb://nas/b/../c': its path holds '.' or '..'; expected "
			      "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas/b%0a", "target 'smb://nas/b%0a': it holds a control character; expected "
			    "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas/b/c,sec=none",
	  "target 'smb://nas/b/c,sec=none': a ',' cannot be part of its path; expected "
	  "smb://[user@]host[:port]/share[/folder]" },
	{ "smb://nas/b%2",
	  "target 'smb://nas/b%2': a '%' is not followed by two hexadecimal digits; expected "
	  "smb://[user@]host[:port]/share[/folder]" },
	{ "nfs://nas", "target 'nfs://nas': it names no export; expected nfs://host[:port]/export[/folder]" },
	{ "nfs://ann@nas/e", "target 'nfs://ann@nas/e': NFS has no user in the URL; expected "
			     "nfs://host[:port]/export[/folder]" },
	{ "file://mnt/usb", "target 'file://mnt/usb': a folder of this machine has no host; expected "
			    "file:///folder" },
	{ "file:///", "target 'file:///': it names no folder; expected file:///folder" },
};

TEST(bad_urls_are_refused_with_what_was_expected)
{
	for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
		struct error e = { 0 };
		struct target_url u = { 0 };

		CHECK_ERROR(target_url_parse(bads[i][0], &u, &e), bads[i][1]);
	}
}

TEST(credentials_must_be_private)
{
	struct error e = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/c", t.path);
	_cleanup_(free) char *open_to_others =
		xasprintf("credentials file %s: others can read it (chmod 600 %s)", path, path);
	_cleanup_(free) char *folder = xasprintf("credentials file %s: it is not a regular file", t.path);
	_cleanup_(free) char *missing =
		xasprintf("open credentials file %s: No such file or directory", path);

	CHECK_ERROR(target_check_credentials(path, &e), missing);
	CHECK_OK(write_file_at(AT_FDCWD, path, 0640, "password=x\n", 11, &e));
	CHECK_ERROR(target_check_credentials(path, &e), open_to_others);
	CHECK_INT(chmod(path, 0600), 0);
	CHECK_OK(target_check_credentials(path, &e));
	CHECK_ERROR(target_check_credentials(t.path, &e), folder);
}

TEST(a_folder_is_opened_but_never_made)
{
	struct error e = { 0 };
	struct report report;
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(target) struct target target = { .dirfd = -1 };
	const struct target_options write = { .write = true };
	struct stat st;

	report_init(&report, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *url = xasprintf("file://%s", t.path);
	_cleanup_(free) char *missing = xasprintf("%s/no", url);
	_cleanup_(free) char *why = xasprintf("open %s: No such file or directory", missing);

	CHECK_OK(target_open(url, &write, &target, &report, &e));
	CHECK_STR(target.path, t.path);
	CHECK_STR(target.shown, url);
	CHECK_INT(fstat(t.fd, &st), 0);
	CHECK(target.disk == st.st_dev);
	CHECK(!target.mounted);
	target_close(&target);
	CHECK_ERROR(target_open(missing, &write, &target, &report, &e), why);
}

TAP_MAIN()
