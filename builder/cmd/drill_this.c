#include "cmd/drill_this.h"

#include "backup/set.h"
#include "base/digest.h"
#include "base/fs.h"
#include "cmd/prove_set.h"
#include "cmd/target_arg.h"
#include "guest/drill_set.h"
#include "machine/machine_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

/* The names of its folders in the cache begin so. */
static const char key_begin[] = DRILL_THIS "-";

struct making {
	const struct drill_this *this;
	struct target target;
	struct set *set;
	struct machine machine;
	struct prove_set copy;
	struct drill_disk *disks;
	size_t disk_count;
	uint64_t used; /* bytes that the recovered disks will take, about */
	char *key;
};

static void making_free(struct making *m)
{
	free(m->key);
	free(m->disks);
	prove_set_free(&m->copy);
	machine_free(&m->machine);
	set_close(m->set);
	target_close(&m->target);
}
DEFINE_CLEANUP(making, struct making, making_free)

/* ---- the set ---- */

/* Who is asked for, or this machine by its name where several have backups there. NULL: the only one there is. The caller
 * frees. */
static int choose_host(const struct making *m, char **ret, struct error *e)
{
	_cleanup_(set_list) struct set_list sets = { 0 };
	struct utsname here;

	if (m->this->host) {
		*ret = xstrdup(m->this->host);
		return 0;
	}
	if (uname(&here) < 0)
		return error_errno(e, errno, "find this machine's name");
	int r = set_list(&m->target, &sets, e);

	for (size_t i = 0; r == 0 && i < sets.count && !*ret; i++)
		if (sets.items[i].complete && streq(sets.items[i].host, here.nodename))
			*ret = xstrdup(here.nodename);
	return r;
}

static int open_set(struct making *m, struct error *e)
{
	const struct drill_this *t = m->this;
	_cleanup_(free) char *text = NULL, *host = NULL;
	int r = cmd_target_open(t->cmd, t->conf, t->target, TARGET_READ, &m->target, e);

	if (r == 0)
		r = choose_host(m, &host, e);
	if (r == 0)
		r = set_open(&m->target, host, NULL, &m->set, &t->cmd->report, e);
	if (r == 0)
		r = set_machine_conf(m->set, &text, &t->cmd->report, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *shown = xasprintf("%s/machine.conf", set_shown(m->set));

	return machine_conf_parse(shown, text, &m->machine, e);
}

/* What would only turn out after minutes. */
static int check_fits(const struct making *m, struct error *e)
{
	const char *shown = set_shown(m->set), *arch = m->machine.arch;

	if (arch && !streq(arch, "x86_64"))
		return error_text(e, EOPNOTSUPP, "%s is %s: only x86_64 machines can be drilled here", shown,
				  arch);
	if (set_encrypted(m->set))
		return error_text(e, EOPNOTSUPP,
				  "%s is encrypted: its key would have to lie in the guest of each drill",
				  shown);
	for (size_t i = 0; i < m->machine.count; i++)
		if (m->machine.devices[i]->kind == DEVICE_CRYPT)
			return error_text(
				e, EOPNOTSUPP,
				"%s has encrypted disks: nobody is there to type the passphrase when "
				"a drill starts it",
				shown);
	return 0;
}

static void want_disks(struct making *m)
{
	m->disks = xcalloc(m->machine.count + 1, sizeof(*m->disks));
	for (size_t i = 0; i < m->machine.count; i++) {
		const struct device *d = m->machine.devices[i];

		m->used += d->content.used;
		if (d->kind == DEVICE_DISK)
			m->disks[m->disk_count++] = (struct drill_disk) { .name = d->name,
									  .bus = d->identity.bus,
									  .bytes = d->size,
									  .sector_size = d->sector_size };
	}
}

/* Another set, or another way to make a machine of it, makes another one. */
static void make_key(struct making *m)
{
	_cleanup_(free) char *identity = set_identity(m->set);
	_cleanup_(digest) struct digest *digest = digest_new();
	char hex[DIGEST_HEX_SIZE];

	digest_add(digest, identity, strlen(identity));
	digest_hex(digest, hex);
	m->key = xasprintf("%s%.12s", key_begin, hex);
}

/* ---- the machine ---- */

static int check_room(const struct making *m, const char *folder, struct error *e)
{
	char want[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];
	uint64_t need = m->used + m->used / 8 + (64 << 20);
	struct statvfs fs;

	if (statvfs(folder, &fs) < 0)
		return error_errno(e, errno, "look at the room in %s", folder);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;

	if (room >= need)
		return 0;
	return error_text(e, ENOSPC, "this machine's disks need about %s in %s, which has %s",
			  format_size(need, want), folder, format_size(room, have));
}

/* Those of older sets: each is as large as the machine. */
static void remove_older(const struct making *m, const char *partial)
{
	_cleanup_(free) char *cache = xstrndup(partial, (size_t)(strrchr(partial, '/') - partial));
	DIR *d = opendir(cache);
	struct error ignored; /* it only takes room */

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (str_after(entry->d_name, key_begin) && !streq(entry->d_name, m->key))
			(void)remove_tree_at(dirfd(d), entry->d_name, &ignored);
	if (d)
		(void)closedir(d); /* read side */
}

static int make(void *user, const char *folder, struct error *e)
{
	struct making *m = user;
	struct report *report = &m->this->cmd->report;
	const char *shown = set_shown(m->set), *slash = strrchr(shown, '/');
	_cleanup_(free) char *host = xstrndup(shown, (size_t)(slash - shown));
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	int r = check_room(m, folder, e);

	if (r == 0)
		r = tempdir_make(&temp, e);
	if (r == 0)
		r = prove_set_measure(&m->target, m->set, &m->copy, e);
	if (r == 0) {
		report_info(report, "copying %s for the guest", shown);
		r = prove_set_make(&m->target, m->set, temp.path, &m->copy, e);
	}
	if (r < 0)
		return r;
	const struct drill_set set = { .rescue = m->this->rescue,
				       .image = m->copy.image,
				       .url = m->copy.url,
				       .host = host,
				       .name = slash + 1,
				       .disks = m->disks,
				       .disk_count = m->disk_count,
				       .uefi = m->machine.firmware == FIRMWARE_UEFI,
				       .show_fd = m->this->show_fd };

	report_info(report, "recovering %s in the guest", shown);
	r = drill_set_recover(&set, folder, report, e);
	if (r == 0)
		remove_older(m, folder);
	return r;
}

int drill_this_machine(const struct drill_this *t, struct drill_machine *ret, struct error *e)
{
	_cleanup_(making) struct making m = { .this = t, .target = { .dirfd = -1 } };
	int r = open_set(&m, e);

	if (r == 0)
		r = check_fits(&m, e);
	if (r < 0)
		return r;
	const struct drill_maker maker = { .shown = set_shown(m.set), .make = make, .user = &m };

	want_disks(&m);
	make_key(&m);
	return drill_machine_kept(m.key, &maker, ret, &t->cmd->report, e);
}
