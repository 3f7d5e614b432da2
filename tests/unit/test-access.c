/* Keys for SSH and wireless networks: only in images that have the program for them, and only private. */
#include "image/access.h"
#include "base/fs.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct error e;

struct lab {
	struct tempdir dir;
	struct root root;
	struct tree tree;
	struct strlist secrets;
};

static void lab_free(struct lab *lab)
{
	root_close(&lab->root);
	tree_free(&lab->tree);
	strlist_free(&lab->secrets);
	tempdir_remove(&lab->dir);
}
DEFINE_CLEANUP(lab, struct lab, lab_free)

static void put(const struct lab *lab, const char *path, mode_t mode, const char *text)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free) char *parent = xstrndup(path, (size_t)(slash - path));

	CHECK_OK(mkdir_parents_at(lab->dir.fd, parent, 0755, &e));
	CHECK_OK(write_file_at(lab->dir.fd, path, mode, text, strlen(text), &e));
}

/* A tree with this one program. */
static void lab_make(struct lab *lab, const char *program)
{
	*lab = (struct lab) { .dir = TEMPDIR_NONE, .root = ROOT_NONE };
	CHECK_OK(tempdir_make(&lab->dir, &e));
	CHECK_OK(root_open(lab->dir.path, &lab->root, &e));
	CHECK_OK(tree_add_data(&lab->tree, program, 0755, "", 0, NULL, &e));
}

/* `conf`: recovery.conf's text, with %s for the root's path. */
static int add(struct lab *lab, const char *conf)
{
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };
	const char *gap = strstr(conf, "%s");
	_cleanup_(free) char *text =
		gap ? xasprintf("%.*s%s%s", (int)(gap - conf), conf, lab->dir.path, gap + 2) : xstrdup(conf);

	put(lab, "x/r.conf", 0644, text);
	_cleanup_(free) char *path = xasprintf("%s/x/r.conf", lab->dir.path);

	CHECK_OK(recovery_conf_load(path, &c, &e));
	return access_add(&c, &lab->root, &lab->tree, &lab->secrets, &e);
}

static void check_file(const struct lab *lab, const char *path, unsigned mode, const char *content)
{
	const struct entry *entry = tree_find(&lab->tree, path);

	CHECK(entry);
	CHECK_INT(entry->mode & 07777, mode);
	if (content)
		CHECK_STR(entry->data, content);
}

/* The error, after the folder's name is taken out. */
static void check_said(const struct lab *lab, int result, const char *want)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	CHECK(result < 0);
	for (const char *p = e.text; *p;) {
		const char *after = str_after(p, lab->dir.path);

		if (after)
			p = after;
		else
			strbuf_add(&text, p++, 1);
	}
	CHECK_STR(text.data, want);
}

TEST(nothing_without_a_server)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab, "usr/bin/other");
	CHECK_OK(add(&lab, "[ssh]\nhost-keys = machine\n[wifi]\nconfig = /none\n"));
	CHECK_INT(lab.tree.count, 3);
}

TEST(public_keys_are_no_secret)
{
	static const char key[] = "# mine\nssh-ed25519 AAAA me@here\n", other[] = "ssh-rsa AAAA you\n";
	_cleanup_(lab) struct lab lab, elsewhere;

	lab_make(&lab, "usr/sbin/sshd");
	put(&lab, "root/.ssh/authorized_keys", 0600, key);
	CHECK_OK(add(&lab, ""));
	check_file(&lab, "root/.ssh", 0700, NULL);
	check_file(&lab, "root/.ssh/authorized_keys", 0600, key);
	CHECK_INT(lab.secrets.count, 0);

	lab_make(&elsewhere, "usr/sbin/dropbear");
	put(&elsewhere, "keys/admins", 0644, other);
	CHECK_OK(add(&elsewhere, "[ssh]\nauthorized-keys = %s/keys/admins\n"));
	check_file(&elsewhere, "root/.ssh/authorized_keys", 0600, other);
}

TEST(a_server_that_would_let_nobody_in)
{
	static const char end[] =
		"; nobody could log in: name a file with public keys in [ssh], or drop profile ssh";
	_cleanup_(lab) struct lab lab;
	_cleanup_(free) char *absent = xasprintf("/x/r.conf: authorized-keys /root/.ssh/authorized_keys: "
						 "open /root/.ssh/authorized_keys: No such "
						 "file or directory%s",
						 end);
	_cleanup_(free) char *empty =
		xasprintf("/x/r.conf:3: authorized-keys /keys/a: there is no key in it%s", end);
	_cleanup_(free) char *private =
		xasprintf("/x/r.conf:3: authorized-keys /keys/a: it holds a private key%s", end);

	lab_make(&lab, "usr/sbin/sshd");
	check_said(&lab, add(&lab, ""), absent);
	put(&lab, "keys/a", 0644, "# nobody\n  \n");
	check_said(&lab, add(&lab, "[ssh]\n\nauthorized-keys = %s/keys/a\n"), empty);
	put(&lab, "keys/a", 0644, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
	check_said(&lab, add(&lab, "[ssh]\n\nauthorized-keys = %s/keys/a\n"), private);
	CHECK(!tree_find(&lab.tree, "root/.ssh/authorized_keys"));
}

TEST(host_keys_of_the_machine_are_secrets)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab, "usr/sbin/sshd");
	put(&lab, "root/.ssh/authorized_keys", 0600, "ssh-rsa AAAA you\n");
	check_said(
		&lab, add(&lab, "[ssh]\nhost-keys = machine\n"),
		"/x/r.conf:2: host-keys = machine: /etc/ssh has no ssh_host_*_key; take host-keys = fresh");
	put(&lab, "etc/ssh/ssh_host_rsa_key", 0600, "rsa");
	put(&lab, "etc/ssh/ssh_host_rsa_key.pub", 0644, "rsa");
	put(&lab, "etc/ssh/ssh_host_ed25519_key", 0600, "ed");
	CHECK_OK(add(&lab, "[ssh]\nhost-keys = machine\n"));
	check_file(&lab, "etc/ssh/ssh_host_rsa_key", 0600, "rsa");
	check_file(&lab, "etc/ssh/ssh_host_ed25519_key", 0600, "ed");
	CHECK_INT(lab.secrets.count, 2);
	CHECK_STR(lab.secrets.items[0], "/etc/ssh/ssh_host_ed25519_key");
	put(&lab, "etc/ssh/ssh_host_rsa_key", 0644, "rsa");
	check_said(&lab, add(&lab, "[ssh]\nhost-keys = machine\n"),
		   "read host key /etc/ssh/ssh_host_rsa_key: others can read it (mode 0644); do: chmod 600 "
		   "/etc/ssh/ssh_host_rsa_key");
}

TEST(a_wireless_network_is_a_secret)
{
	_cleanup_(lab) struct lab lab;

	lab_make(&lab, "sbin/wpa_supplicant");
	check_said(&lab, add(&lab, ""),
		   "/x/r.conf: [wifi] has no config: name a file as wpa_supplicant.conf(5) has it, or drop "
		   "profile wifi");
	put(&lab, "etc/w", 0600, "network={}\n");
	CHECK_OK(add(&lab, "[wifi]\nconfig = %s/etc/w\n"));
	check_file(&lab, "etc/lifeboat/wifi.conf", 0600, "network={}\n");
	CHECK_INT(lab.secrets.count, 1);
	CHECK_STR(lab.secrets.items[0], "/etc/lifeboat/wifi.conf");
}

TAP_MAIN()
