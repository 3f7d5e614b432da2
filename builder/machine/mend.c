#include "machine/mend.h"

#include "base/fs.h"
#include "base/in_root.h"
#include "base/proc.h"
#include "machine/boot_loader.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { max_text = 4 << 20 };

/* Files that name disks, below the root. */
static const char *const files[] = {
	"etc/fstab",
	"etc/default/grub",
	"etc/initramfs-tools/conf.d/resume",
	"boot/grub/grub.cfg",
	"etc/kernel/cmdline", /* what kernel-install puts into entries for systemd-boot */
	"boot/extlinux/extlinux.conf",
	"boot/syslinux/syslinux.cfg",
};

/* Folders of the Boot Loader Specification's type 1 entries, NAME.conf: systemd-boot's. */
static const char *const entry_folders[] = { "boot/loader/entries", "boot/efi/loader/entries",
					     "efi/loader/entries" };

/* What programs find inside, wherever this system keeps its own. */
static const char *const inside_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
					  "LC_ALL=C", NULL };

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '/' || c == '-' || c == '.';
}

/* btrfs(5): a device of the file system besides the one that is mounted, which takes nothing but a path. */
static const char device_option[] = "device=";

static bool is_device_option(const char *line, const char *path)
{
	size_t n = strlen(device_option);

	return (size_t)(path - line) >= n && strncmp(path - n, device_option, n) == 0 &&
	       ((size_t)(path - line) == n || !is_name_char(path[-(ptrdiff_t)n - 1]));
}

/* Adds `line` to `b` with every whole `old` in it replaced; the count of them is returned. */
static unsigned replace_in_line(struct strbuf *b, const char *line, const char *old, const char *new)
{
	size_t n = strlen(old);
	const char *from = line;
	unsigned count = 0;

	for (const char *p = line; (p = strstr(p, old)); p += n) {
		if ((p > line && is_name_char(p[-1])) || is_name_char(p[n]) || is_device_option(line, p))
			continue;
		strbuf_add(b, from, (size_t)(p - from));
		strbuf_puts(b, new);
		from = p + n;
		count++;
	}
	strbuf_puts(b, from);
	return count;
}

/* Comments stay as they are: they tell what was. The caller frees `*ret`. */
static unsigned replace_in_text(const char *text, const char *old, const char *new, char **ret)
{
	struct strbuf b = { 0 };
	unsigned count = 0;

	strbuf_puts(&b, "");
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_(free) char *line = xstrndup(text, n + (text[n] == '\n'));

		if (line[strspn(line, " \t")] == '#')
			strbuf_puts(&b, line);
		else
			count += replace_in_line(&b, line, old, new);
		text += strlen(line);
	}
	*ret = b.data;
	return count;
}

/* Where the device is that was at this path; NULL: there still, or none was. The caller frees. */
static char *new_node(const struct plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->machine.count; i++) {
		const struct device *d = plan->machine.devices[i];
		_cleanup_(free) char *old = d->kind != DEVICE_BTRFS ? plan_old_node(d) : NULL;
		char *now = old && streq(old, path) ? plan_node(plan, d) : NULL;

		if (now && !streq(now, path))
			return now;
		free(now);
	}
	return NULL;
}

/* All device= at once, as disks may have changed names with each other. The caller frees `*ret`. */
static unsigned replace_options(const char *text, const struct plan *plan, char **ret)
{
	const char *from = text;
	struct strbuf b = { 0 };
	unsigned count = 0;

	strbuf_puts(&b, "");
	for (const char *p = text; (p = strstr(p, device_option));) {
		p += strlen(device_option);
		size_t n = strcspn(p, ", \t\n\"'");
		_cleanup_(free) char *path = xstrndup(p, n);
		_cleanup_(free) char *now = is_device_option(text, p) ? new_node(plan, path) : NULL;

		if (!now)
			continue;
		strbuf_add(&b, from, (size_t)(p - from));
		strbuf_puts(&b, now);
		from = p + n;
		count++;
	}
	strbuf_puts(&b, from);
	*ret = b.data;
	return count;
}

/* `folder_fd` is the file's, `path` what it is called below the root. */
static int mend_file(int folder_fd, const char *name, const char *path, const struct plan *plan,
		     struct report *report, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	unsigned total = 0;
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0; /* not every system has all of them */
	int r = read_file_at(folder_fd, name, max_text, &text, NULL, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->machine.count; i++) {
		const struct device *d = plan->machine.devices[i];
		/* one on several devices is named by each of them */
		_cleanup_(free) char *old =
			d->content.uuid && d->kind != DEVICE_BTRFS ? plan_old_node(d) : NULL;
		_cleanup_(free) char *now = old ? plan_node(plan, d) : NULL;

		if (!old || streq(old, now))
			continue;
		_cleanup_(free) char *uuid = xasprintf("UUID=%s", d->content.uuid);
		char *mended;
		unsigned count = replace_in_text(text, old, uuid, &mended);

		free(text);
		text = mended;
		total += count;
		if (count)
			report_info(report, "/%s: %s is now %s", path, old, uuid);
	}
	_cleanup_(free) char *mended = NULL;
	unsigned options = replace_options(text, plan, &mended);

	if (options)
		report_info(report, "/%s: devices of btrfs are named as they are called now", path);
	free(text);
	text = TAKE_PTR(mended);
	total += options;
	return total ? write_file_at(folder_fd, name, st.st_mode & 07777, text, strlen(text), e) : 0;
}

/* A folder that is not there has nothing to be mended. */
static bool is_missing(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

static int mend_one(int root_fd, const char *path, const struct plan *plan, struct report *report,
		    struct error *e)
{
	const char *name;
	_cleanup_(fd) int fd = open_folder_of(root_fd, path, &name, e);

	if (fd < 0)
		return is_missing(-fd) ? 0 : fd;
	return mend_file(fd, name, path, plan, report, e);
}

static int mend_entries(int root_fd, const char *folder, const struct plan *plan, struct report *report,
			struct error *e)
{
	int fd = open_in_root(root_fd, folder, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		int code = errno;

		if (fd >= 0)
			(void)close(fd); /* read side */
		return is_missing(code) ? 0 : error_errno(e, code, "read /%s", folder);
	}
	while (r == 0 && (entry = readdir(d))) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, entry->d_name);

		if (strlen(entry->d_name) > 5 && str_ends(entry->d_name, ".conf"))
			r = mend_file(fd, entry->d_name, path, plan, report, e);
	}
	(void)closedir(d); /* read side */
	return r;
}

int mend_names(const struct recovered *root, const struct plan *plan, struct report *report, struct error *e)
{
	_cleanup_(fd) int fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return error_errno(e, errno, "open %s", root->path);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && r == 0; i++)
		r = mend_one(fd, files[i], plan, report, e);
	for (size_t i = 0; i < sizeof(entry_folders) / sizeof(*entry_folders) && r == 0; i++)
		r = mend_entries(fd, entry_folders[i], plan, report, e);
	return r;
}

static int run_inside(struct recovered *root, const char *const argv[], struct error *e)
{
	const struct proc_options options = { .chroot = root->path, .env = inside_env };
	int r = recovered_bind(root, e);

	return r < 0 ? r : proc_run(argv, &options, e);
}

/* The last MODULES= of Debian's initramfs-tools configuration counts; the driver policy file comes last. */
static bool initramfs_is_for_old_disks(int root_fd)
{
	static const char *const configurations[] = { "etc/initramfs-tools/initramfs.conf",
						      "etc/initramfs-tools/conf.d/driver-policy" };
	bool dep = false;

	for (size_t i = 0; i < sizeof(configurations) / sizeof(*configurations); i++) {
		_cleanup_(free) char *text = NULL;
		struct error ignored; /* the second one is rare, other systems have neither */

		if (read_file_in_root(root_fd, configurations[i], max_text, &text, NULL, &ignored) < 0)
			continue;
		for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
			const char *value = str_after(str_strip(line), "MODULES=");

			if (value)
				dep = streq(value, "dep");
		}
	}
	return dep;
}

int mend_initramfs(struct recovered *root, struct report *report, struct error *e)
{
	const char *const argv[] = { "update-initramfs", "-u", "-k", "all", NULL };
	_cleanup_(fd) int fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", root->path);
	if (!initramfs_is_for_old_disks(fd)) {
		report_debug(report, "the initramfs holds the drivers of other disks as well");
		return 0;
	}
	return run_inside(root, argv, e);
}

int mend_boot_loader(struct recovered *root, const struct machine *m, const char *node, struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 };

	boot_loader_command(m->boot_loader, m->boot_target, node, &argv);
	return run_inside(root, (const char *const *)argv.items, e);
}
