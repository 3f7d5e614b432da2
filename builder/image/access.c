#include "image/access.h"

#include "base/fs.h"
#include "image/secret.h"
#include "image/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

#define AUTHORIZED_KEYS_OF_ROOT "root/.ssh/authorized_keys"
#define WIFI_PATH "/etc/lifeboat/wifi.conf"

enum { max_keys = 1 << 20 };

struct access {
	const struct recovery_conf *conf;
	const struct root *root;
	struct tree *tree;
	struct strlist *secrets;
};

static bool has_tool(const struct access *a, const char *name)
{
	const struct view view = { .tree = a->tree };

	return view_find_tool(&view, name);
}

static int add_secret(const struct access *a, const char *path, const struct strbuf *text, const char *why,
		      struct error *e)
{
	int r = tree_add_data(a->tree, path, 0600, text->data, text->len,
			      tree_reason(a->tree, NULL, "%s", why), e);

	if (r == 0)
		strlist_addf(a->secrets, "%s%s", *path == '/' ? "" : "/", path);
	return r;
}

/* --- SSH --- */

/* Is there one line that is not blank and no comment (sshd(8), AUTHORIZED_KEYS FILE FORMAT)? */
static bool has_key(const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *first = text + strspn(text, " \t\r");

		if (*first && *first != '\n' && *first != '#')
			return true;
	}
	return false;
}

static int add_authorized_keys(const struct access *a, struct error *e)
{
	const char *given = a->conf->authorized_keys;
	_cleanup_(free) char *path =
		given ? xstrdup(given) : root_host_path(a->root, AUTHORIZED_KEYS_OF_ROOT);
	_cleanup_(strbuf) struct strbuf text = { 0 };
	const char *wrong = NULL;
	struct error why;
	int r = read_file_at(AT_FDCWD, path, max_keys, &text.data, &text.len, &why);

	if (r < 0)
		wrong = why.text;
	else if (strstr(text.data, "PRIVATE KEY"))
		wrong = "it holds a private key", r = -EINVAL;
	else if (!has_key(text.data))
		wrong = "there is no key in it", r = -EINVAL;
	if (wrong)
		return recovery_conf_error(
			a->conf, "ssh", "authorized-keys", -r, e,
			"authorized-keys %s: %s; nobody could log in: name a file with public keys in "
			"[ssh], or drop profile ssh",
			path, wrong);
	r = tree_add_folder(a->tree, "root/.ssh", 0700, tree_reason(a->tree, NULL, "who may log in by SSH"),
			    e);
	return r < 0 ? r
		     : tree_add_data(a->tree, AUTHORIZED_KEYS_OF_ROOT, 0600, text.data, text.len,
				     tree_reason(a->tree, NULL, "who may log in by SSH"), e);
}

/* The server's own keys, as its programs name them; dropbear reads no others. */
static int add_host_keys(const struct access *a, const char *folder, const char *pattern, struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int fd = openat(a->root->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (fnmatch(pattern, entry->d_name, 0) == 0)
			strlist_add(&names, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
	if (!names.count)
		return recovery_conf_error(a->conf, "ssh", "host-keys", ENOENT, e,
					   "host-keys = machine: %s/%s has no %s; take host-keys = fresh",
					   a->root->path, folder, pattern);
	strlist_sort(&names);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, names.items[i]);
		_cleanup_(free) char *source = root_host_path(a->root, path);
		_cleanup_(strbuf) struct strbuf text = { 0 };

		r = secret_read("host key", source, &text, e);
		if (r == 0)
			r = add_secret(a, path, &text, "host-keys = machine", e);
	}
	return r;
}

static int add_ssh(const struct access *a, struct error *e)
{
	bool openssh = has_tool(a, "sshd");

	if (!openssh && !has_tool(a, "dropbear"))
		return 0;
	int r = add_authorized_keys(a, e);

	if (r < 0 || !streq(a->conf->host_keys, "machine"))
		return r;
	return openssh ? add_host_keys(a, "etc/ssh", "ssh_host_*_key", e)
		       : add_host_keys(a, "etc/dropbear", "dropbear_*_host_key", e);
}

/* --- wireless networks --- */

static int add_wifi(const struct access *a, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (!has_tool(a, "wpa_supplicant"))
		return 0;
	if (!a->conf->wifi_config)
		return recovery_conf_error(
			a->conf, "wifi", "config", ENOENT, e,
			"[wifi] has no config: name a file as wpa_supplicant.conf(5) has it, or drop "
			"profile wifi");
	int r = secret_read("wireless networks", a->conf->wifi_config, &text, e);

	return r < 0 ? r : add_secret(a, WIFI_PATH, &text, "wireless networks", e);
}

int access_add(const struct recovery_conf *conf, const struct root *root, struct tree *tree,
	       struct strlist *secrets, struct error *e)
{
	const struct access a = { conf, root, tree, secrets };
	int r = add_ssh(&a, e);

	return r < 0 ? r : add_wifi(&a, e);
}
