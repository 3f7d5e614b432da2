/* The machines of drills: disks that a program makes once, kept in the cache and never written again. */
#include "guest/drill.h"

#include "base/cache.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static const size_t maker_max = 1 << 20;
static const char sums_name[] = "SHA256SUMS";

/* A short file of the machine's folder: a line, stripped; "" where it is not there. The caller frees. */
static int word_of(const char *machine, const char *name, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", machine, name), *text = NULL;
	int r = access(path, F_OK) == 0 ? read_file_at(AT_FDCWD, path, 4096, &text, NULL, e) : 0;

	if (r == 0)
		*ret = xstrdup(text ? str_strip(text) : "");
	return r;
}

/* ---- its disks stay what they are ---- */

/* The file "disks" has a line for each: its file and how it is plugged in. Most have but one. */
static int list_disks(const char *machine, struct strlist *ret, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	int r = word_of(machine, "disks", &text, e);

	if (r == 0)
		strlist_add_parts(ret, *text ? text : "disk0.img", '\n');
	return r;
}

static int sums_text(const char *machine, char **ret, struct error *e)
{
	_cleanup_(strlist) struct strlist disks = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int r = list_disks(machine, &disks, e);

	strbuf_puts(&text, "");
	for (size_t i = 0; r == 0 && i < disks.count; i++) {
		_cleanup_(free) char *name = xstrndup(disks.items[i], strcspn(disks.items[i], ","));
		_cleanup_(free) char *path = xasprintf("%s/%s", machine, name);
		_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
		char hex[DIGEST_HEX_SIZE];
		uint64_t len;

		r = fd < 0 ? error_errno(e, errno, "open %s", path) : digest_fd(fd, path, hex, &len, e);
		if (r == 0)
			strbuf_printf(&text, "%s  %s\n", hex, name);
	}
	if (r == 0)
		*ret = TAKE_PTR(text.data);
	return r;
}

int drill_machine_check(const struct drill_machine *m, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", m->folder, sums_name);
	_cleanup_(free) char *was = NULL, *is = NULL;
	int r = read_file_at(AT_FDCWD, path, 65536, &was, NULL, e);

	if (r == 0)
		r = sums_text(m->folder, &is, e);
	if (r == 0 && !streq(was, is))
		r = error_text(e, EUCLEAN,
			       "a disk of the clean machine has changed since it was made; remove %s",
			       m->folder);
	return r;
}

static int protect(const char *machine, struct error *e)
{
	_cleanup_(strlist) struct strlist disks = { 0 };
	int r = list_disks(machine, &disks, e);

	for (size_t i = 0; r == 0 && i < disks.count; i++) {
		_cleanup_(free) char *path =
			xasprintf("%s/%.*s", machine, (int)strcspn(disks.items[i], ","), disks.items[i]);

		if (chmod(path, 0444) < 0)
			r = error_errno(e, errno, "make %s", path);
	}
	return r;
}

/* Hashed, and nobody writes to it any more. */
static int make(const struct drill_maker *maker, const char *partial, struct error *e)
{
	_cleanup_(free) char *sums = NULL, *sums_path = xasprintf("%s/%s", partial, sums_name);
	int r = remove_tree_at(AT_FDCWD, partial, e);

	if (r == 0)
		r = mkdir_parents_at(AT_FDCWD, partial, 0755, e);
	if (r == 0)
		r = maker->make(maker->user, partial, e);
	if (r == 0)
		r = protect(partial, e);
	if (r == 0)
		r = sums_text(partial, &sums, e);
	return r < 0 ? r : write_file_at(AT_FDCWD, sums_path, 0444, sums, strlen(sums), e);
}

/* The program that makes the machine, what a person has to know of it (beside it, as machine-NAME.txt), and what its folder is
 * called: another program makes another machine. */
static int find_maker(const char *folder, const char *name, char **ret_path, char **ret_about, char **ret_key,
		      struct error *e)
{
	const char *const folders[] = { DRILL_FOLDER_SITE, folder };

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *path = xasprintf("%s/machine-%s", folders[i], name), *text = NULL;
		_cleanup_(free) char *about_path = xasprintf("%s.txt", path), *about = NULL;
		_cleanup_(digest) struct digest *digest = digest_new();
		char hex[DIGEST_HEX_SIZE];
		size_t len;

		if (access(path, F_OK) < 0)
			continue;
		int r = read_file_at(AT_FDCWD, path, maker_max, &text, &len, e);

		if (r == 0 && access(about_path, F_OK) == 0)
			r = read_file_at(AT_FDCWD, about_path, 4096, &about, NULL, e);
		if (r < 0)
			return r;
		digest_add(digest, text, len);
		digest_hex(digest, hex);
		*ret_key = xasprintf("%s-%.12s", name, hex);
		*ret_path = TAKE_PTR(path);
		*ret_about = TAKE_PTR(about);
		return 0;
	}
	return error_text(e, ENOENT, "the drill's machine '%s': no machine-%s in %s or %s", name, name,
			  DRILL_FOLDER_SITE, folder);
}

void drill_machine_free(struct drill_machine *m)
{
	free(m->folder);
	free(m->kernel);
	free(m->about);
	strlist_free(&m->disks);
	*m = (struct drill_machine) { 0 };
}

/* The kernel that the machine keeps for the rescue system: boot/vmlinuz-VERSION, beside its lib/modules. The caller
 * frees; NULL: it keeps none. */
static char *find_kernel(const char *machine)
{
	_cleanup_(free) char *folder = xasprintf("%s/boot", machine), *found = NULL;
	DIR *d = opendir(folder);

	for (const struct dirent *entry; d && !found && (entry = readdir(d));)
		if (str_after(entry->d_name, "vmlinuz-"))
			found = xasprintf("%s/%s", folder, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
	return TAKE_PTR(found);
}

/* One of two words; none is the first. */
static int choice(const char *machine, const char *name, const char *first, const char *second,
		  bool *ret_second, struct error *e)
{
	_cleanup_(free) char *word = NULL;
	int r = word_of(machine, name, &word, e);

	if (r < 0)
		return r;
	*ret_second = streq(word, second);
	return !*word || *ret_second || streq(word, first)
		       ? 0
		       : error_text(e, EINVAL, "%s/%s: bad value '%s'; expected %s or %s", machine, name,
				    word, first, second);
}

static int look_at(const char *machine, struct drill_machine *ret, struct error *e)
{
	_cleanup_(drill_machine) struct drill_machine m = { .folder = xstrdup(machine) };
	int r = list_disks(machine, &m.disks, e);

	if (r == 0)
		r = choice(machine, "guest", "uml", "qemu", &m.qemu, e);
	if (r == 0)
		r = choice(machine, "firmware", "bios", "uefi", &m.uefi, e);
	if (r < 0)
		return r;
	m.kernel = m.qemu ? find_kernel(machine) : xstrdup("uml");
	*ret = m;
	m = (struct drill_machine) { 0 };
	return 0;
}

/* Once for all: who comes while it is being made waits. */
static int make_once(const struct drill_maker *maker, const char *cache, const char *machine,
		     struct report *report, struct error *e)
{
	_cleanup_(free) char *partial = xasprintf("%s/partial", cache);
	_cleanup_(free) char *lock_path = xasprintf("%s/lock", cache);
	_cleanup_(fd) int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		report_info(report, "waiting for another drill that makes its machine in %s", cache);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_errno(e, errno, "lock %s", lock_path);
	if (access(machine, F_OK) == 0)
		return 0; /* just made by the other */
	report_info(report, "making the machine '%s' in %s (once, some minutes)", maker->shown, cache);
	int r = make(maker, partial, e);

	return r == 0 && rename(partial, machine) < 0 ? error_errno(e, errno, "make %s", machine) : r;
}

int drill_machine_kept(const char *key, const struct drill_maker *maker, struct drill_machine *ret,
		       struct report *report, struct error *e)
{
	_cleanup_(free) char *cache = NULL, *machine = NULL;
	int r = cache_folder("drills", &cache, e);

	if (r < 0)
		return r;
	machine = xasprintf("%s/%s", cache, key);
	if (access(machine, F_OK) < 0)
		r = make_once(maker, cache, machine, report, e);
	return r < 0 ? r : look_at(machine, ret, e);
}

static int run_maker(void *user, const char *folder, struct error *e)
{
	const char *argv[] = { "sh", user, folder, NULL };

	return proc_run(argv, NULL, e);
}

int drill_machine(const char *folder, const char *name, struct drill_machine *ret, struct report *report,
		  struct error *e)
{
	_cleanup_(free) char *path = NULL, *about = NULL, *key = NULL;
	int r = find_maker(folder, name, &path, &about, &key, e);

	if (r < 0)
		return r;
	const struct drill_maker maker = { .shown = name, .make = run_maker, .user = path };

	r = drill_machine_kept(key, &maker, ret, report, e);
	if (r == 0 && about)
		ret->about = TAKE_PTR(about);
	return r;
}
