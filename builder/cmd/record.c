#include "cmd/record.h"

#include "conf/ini.h"
#include "machine/machine_conf.h"
#include "machine/survey.h"

#include <errno.h>
#include <fcntl.h>

enum { max_text = 64 << 20 };

static const char default_folder[] = "/var/lib/lifeboat";
enum { FILE_CONF, FILE_SUMS, FILE_MACHINE, FILE_COUNT };
static const char *const names[FILE_COUNT] = { "stick.conf", "stick.sha256", "machine.conf" };

void record_free(struct record *r)
{
	free(r->medium);
	free(r->kernel);
	free(r->conf);
	free(r->profiles);
	free(r->kernel_wanted);
	free(r->files);
	free(r->machine);
	*r = (struct record) { 0 };
}

const char *record_folder(void)
{
	const char *given = getenv("LIFEBOAT_STATE");

	return given && *given ? given : default_folder;
}

int record_conf_sum(const struct recovery_conf *conf, char ret_hex[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(fd) int fd = -1;
	uint64_t len;

	if (!conf->path) {
		memcpy(ret_hex, "none", sizeof("none"));
		return 0;
	}
	fd = open(conf->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(e, errno, "open %s", conf->path);
	return digest_fd(fd, conf->path, ret_hex, &len, e);
}

/* ---- writing ---- */

/* Empty where it cannot be told: as an ordinary user, or for what Lifeboat cannot rebuild, which backup says. */
static void describe_machine(struct cmd *c, const struct recovery_conf *conf, struct strbuf *ret)
{
	const struct survey_options options = { .leave_out = &conf->leave_out };
	_cleanup_(machine) struct machine m = { 0 };
	struct error e;

	strbuf_puts(ret, "");
	if (survey(&m, &options, &c->report, &e) < 0 || machine_conf_format(&m, ret, &e) < 0)
		report_info(&c->report, "lifeboat check will not compare the disks: %s", e.text);
}

static int describe_medium(const struct cmd *c, const struct medium *m, const char *kernel, const char *path,
			   struct strbuf *ret, struct error *e)
{
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(free) char *profiles = c->profiles.count ? strlist_join(&c->profiles, " ") : NULL;
	struct ini_section *s = ini_add_section(&ini, "stick", "");
	char hex[DIGEST_HEX_SIZE];
	int r = record_conf_sum(&m->conf, hex, e);

	if (r < 0)
		return r;
	ini_set(s, "medium", path);
	ini_setf(s, "created", "%lld", (long long)m->created);
	ini_set(s, "kernel", m->image.kernel_version);
	ini_set(s, "recovery.conf", hex);
	if (profiles)
		ini_set(s, "profiles", profiles);
	if (kernel)
		ini_set(s, "kernel-wanted", kernel);
	return ini_format(&ini, ret, e);
}

static int write_files(const struct strbuf texts[FILE_COUNT], struct error *e)
{
	struct outfile files[FILE_COUNT] = { OUTFILE_NONE, OUTFILE_NONE, OUTFILE_NONE };
	int r = mkdir_parents_at(AT_FDCWD, record_folder(), 0755, e);

	for (size_t i = 0; r == 0 && i < FILE_COUNT; i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", record_folder(), names[i]);

		r = outfile_open(AT_FDCWD, path, 0644, &files[i], e);
		if (r < 0)
			break;
		r = write_all(files[i].fd, texts[i].data, texts[i].len);
		if (r < 0)
			r = error_errno(e, -r, "write %s", path);
	}
	if (r == 0)
		r = outfile_commit_all(files, FILE_COUNT, e);
	for (size_t i = 0; i < FILE_COUNT; i++)
		outfile_abort(&files[i]);
	return r;
}

static void forget(struct cmd *c)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", record_folder(), names[FILE_CONF]);

	if (unlink(path) < 0 && errno != ENOENT)
		report_warn(&c->report, "lifeboat check still knows another stick: remove %s: %s", path,
			    strerror(errno));
	else
		report_info(&c->report,
			    "lifeboat check does not know this medium: its image was made before");
}

void record_save(struct cmd *c, const struct medium *m, const char *kernel, const char *path)
{
	struct strbuf texts[FILE_COUNT] = { 0 };
	struct error e;

	if (geteuid() != 0 && !getenv("LIFEBOAT_STATE"))
		return;
	if (!m->image_built) {
		forget(c);
		return;
	}
	strbuf_add(&texts[FILE_SUMS], m->manifest.data, m->manifest.len);
	describe_machine(c, &m->conf, &texts[FILE_MACHINE]);
	if (describe_medium(c, m, kernel, path, &texts[FILE_CONF], &e) < 0 || write_files(texts, &e) < 0)
		report_warn(&c->report, "lifeboat check does not know this medium: %s", e.text);
	for (size_t i = 0; i < FILE_COUNT; i++)
		strbuf_free(&texts[i]);
}

/* ---- reading ---- */

static int read_state(size_t which, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", record_folder(), names[which]);

	return read_file_at(AT_FDCWD, path, max_text, ret, NULL, e);
}

static char *copy_of(const struct ini_section *s, const char *key)
{
	const char *value = ini_get(s, key);

	return xstrdup(value ? value : "");
}

static int take_conf(const char *text, struct record *r, struct error *e)
{
	static const struct ini_key keys[] = { { "medium", "a path", NULL, false },
					       { "created", "seconds since 1970", NULL, false },
					       { "kernel", "a version", NULL, false },
					       { "recovery.conf", "a SHA-256", NULL, false },
					       { "profiles", "names", NULL, false },
					       { "kernel-wanted", "a kernel", NULL, false },
					       { NULL, NULL, NULL, false } };
	static const struct ini_schema schemas[] = { { "stick", false, keys }, { NULL, false, NULL } };
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(free) char *shown = xasprintf("%s/%s", record_folder(), names[FILE_CONF]);
	uint64_t created;
	int code = ini_parse_text(shown, text, &ini, e);

	if (code == 0)
		code = ini_check(&ini, schemas, e);
	if (code < 0)
		return code;
	const struct ini_section *s = ini.count ? &ini.sections[0] : NULL;

	if (!s || !ini_get(s, "created") || parse_u64(ini_get(s, "created"), &created) < 0)
		return error_text(e, EINVAL, "%s: no created = SECONDS in it", shown);
	r->created = (time_t)created;
	r->medium = copy_of(s, "medium");
	r->kernel = copy_of(s, "kernel");
	r->conf = copy_of(s, "recovery.conf");
	r->profiles = copy_of(s, "profiles");
	r->kernel_wanted = copy_of(s, "kernel-wanted");
	return 0;
}

int record_load(struct record *ret, struct error *e)
{
	_cleanup_(record) struct record r = { 0 };
	_cleanup_(free) char *text = NULL;
	int code = read_state(FILE_CONF, &text, e);

	if (code == -ENOENT)
		return error_text(
			e, ENOENT,
			"no medium is recorded in %s: 'lifeboat usb' and 'lifeboat iso' do, as root",
			record_folder());
	if (code == 0)
		code = take_conf(text, &r, e);
	if (code == 0)
		code = read_state(FILE_SUMS, &r.files, e);
	if (code == 0)
		code = read_state(FILE_MACHINE, &r.machine, e);
	if (code < 0)
		return code;
	*ret = r;
	r = (struct record) { 0 };
	return 0;
}
