#include "machine/journal.h"

#include "base/digest.h"
#include "base/fs.h"
#include "conf/ini.h"
#include "machine/machine_conf.h"
#include "machine/table.h"
#include "machine/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

enum { max_boot_id = 256 };

void journal_free(struct journal *j)
{
	free(j->plan);
	strlist_free(&j->map);
	*j = (struct journal) { 0 };
}

int journal_lock(const char *folder, int *ret_fd, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/lock", folder);
	int r = mkdir_parents_at(AT_FDCWD, folder, 0755, e);

	if (r < 0)
		return r;
	_cleanup_(fd) int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? error_text(e, EBUSY, "another recovery is running (%s)", path)
					    : error_errno(e, errno, "lock %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- the file ---- */

static char *path_in(const char *folder)
{
	return xasprintf("%s/journal", folder);
}

static int check_hash(const char *value)
{
	return strlen(value) == DIGEST_HEX_SIZE - 1 && !value[strspn(value, "0123456789abcdef")] ? 0
												 : -EINVAL;
}

static const struct ini_key journal_keys[] = {
	{ "plan", "64 hexadecimal digits", check_hash },
	{ "done", "a number of steps", check_number },
	{ NULL, NULL, NULL },
};
static const struct ini_key disk_keys[] = {
	{ "is", "the name of a disk", NULL },
	{ NULL, NULL, NULL },
};
static const struct ini_schema schemas[] = {
	{ "journal", false, journal_keys },
	{ "disk", true, disk_keys },
	{ NULL, false, NULL },
};

int journal_read(const char *folder, struct journal *ret, struct error *e)
{
	_cleanup_(free) char *path = path_in(folder);
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(journal) struct journal j = { 0 };

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*ret = (struct journal) { 0 };
		return 0;
	}
	int r = ini_parse_at(AT_FDCWD, path, &ini, e);

	if (r == 0)
		r = ini_check(&ini, schemas, e);
	for (size_t i = 0; i < ini.count && r == 0; i++) {
		const struct ini_section *s = &ini.sections[i];
		const char *is = ini_get(s, "is"), *plan = ini_get(s, "plan"), *done = ini_get(s, "done");
		uint64_t count;

		if (streq(s->kind, "disk") && is) {
			strlist_addf(&j.map, "%s=%s", s->name, is);
		} else if (plan && done && !j.plan && parse_u64(done, &count) == 0) {
			j.plan = xstrdup(plan);
			j.done = (size_t)count;
		}
	}
	if (r == 0 && (!j.plan || j.map.count == 0))
		r = ini_error(&ini, 1, e, "not a whole journal; expected [journal] and [disk NAME]");
	if (r < 0)
		return r;
	*ret = j;
	j = (struct journal) { 0 };
	return 0;
}

/* Everything that decides what the steps do, in this boot (names of disks last no longer). Not what was on the disks
 * before, nor why they were chosen: the first step changes both. */
static int hash_plan(const struct plan *p, const char *source, char ret[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(digest) struct digest *d = digest_new();
	_cleanup_(strbuf) struct strbuf b = { 0 };
	_cleanup_(free) char *boot = NULL;
	int r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", max_boot_id, &boot, NULL, e);

	if (r == 0)
		r = machine_conf_format(&p->machine, &b, e);
	if (r < 0)
		return r;
	strbuf_printf(&b, "boot %s\nset %s\n", boot, source);
	for (size_t i = 0; i < p->mapping_count; i++) {
		const struct device *to = p->mappings[i].to;
		_cleanup_(free) char *shown = disk_describe(to);

		strbuf_printf(&b, "disk %s %s %s %s %ju %" PRIu64 "\n", p->mappings[i].from->name,
			      to->identity.path, shown, to->identity.wwn ? to->identity.wwn : "",
			      (uintmax_t)to->now.devno, to->size);
	}
	for (size_t i = 0; i < p->step_count; i++)
		strbuf_printf(&b, "step %d %s %s\n", (int)p->steps[i].kind, p->steps[i].text,
			      p->steps[i].node ? p->steps[i].node : "");
	digest_add(d, b.data, b.len);
	digest_hex(d, ret);
	return 0;
}

int journal_write(const char *folder, const struct plan *p, const char *source, size_t done, struct error *e)
{
	_cleanup_(free) char *path = path_in(folder);
	_cleanup_(ini) struct ini ini = INI_NONE;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	char hash[DIGEST_HEX_SIZE];
	int r = hash_plan(p, source, hash, e);

	if (r < 0)
		return r;
	struct ini_section *s = ini_add_section(&ini, "journal", "");

	ini_set(s, "plan", hash);
	ini_setf(s, "done", "%zu", done);
	for (size_t i = 0; i < p->mapping_count; i++)
		ini_set(ini_add_section(&ini, "disk", p->mappings[i].from->name), "is",
			p->mappings[i].to->name);
	r = ini_format(&ini, &text, e);
	return r < 0 ? r : write_file_at(AT_FDCWD, path, 0600, text.data, text.len, e);
}

void journal_remove(const char *folder)
{
	_cleanup_(free) char *path = path_in(folder);

	(void)unlink(path); /* gone already, or its plan will not fit */
}

/* ---- going on ---- */

/* The table that was written is still there: the disk is the one that the journal speaks of, not a copy of what it
 * was, and nobody has used it for something else meanwhile. An array's is looked at once it is open. */
static int check_table(const struct plan *p, const struct device *holder, struct error *e)
{
	const struct device *now = holder->kind == DEVICE_DISK ? plan_mapping(p, holder)->to : NULL;

	return now ? table_compare(&p->machine, holder, &p->present, now, now->identity.path, e) : 0;
}

static bool fills(const struct step *s)
{
	return s->kind == STEP_MKFS || s->kind == STEP_RECEIVE || s->kind == STEP_SUBVOLUMES ||
	       s->kind == STEP_RESTORE;
}

static bool may_be_half(const struct step *s)
{
	return s->kind == STEP_RECEIVE || s->kind == STEP_RESTORE;
}

static const struct device *filesystem_of(const struct step *s)
{
	const struct device *d = s->device; /* NULL: the whole system */

	return d && d->kind == DEVICE_SUBVOLUME ? d->parent : d;
}

int journal_continue(const struct journal *j, const char *source, struct plan *p, struct error *e)
{
	char hash[DIGEST_HEX_SIZE];
	int r = hash_plan(p, source, hash, e);

	if (r < 0)
		return r;
	if (!streq(hash, j->plan) || j->done > p->step_count || !p->steps)
		return error_text(e, ESTALE, "its plan was another one");
	for (size_t i = 0; i < j->done && r == 0; i++)
		if (p->steps[i].kind == STEP_TABLE)
			r = check_table(p, p->steps[i].device, e);
	if (r < 0)
		return r;
	const struct step *next = j->done < p->step_count ? &p->steps[j->done] : NULL;

	/* Half a restore cannot be told from a whole one: that file system is made again, with all its subvolumes, and
	 * restored from its beginning. Every other step can be repeated as it is. */
	const struct device *half = next && may_be_half(next) ? filesystem_of(next) : NULL;

	for (size_t i = 0; p->steps && i < j->done; i++) {
		struct step *s = &p->steps[i];

		s->done = !(half && fills(s) && filesystem_of(s) == half);
	}
	p->done = j->done;
	return 0;
}
