#include "image/generate.h"

#include "base/fs.h"
#include "image/access.h"
#include "image/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef LIFEBOAT_VERSION
#define LIFEBOAT_VERSION "unknown"
#endif

#define KEYMAP_PATH "/etc/lifeboat/keymap.bmap"
#define CREDENTIALS_PATH "/etc/lifeboat/credentials"

enum { max_file = 1 << 20 };

/* What the rescue system stands on before it runs its first program. */
static const struct {
	const char *path;
	mode_t permissions;
} folders[] = {
	{ "dev", 0755 },  { "proc", 0555 },       { "sys", 0555 },     { "run", 0755 },
	{ "mnt", 0755 },  { "mnt/backup", 0755 }, { "etc", 0755 },     { "root", 0700 },
	{ "tmp", 01777 }, { "var/lib", 0755 },    { "var/log", 0755 }, { "usr/lib/busybox", 0755 },
};
static const struct {
	const char *path;
	mode_t mode;
	unsigned major, minor; /* Linux: Documentation/admin-guide/devices.txt */
} devices[] = {
	{ "dev/console", S_IFCHR | 0600, 5, 1 },
	{ "dev/null", S_IFCHR | 0666, 1, 3 },
};
static const struct {
	const char *path, *target, *why;
} links[] = {
	{ "etc/mtab", "/proc/self/mounts", "mount helpers look there" },
	{ "var/run", "/run", "older programs look there" },
	{ "var/tmp", "/tmp", "temporary files" },
};
static const struct {
	const char *path, *text, *why;
} texts[] = {
	{ "etc/passwd", "root:*:0:0:root:/root:/bin/sh\n", "the rescue system's one user" },
	{ "etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\n", "groups of device nodes" },
	{ "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", "the loopback's name" },
	{ "etc/nsswitch.conf",
	  "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\nrpc: files\n"
	  "networks: files\n",
	  "where names are looked up" },
	{ "etc/os-release",
	  "NAME=\"Lifeboat rescue system\"\nPRETTY_NAME=\"Lifeboat rescue system " LIFEBOAT_VERSION
	  "\"\nID=lifeboat\nVERSION_ID=" LIFEBOAT_VERSION "\n",
	  "tells programs what system this is" },
};

static int add_basics(const struct generator *g, struct error *e)
{
	struct tree *t = g->tree;
	const struct reason *why = tree_reason(t, NULL, "rescue system");
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(*folders); i++)
		r = tree_add_folder(t, folders[i].path, folders[i].permissions, why, e);
	for (size_t i = 0; r == 0 && i < sizeof(devices) / sizeof(*devices); i++)
		r = tree_add_device(t, devices[i].path, devices[i].mode,
				    makedev(devices[i].major, devices[i].minor),
				    tree_reason(t, why, "before devtmpfs is mounted"), e);
	for (size_t i = 0; r == 0 && i < sizeof(links) / sizeof(*links); i++)
		r = tree_add_link(t, links[i].path, links[i].target, tree_reason(t, why, "%s", links[i].why),
				  e);
	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(*texts); i++)
		r = tree_add_data(t, texts[i].path, 0644, texts[i].text, strlen(texts[i].text),
				  tree_reason(t, why, "%s", texts[i].why), e);
	return r;
}

/* --- /etc/lifeboat --- */

static int add_text(const struct generator *g, const char *path, mode_t permissions,
		    const struct strbuf *text, const char *why, struct error *e)
{
	const struct reason *reason =
		tree_reason(g->tree, tree_reason(g->tree, NULL, "this build"), "%s", why);

	return tree_add_data(g->tree, path, permissions, text->data ? text->data : "", text->len, reason, e);
}

static int add_conf(const struct generator *g, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (!g->conf->path)
		return 0;
	int r = read_file_at(AT_FDCWD, g->conf->path, max_file, &text.data, &text.len, e);

	return r < 0 ? r
		     : add_text(g, "etc/lifeboat/recovery.conf", 0644, &text,
				"the configuration that it was made with", e);
}

/* The credentials of the share. */
static int add_credentials(const struct generator *g, struct strlist *secrets, const char **ret_path,
			   struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	*ret_path = "";
	if (!g->conf->credentials || !g->conf->pack_secrets)
		return 0;
	int r = secret_read("credentials", g->conf->credentials, &text, e);

	if (r == 0)
		r = add_text(g, CREDENTIALS_PATH, 0600, &text, "pack-secrets = yes", e);
	if (r < 0)
		return r;
	strlist_add(secrets, CREDENTIALS_PATH);
	*ret_path = CREDENTIALS_PATH;
	return 0;
}

/* Only when it was asked for by its own name: who holds the stick can then read every backup. At the place that recovery.conf,
 * which goes in as it is, names. */
static int add_identity(const struct generator *g, struct strlist *secrets, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	if (!g->conf->pack_identity)
		return 0;
	if (!g->conf->identity)
		return error_text(e, EINVAL, "pack-identity = yes: no identity is named in [backup]");
	int r = secret_read("identity", g->conf->identity, &text, e);

	if (r == 0)
		r = add_text(g, g->conf->identity + strspn(g->conf->identity, "/"), 0600, &text,
			     "pack-identity = yes", e);
	if (r == 0)
		strlist_add(secrets, g->conf->identity);
	return r;
}

static int add_keymap(const struct generator *g, const char **ret_path, struct error *e)
{
	_cleanup_(strbuf) struct strbuf map = { 0 };
	int r = keymap_make(g->conf->keymap, g->root, g->report, &map, e);

	*ret_path = r == 1 ? KEYMAP_PATH : "";
	return r == 1 ? add_text(g, KEYMAP_PATH, 0644, &map, "this machine's keyboard", e) : r;
}

static int add_loaded(const struct generator *g, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	for (size_t i = 0; i < g->loaded->count; i++)
		if (modules_has(g->modules, g->loaded->items[i]))
			strbuf_printf(&text, "%s\n", g->loaded->items[i]);
	return add_text(g, "etc/lifeboat/modules", 0644, &text, "this machine's modules, in load order", e);
}

static void put(struct strbuf *b, const char *name, const char *value)
{
	strbuf_printf(b, "%s='", name);
	for (const char *p = value ? value : ""; *p; p++) {
		if (*p == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_add(b, p, 1);
	}
	strbuf_puts(b, "'\n");
}

/* The name of the machine that is protected. */
static char *hostname(const struct root *root)
{
	char name[256] = "";
	char *text = NULL;
	struct error ignored;

	if (!*root->path && gethostname(name, sizeof(name) - 1) == 0)
		return xstrdup(name);
	if (read_file_at(root->fd, "etc/hostname", max_file, &text, NULL, &ignored) < 0)
		return xstrdup("localhost");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

void generate_env(const struct generator *g, const char *keymap, const char *credentials, struct strbuf *ret)
{
	_cleanup_(free) char *name = hostname(g->root);
	char created[32] = "";
	struct tm tm;

	if (gmtime_r(&g->created, &tm))
		(void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm); /* it fits */
	put(ret, "LB_HOSTNAME", name);
	put(ret, "LB_KERNEL", g->kernel->version);
	put(ret, "LB_VERSION", LIFEBOAT_VERSION);
	put(ret, "LB_CREATED", created);
	put(ret, "LB_INTERFACE", g->conf->interface);
	put(ret, "LB_ADDRESS", g->conf->address);
	put(ret, "LB_GATEWAY", g->conf->gateway);
	put(ret, "LB_DNS", g->conf->dns);
	put(ret, "LB_TARGET", g->conf->target);
	put(ret, "LB_CREDENTIALS", credentials);
	put(ret, "LB_KEYMAP", keymap);
	put(ret, "LB_UNATTENDED", g->conf->unattended ? "yes" : "no");
}

int generate_files(const struct generator *g, struct strlist *secrets, struct error *e)
{
	_cleanup_(strbuf) struct strbuf env = { 0 };
	const char *keymap = "", *credentials = "";
	int r = add_basics(g, e);

	if (r == 0)
		r = add_conf(g, e);
	if (r == 0)
		r = add_loaded(g, e);
	if (r == 0)
		r = add_credentials(g, secrets, &credentials, e);
	if (r == 0)
		r = add_identity(g, secrets, e);
	if (r == 0)
		r = add_keymap(g, &keymap, e);
	if (r == 0)
		r = access_add(g->conf, g->root, g->tree, secrets, e);
	if (r < 0)
		return r;
	generate_env(g, keymap, credentials, &env);
	return add_text(g, "etc/lifeboat/rescue.env", 0644, &env, "what the rescue system is told", e);
}
