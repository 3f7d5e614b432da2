/* LUKS devices. Their headers are a stream of the backup (method raw), or are made fresh. */
#include "machine/layers.h"
#include "machine/layer_kinds.h"

#include "machine/layer.h"
#include "machine/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

/* The value of "  key:  value" in what `cryptsetup status` prints; NULL when there is none. The caller frees. */
static char *status_value(const char *text, const char *key)
{
	for (const char *line = text; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *at = str_after(line + strspn(line, " \t"), key);

		if (at && *at == ':') {
			at += 1 + strspn(at + 1, " \t");
			return xstrndup(at, strcspn(at, "\n"));
		}
	}
	return NULL;
}

/* The number that a value begins with: "512 bits", "32768 [512-byte units]". */
static uint64_t status_number(const char *text, const char *key)
{
	_cleanup_(free) char *value = status_value(text, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

static int refuse(const char *name, const char *why, struct error *e)
{
	return error_text(e, EOPNOTSUPP, "the encrypted device %s %s, which cannot be rebuilt yet", name,
			  why);
}

static int take_status(struct device *d, const char *text, struct error *e)
{
	_cleanup_(free) char *type = status_value(text, "type");
	_cleanup_(free) char *integrity = status_value(text, "integrity");

	if (!type || (!streq(type, "LUKS1") && !streq(type, "LUKS2")))
		return refuse(d->name, "is no LUKS device", e);
	if (integrity)
		return refuse(d->name, "protects its integrity as well", e);
	d->crypt.type = xstrdup(streq(type, "LUKS1") ? "luks1" : "luks2");
	d->crypt.cipher = status_value(text, "cipher");
	d->crypt.key_bits = (unsigned)status_number(text, "keysize");
	d->crypt.offset = status_number(text, "offset") * 512;
	d->crypt.sector_size = (uint32_t)status_number(text, "sector size");
	if (!d->crypt.cipher || !d->crypt.key_bits || !d->crypt.offset)
		return error_text(e, EIO, "cryptsetup status %s: it names no cipher, key size or offset",
				  d->name);
	if (!d->crypt.sector_size)
		d->crypt.sector_size = 512;
	return 0;
}

int crypt_survey(const struct sysfs_layer *s, const char *name, struct report *report, struct error *e)
{
	const char *const argv[] = { "cryptsetup", "status", name, NULL };
	_cleanup_(free) char *slave = sysfs_slave(s), *text = NULL;
	struct device *below = slave ? sysfs_find(s->m, slave) : NULL;

	(void)report; /* nothing to warn of */
	if (!below || !below->content.type || !streq(below->content.type, "crypto_LUKS"))
		return refuse(name, "has its header elsewhere", e);
	struct device *d = machine_add(s->m, DEVICE_CRYPT, name);

	d->now.devno = s->number;
	device_add_below(d, below);
	int r = proc_capture(argv, &(struct proc_options) { .env = layer_env() }, &text, e);

	if (r == 0)
		r = take_status(d, text, e);
	if (r < 0)
		return r;
	below->content.kind = CONTENT_MEMBER;
	d->crypt.uuid = below->content.uuid ? xstrdup(below->content.uuid) : NULL;
	d->crypt.label = below->content.label ? xstrdup(below->content.label) : NULL;
	if (!d->crypt.uuid)
		return error_text(e, EIO, "%s: its header has no UUID", name);
	layer_set_size(d);
	if (d->size != s->size)
		return refuse(name, "does not fill what it lies on", e);
	return 0;
}

/* ---- making it ---- */

void crypt_format_command(const struct device *d, node_of node, const void *user, const char *key_file,
			  struct commands *ret)
{
	struct strlist *c = commands_add(ret);

	strlist_add_words(c, "cryptsetup luksFormat --batch-mode");
	if (!key_file)
		strlist_add(c, "--verify-passphrase");
	strlist_addf(c, "--type=%s", d->crypt.type);
	strlist_addf(c, "--uuid=%s", d->crypt.uuid);
	if (d->crypt.cipher)
		strlist_addf(c, "--cipher=%s", d->crypt.cipher);
	if (d->crypt.key_bits)
		strlist_addf(c, "--key-size=%u", d->crypt.key_bits);
	if (streq(d->crypt.type, "luks2")) {
		strlist_addf(c, "--offset=%" PRIu64, d->crypt.offset / 512);
		if (d->crypt.sector_size)
			strlist_addf(c, "--sector-size=%" PRIu32, d->crypt.sector_size);
		if (d->crypt.label)
			strlist_addf(c, "--label=%s", d->crypt.label);
	} else {
		strlist_addf(c, "--align-payload=%" PRIu64, d->crypt.offset / 512);
	}
	if (key_file)
		strlist_addf(c, "--key-file=%s", key_file);
	strlist_take(c, node(user, d->below[0]));
}

void crypt_open_command(const struct device *d, node_of node, const void *user, const char *key_file,
			struct commands *ret)
{
	struct strlist *c = commands_add(ret);

	strlist_add_words(c, "cryptsetup open --type=luks");
	if (key_file)
		strlist_addf(c, "--key-file=%s", key_file);
	strlist_take(c, node(user, d->below[0]));
	strlist_add(c, d->name);
}

int crypt_make(const struct device *d, const struct layer_options *o, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };

	if (!d->below[0]->content.stream)
		crypt_format_command(d, o->node, o->user, o->key_file, &all);
	crypt_open_command(d, o->node, o->user, o->key_file, &all);
	return layer_run(&all, &(struct proc_options) { .interactive = !o->key_file }, e);
}

int crypt_open(const struct device *d, const struct layer_options *o, struct error *e)
{
	_cleanup_(commands) struct commands all = { 0 };
	int r = layer_expect(d->below[0], d->crypt.uuid, o, e);

	if (r < 0)
		return r;
	crypt_open_command(d, o->node, o->user, o->key_file, &all);
	return layer_run(&all, &(struct proc_options) { .interactive = !o->key_file }, e);
}

/* Source: cryptsetup(8), "RETURN CODES": 2 is a wrong passphrase. */
int crypt_try_key(const struct device *d, const char *header, const char *key_file, struct error *e)
{
	enum { wrong = 2 };
	const char *const argv[] = { "cryptsetup",  "open", "--test-passphrase",
				     "--type=luks", header, key_file ? "--key-file" : NULL,
				     key_file,      NULL };
	const struct content expected = { .type = d->below[0]->content.type, .uuid = d->crypt.uuid };
	const struct proc_options options = { .env = layer_env(),
					      .interactive = !key_file,
					      .accept = 1u << wrong };
	_cleanup_(proc) struct proc p = PROC_NONE;
	int status = 0, r = probe_expect(header, &expected, e);

	if (r < 0)
		return r;
	r = proc_spawn(argv, &options, &p, e);
	if (r == 0)
		r = proc_wait(&p, &status, e);
	if (r < 0)
		return 1;
	return status == wrong ? error_text(e, ENOKEY, "%s does not open %s",
					    key_file ? key_file : "that passphrase", d->name)
			       : 0;
}

int crypt_close(const struct device *d, struct error *e)
{
	const char *const argv[] = { "cryptsetup", "close", d->name, NULL };

	return proc_run(argv, &(struct proc_options) { .env = layer_env() }, e);
}

bool crypt_is_running(const struct device *d)
{
	_cleanup_(free) char *node = device_node(d);
	struct stat st;

	return lstat(node, &st) == 0;
}
