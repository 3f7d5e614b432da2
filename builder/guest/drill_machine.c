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
static const char sums_name[] = "SHA256SUMS", disk_name[] = "disk0.img";

static int hash_disk(const char *machine, char ret_hex[DIGEST_HEX_SIZE], struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", machine, disk_name);
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t len;

	return fd < 0 ? error_errno(e, errno, "open %s", path) : digest_fd(fd, path, ret_hex, &len, e);
}

static int sums_text(const char *machine, char **ret, struct error *e)
{
	char hex[DIGEST_HEX_SIZE];
	int r = hash_disk(machine, hex, e);

	if (r == 0)
		*ret = xasprintf("%s  %s\n", hex, disk_name);
	return r;
}

int drill_machine_check(const struct drill_machine *m, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", m->folder, sums_name);
	_cleanup_(free) char *was = NULL, *is = NULL;
	int r = read_file_at(AT_FDCWD, path, 4096, &was, NULL, e);

	if (r == 0)
		r = sums_text(m->folder, &is, e);
	if (r == 0 && !streq(was, is))
		r = error_text(e, EUCLEAN, "the clean machine %s/%s has changed since it was made; remove %s",
			       m->folder, disk_name, m->folder);
	return r;
}

/* Made by `maker`, hashed, and nobody writes to it any more. */
static int make(const char *maker, const char *partial, struct error *e)
{
	const char *argv[] = { "sh", maker, partial, NULL };
	_cleanup_(free) char *sums = NULL, *sums_path = xasprintf("%s/%s", partial, sums_name);
	_cleanup_(free) char *disk = xasprintf("%s/%s", partial, disk_name);
	int r = remove_tree_at(AT_FDCWD, partial, e);

	if (r == 0)
		r = mkdir_parents_at(AT_FDCWD, partial, 0755, e);
	if (r == 0)
		r = proc_run(argv, NULL, e);
	if (r == 0 && chmod(disk, 0444) < 0)
		r = error_errno(e, errno, "make %s", disk);
	if (r == 0)
		r = sums_text(partial, &sums, e);
	return r < 0 ? r : write_file_at(AT_FDCWD, sums_path, 0444, sums, strlen(sums), e);
}

/* The program that makes the machine, and what its folder is called: another program makes another machine. */
static int find_maker(const char *folder, const char *name, char **ret_path, char **ret_key, struct error *e)
{
	const char *const folders[] = { DRILL_FOLDER_SITE, folder };

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(free) char *path = xasprintf("%s/machine-%s", folders[i], name), *text = NULL;
		_cleanup_(digest) struct digest *digest = digest_new();
		char hex[DIGEST_HEX_SIZE];
		size_t len;

		if (access(path, F_OK) < 0)
			continue;
		int r = read_file_at(AT_FDCWD, path, maker_max, &text, &len, e);

		if (r < 0)
			return r;
		digest_add(digest, text, len);
		digest_hex(digest, hex);
		*ret_key = xasprintf("%s-%.12s", name, hex);
		*ret_path = TAKE_PTR(path);
		return 0;
	}
	return error_text(e, ENOENT, "the drill's machine '%s': no machine-%s in %s or %s", name, name,
			  DRILL_FOLDER_SITE, folder);
}

void drill_machine_free(struct drill_machine *m)
{
	free(m->folder);
	free(m->kernel);
	*m = (struct drill_machine) { 0 };
}

/* The kernel that the machine keeps for the rescue system: boot/vmlinuz-VERSION, beside its lib/modules. The caller
 * frees. */
static int find_kernel(const char *machine, char **ret, struct error *e)
{
	_cleanup_(free) char *folder = xasprintf("%s/boot", machine);
	DIR *d = opendir(folder);

	for (const struct dirent *entry; d && !*ret && (entry = readdir(d));)
		if (str_after(entry->d_name, "vmlinuz-"))
			*ret = xasprintf("%s/%s", folder, entry->d_name);
	if (d)
		(void)closedir(d); /* read side */
	return *ret ? 0 : error_text(e, ENOENT, "the drill's machine %s: no kernel boot/vmlinuz-*", machine);
}

/* The file "guest" of its folder says which kind of guest it is; none: uml. */
static int look_at(const char *machine, struct drill_machine *ret, struct error *e)
{
	_cleanup_(drill_machine) struct drill_machine m = { .folder = xstrdup(machine) };
	_cleanup_(free) char *path = xasprintf("%s/guest", machine), *text = NULL;
	int r = access(path, F_OK) == 0 ? read_file_at(AT_FDCWD, path, 4096, &text, NULL, e) : 0;
	const char *kind = text ? str_strip(text) : "uml";

	if (r < 0)
		return r;
	m.qemu = streq(kind, "qemu");
	if (!m.qemu && !streq(kind, "uml"))
		return error_text(e, EINVAL, "%s: bad value '%s'; expected uml or qemu", path, kind);
	if (!m.qemu)
		m.kernel = xstrdup("uml");
	else if ((r = find_kernel(machine, &m.kernel, e)) < 0)
		return r;
	*ret = m;
	m = (struct drill_machine) { 0 };
	return 0;
}

/* Once for all: who comes while it is being made waits. */
static int make_once(const char *maker, const char *cache, const char *machine, const char *name,
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
	report_info(report, "making the machine '%s' in %s (once, some minutes)", name, cache);
	int r = make(maker, partial, e);

	return r == 0 && rename(partial, machine) < 0 ? error_errno(e, errno, "make %s", machine) : r;
}

int drill_machine(const char *folder, const char *name, struct drill_machine *ret, struct report *report,
		  struct error *e)
{
	_cleanup_(free) char *cache = NULL, *maker = NULL, *key = NULL, *machine = NULL;

	if (streq(name, "this"))
		return error_text(e, EOPNOTSUPP,
				  "drills on this machine's own last backup cannot be done yet");
	int r = find_maker(folder, name, &maker, &key, e);

	if (r == 0)
		r = cache_folder("drills", &cache, e);
	if (r < 0)
		return r;
	machine = xasprintf("%s/%s", cache, key);
	if (access(machine, F_OK) < 0)
		r = make_once(maker, cache, machine, name, report, e);
	return r < 0 ? r : look_at(machine, ret, e);
}
