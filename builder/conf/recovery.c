#include "conf/recovery.h"

#include "conf/ini.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* One row per key: where it is stored, its default, and what a good value is. The defaults go the
 * same way as a person's values do, so that they cannot be bad ones. */
enum kind { KIND_TEXT, KIND_WORDS, KIND_SIZE, KIND_NUMBER, KIND_BOOL };

struct row {
	const char *section;
	struct ini_key key;
	enum kind kind;
	size_t offset;
	const char *fallback; /* NULL: unset */
};

static int is_size(const char *v)
{
	uint64_t n;

	return parse_size(v, &n);
}

static int is_chunk(const char *v)
{
	uint64_t n;
	int r = parse_size(v, &n);

	return r < 0 ? r : n >= 1 << 20 ? 0 : -ERANGE;
}

static int is_bool(const char *v)
{
	bool b;

	return parse_bool(v, &b);
}

static int is_level(const char *v)
{
	uint64_t n;
	int r = parse_u64(v, &n);

	return r < 0 ? r : n <= 22 ? 0 : -ERANGE;
}

static int is_number(const char *v)
{
	uint64_t n;
	int r = parse_u64(v, &n);

	return r < 0 ? r : n <= 3600 ? 0 : -ERANGE;
}

static int is_seconds(const char *v)
{
	uint64_t n;

	return parse_u64(v, &n) == 0 && n > 0 && n <= 86400 ? 0 : -EINVAL;
}

static int is_ports(const char *v)
{
	_cleanup_(strlist) struct strlist ports = { 0 };
	uint64_t n;

	strlist_add_words(&ports, v);
	for (size_t i = 0; i < ports.count; i++)
		if (parse_u64(ports.items[i], &n) < 0 || n < 1 || n > 65535)
			return -EINVAL;
	return 0;
}

static int is_hours(const char *v)
{
	uint64_t n;
	int r = parse_u64(v, &n);

	return r < 0 ? r : n <= 100000 ? 0 : -ERANGE;
}

static int is_timeout(const char *v)
{
	return streq(v, "0") ? -ERANGE : is_number(v);
}

static int is_format(const char *v)
{
	return streq(v, "cpio") || streq(v, "cramfs") || streq(v, "ext2") ? 0 : -EINVAL;
}

static int is_compress(const char *v)
{
	static const char *const known[] = { "zstd", "xz", "gzip", "lz4", "none" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (streq(v, known[i]))
			return 0;
	return -EINVAL;
}

static int is_host_address(const char *v)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, v, raw) == 1 || inet_pton(AF_INET6, v, raw) == 1 ? 0 : -EINVAL;
}

static int is_address(const char *v)
{
	const char *slash = strchr(v, '/');
	uint64_t prefix;

	if (streq(v, "dhcp") || streq(v, "none"))
		return 0;
	if (!slash || parse_u64(slash + 1, &prefix) < 0 || prefix > 128)
		return -EINVAL;
	_cleanup_(free) char *host = xstrndup(v, (size_t)(slash - v));

	if (prefix > 32 && !strchr(host, ':'))
		return -EINVAL;
	return is_host_address(host);
}

static bool begins_target(const char *v)
{
	static const char *const schemes[] = { "smb://", "nfs://", "file://", "dev:///", "disk://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		const char *rest = str_after(v, schemes[i]);

		if (rest && *rest)
			return true;
	}
	return false;
}

void recovery_split_targets(const char *text, struct strlist *ret)
{
	const char *begin = text;

	for (const char *p = text; *p; p++) {
		const char *next = p + 1 + strspn(p + 1, " \t");

		if (*p != ',' || !begins_target(next))
			continue;
		char *one = xstrndup(begin, (size_t)(p - begin));

		strlist_add(ret, str_strip(one));
		free(one);
		begin = next;
	}
	strlist_add(ret, begin);
}

static int is_target(const char *v)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	recovery_split_targets(v, &all);
	for (size_t i = 0; i < all.count; i++)
		if (!begins_target(all.items[i]))
			return -EINVAL;
	return 0;
}

int recovery_parse_keep(const char *text, unsigned *ret_full, unsigned *ret_incremental)
{
	_cleanup_(strlist) struct strlist parts = { 0 };
	unsigned full = UINT_MAX, incremental = UINT_MAX;

	strlist_add_parts(&parts, text, ',');
	for (size_t i = 0; i < parts.count; i++) {
		_cleanup_(strlist) struct strlist words = { 0 };
		uint64_t n;

		strlist_add_words(&words, parts.items[i]);
		if (words.count != 2 || parse_u64(words.items[0], &n) < 0 || n > 100000)
			return -EINVAL;
		if (streq(words.items[1], "full") && n > 0 && full == UINT_MAX)
			full = (unsigned)n;
		else if (streq(words.items[1], "incremental") && incremental == UINT_MAX)
			incremental = (unsigned)n;
		else
			return -EINVAL;
	}
	if (parts.count == 0)
		return -EINVAL;
	*ret_full = full;
	*ret_incremental = incremental;
	return 0;
}

/* A Bech32 string of age-keygen(1), without its checksum being looked at; SSH keys have blanks, and come from files. */
static int is_encrypt_to(const char *v)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	strlist_add_words(&all, v);
	for (size_t i = 0; i < all.count; i++) {
		const char *key = str_after(all.items[i], "age1");

		if (*all.items[i] != '/' &&
		    (!key || !*key || key[strspn(key, "qpzry9x8gf2tvdw0s3jn54khce6mua7l1")]))
			return -EINVAL;
	}
	return all.count ? 0 : -EINVAL;
}

/* For [backup] exclude: paths or names; backup/exclude.h matches them. */
static int is_exclude(const char *v)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	strlist_add_words(&all, v);
	for (size_t i = 0; i < all.count; i++) {
		const char *p = all.items[i];

		if ((strchr(p, '/') && *p != '/') || str_ends(p, "/"))
			return -EINVAL;
	}
	return all.count ? 0 : -EINVAL;
}

/* For [backup] leave-out; machine/belonging.h finds them. */
static int is_devices(const char *v)
{
	_cleanup_(strlist) struct strlist all = { 0 };

	strlist_add_words(&all, v);
	for (size_t i = 0; i < all.count; i++)
		if (*all.items[i] == '/' && !str_after(all.items[i], "/dev/"))
			return -EINVAL;
	return all.count ? 0 : -EINVAL;
}

static int is_smb_security(const char *v)
{
	return streq(v, "server") || streq(v, "sign") || streq(v, "seal") ? 0 : -EINVAL;
}

/* For [backup] method: of a file system the first that can save it is taken; backup/method.c has all. */
static int is_methods(const char *v)
{
	static const char *const known[] = { "archive", "dump", "xfsdump", "send" };
	_cleanup_(strlist) struct strlist all = { 0 };

	strlist_add_words(&all, v);
	for (size_t i = 0; i < all.count; i++) {
		size_t k = 0;

		while (k < sizeof(known) / sizeof(*known) && !streq(all.items[i], known[k]))
			k++;
		if (k == sizeof(known) / sizeof(*known))
			return -EINVAL;
	}
	return all.count ? 0 : -EINVAL;
}

static int is_keep(const char *v)
{
	unsigned full, incremental;

	return streq(v, "all") ? 0 : recovery_parse_keep(v, &full, &incremental);
}

static int is_host_keys(const char *v)
{
	return streq(v, "fresh") || streq(v, "machine") ? 0 : -EINVAL;
}

static int is_microcode(const char *v)
{
	return streq(v, "no") || streq(v, "machine") || streq(v, "all") ? 0 : -EINVAL;
}

static int is_path(const char *v)
{
	return v[0] == '/' ? 0 : -EINVAL;
}

static int is_words(const char *v)
{
	return *v ? 0 : -EINVAL;
}

#define AT(member) offsetof(struct recovery_conf, member)
static const struct row rows[] = {
	{ "image",
	  { "profiles", "names of profiles", is_words },
	  KIND_WORDS,
	  AT(profiles),
	  "minimal keyboard this-machine smb nfs uefi auto" },
	{ "image",
	  { "kernel", "'running', a version, a vmlinuz or a .deb", is_words },
	  KIND_TEXT,
	  AT(kernel),
	  "running" },
	{ "image", { "format", "cpio, cramfs or ext2", is_format }, KIND_TEXT, AT(format), "cpio" },
	{ "image",
	  { "compress", "zstd, xz, gzip, lz4 or none", is_compress },
	  KIND_TEXT,
	  AT(compress),
	  "zstd" },
	{ "image", { "level", "a number from 0 (default) to 22", is_level }, KIND_NUMBER, AT(level), "0" },
	{ "image", { "ext2-margin", "a size such as 1M", is_size }, KIND_SIZE, AT(ext2_margin), "1M" },
	{ "image", { "overlay", "an absolute path", is_path }, KIND_TEXT, AT(overlay), NULL },
	{ "image", { "microcode", "no, machine or all", is_microcode }, KIND_TEXT, AT(microcode), "no" },
	{ "image", { "max-initrd", "a size such as 120M", is_size }, KIND_SIZE, AT(max_initrd), "0" },
	{ "image", { "pack-secrets", "yes or no", is_bool }, KIND_BOOL, AT(pack_secrets), "no" },
	{ "image", { "pack-identity", "yes or no", is_bool }, KIND_BOOL, AT(pack_identity), "no" },
	{ "network",
	  { "interface", "auto, an interface or a MAC address", is_words },
	  KIND_TEXT,
	  AT(interface),
	  "auto" },
	{ "network",
	  { "address", "dhcp, none or ADDRESS/PREFIX", is_address },
	  KIND_TEXT,
	  AT(address),
	  "dhcp" },
	{ "network", { "gateway", "an IP address", is_host_address }, KIND_TEXT, AT(gateway), NULL },
	{ "network", { "dns", "an IP address", is_host_address }, KIND_TEXT, AT(dns), NULL },
	{ "backup",
	  { "target",
	    "smb://[user@]host/share[/path], nfs://host/export[/path], file:///path, disk://UUID[/path] "
	    "or dev:///dev/X",
	    is_target },
	  KIND_TEXT,
	  AT(target),
	  NULL },
	{ "backup", { "credentials", "an absolute path", is_path }, KIND_TEXT, AT(credentials), NULL },
	{ "backup",
	  { "encrypt-to", "public keys (age1...) or absolute paths of files with some", is_encrypt_to },
	  KIND_WORDS,
	  AT(encrypt_to),
	  NULL },
	{ "backup",
	  { "smb-security", "server, sign or seal", is_smb_security },
	  KIND_TEXT,
	  AT(smb_security),
	  "server" },
	{ "backup", { "identity", "an absolute path", is_path }, KIND_TEXT, AT(identity), NULL },
	{ "backup",
	  { "exclude", "absolute paths without a '/' at the end, or names, as patterns", is_exclude },
	  KIND_WORDS,
	  AT(exclude),
	  NULL },
	{ "backup",
	  { "leave-out", "names of disks, partitions or volumes (sdb, sda3, vg0/windows), or paths in /dev",
	    is_devices },
	  KIND_WORDS,
	  AT(leave_out),
	  NULL },
	{ "backup",
	  { "method", "names of: archive dump xfsdump send", is_methods },
	  KIND_WORDS,
	  AT(methods),
	  NULL },
	{ "backup",
	  { "keep", "all, or such as '4 full, 7 incremental'", is_keep },
	  KIND_TEXT,
	  AT(keep),
	  "all" },
	{ "backup", { "snapshots", "yes or no", is_bool }, KIND_BOOL, AT(snapshots), "yes" },
	{ "backup", { "timeout", "seconds, 1 to 3600", is_timeout }, KIND_NUMBER, AT(timeout), "30" },
	{ "backup", { "max-age", "a number of hours; 0: any", is_hours }, KIND_NUMBER, AT(max_age), "0" },
	{ "backup",
	  { "prove-every", "a number of hours; 0: no proof is wanted", is_hours },
	  KIND_NUMBER,
	  AT(prove_every),
	  "0" },
	{ "backup", { "retry", "seconds, 0 to 3600", is_number }, KIND_NUMBER, AT(retry), "300" },
	{ "backup", { "chunk", "a size of at least 1M", is_chunk }, KIND_SIZE, AT(chunk), "1G" },
	{ "console",
	  { "consoles", "kernel consoles such as 'tty0 ttyS0,115200'", is_words },
	  KIND_WORDS,
	  AT(consoles),
	  "tty0 ttyS0,115200" },
	{ "console", { "keymap", "auto, none or a keymap's name", is_words }, KIND_TEXT, AT(keymap), "auto" },
	{ "console", { "menu-timeout", "seconds, 0 to 3600", is_number }, KIND_TEXT, AT(menu_timeout), "5" },
	{ "ssh", { "authorized-keys", "an absolute path", is_path }, KIND_TEXT, AT(authorized_keys), NULL },
	{ "ssh", { "host-keys", "fresh or machine", is_host_keys }, KIND_TEXT, AT(host_keys), "fresh" },
	{ "wifi", { "config", "an absolute path", is_path }, KIND_TEXT, AT(wifi_config), NULL },
	{ "recover", { "unattended", "yes or no", is_bool }, KIND_BOOL, AT(unattended), "no" },
	{ "prove", { "ready", "a text on the machine's console", NULL }, KIND_TEXT, AT(prove_ready), NULL },
	{ "prove", { "port", "numbers of TCP ports", is_ports }, KIND_WORDS, AT(prove_ports), "" },
	{ "prove", { "timeout", "a number of seconds", is_seconds }, KIND_NUMBER, AT(prove_timeout), "600" },
};
enum { row_count = sizeof(rows) / sizeof(*rows) };

static void store(struct recovery_conf *c, const struct row *row, const char *value)
{
	void *at = (char *)c + row->offset;
	uint64_t n;

	switch (row->kind) {
	case KIND_TEXT:
		free(*(char **)at);
		*(char **)at = value ? xstrdup(value) : NULL;
		return;
	case KIND_WORDS:
		strlist_free(at);
		strlist_add_words(at, value);
		return;
	case KIND_SIZE:
		(void)parse_size(value, at); /* was checked */
		return;
	case KIND_NUMBER:
		if (parse_u64(value, &n) == 0)
			*(unsigned *)at = (unsigned)n;
		return;
	case KIND_BOOL:
		(void)parse_bool(value, at); /* was checked */
		return;
	}
}

/* The rows as the tables that ini_check() wants. */
struct schemas {
	struct ini_key keys[row_count][row_count + 1];
	struct ini_schema list[row_count + 1];
};

static void make_schemas(struct schemas *s)
{
	size_t sections = 0;

	memset(s, 0, sizeof(*s));
	for (size_t i = 0, k = 0; i < row_count; i++) {
		if (i == 0 || !streq(rows[i].section, rows[i - 1].section)) {
			k = 0;
			s->list[sections] = (struct ini_schema) { rows[i].section, false, s->keys[sections] };
			sections++;
		}
		s->keys[sections - 1][k++] = rows[i].key;
	}
}

static void take_values(struct recovery_conf *c, const struct ini *ini)
{
	for (size_t s = 0; s < ini->count; s++)
		for (size_t i = 0; i < row_count; i++) {
			if (!streq(rows[i].section, ini->sections[s].kind))
				continue;
			const char *value = ini_get(&ini->sections[s], rows[i].key.key);

			if (value)
				store(c, &rows[i], value);
		}
}

int recovery_conf_load(const char *path, struct recovery_conf *ret, struct error *e)
{
	_cleanup_(recovery_conf) struct recovery_conf c = { 0 };
	_cleanup_(ini) struct ini ini = INI_NONE;

	for (size_t i = 0; i < row_count; i++)
		if (rows[i].fallback)
			store(&c, &rows[i], rows[i].fallback);
	if (!path && access(RECOVERY_CONF_SYSTEM, F_OK) == 0)
		path = RECOVERY_CONF_SYSTEM;
	if (!path && access(RECOVERY_CONF_LOCAL, F_OK) == 0)
		path = RECOVERY_CONF_LOCAL;
	if (path) {
		struct schemas schemas;
		int r = ini_parse_at(AT_FDCWD, path, &ini, e);

		if (r < 0)
			return r;
		make_schemas(&schemas);
		r = ini_check(&ini, schemas.list, e);
		if (r < 0)
			return r;
		c.path = xstrdup(path);
		take_values(&c, &ini);
		c.ini = ini;
		ini = (struct ini)INI_NONE;
	}
	*ret = c;
	c = (struct recovery_conf) { 0 };
	return 0;
}

int recovery_conf_set(struct recovery_conf *c, const char *section, const char *key, const char *value,
		      struct error *e)
{
	for (size_t i = 0; i < row_count; i++) {
		const struct row *row = &rows[i];

		if (!streq(row->section, section) || !streq(row->key.key, key))
			continue;
		if (row->key.check(value) < 0)
			return error_text(e, EINVAL, "bad %s '%s'; expected %s", key, value,
					  row->key.expected);
		store(c, row, value);
		return 0;
	}
	return error_text(e, EINVAL, "set %s of [%s]: there is no such key", key, section);
}

int recovery_conf_error(const struct recovery_conf *c, const char *section, const char *key, int code,
			struct error *e, const char *fmt, ...)
{
	const struct ini_entry *entry = NULL;
	_cleanup_(free) char *text = NULL;
	va_list ap;

	for (size_t i = 0; !entry && i < c->ini.count; i++)
		if (streq(c->ini.sections[i].kind, section))
			entry = ini_entry(&c->ini.sections[i], key);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort(); /* as every allocation failure, see base/str.h */
	va_end(ap);
	if (entry)
		return error_text(e, code, "%s:%u: %s", c->path, entry->line, text);
	return error_text(e, code, "%s: %s", c->path ? c->path : "recovery.conf", text);
}

void recovery_conf_free(struct recovery_conf *c)
{
	for (size_t i = 0; i < row_count; i++) {
		void *at = (char *)c + rows[i].offset;

		if (rows[i].kind == KIND_TEXT)
			free(*(char **)at);
		else if (rows[i].kind == KIND_WORDS)
			strlist_free(at);
	}
	free(c->path);
	ini_free(&c->ini);
	*c = (struct recovery_conf) { 0 };
}
