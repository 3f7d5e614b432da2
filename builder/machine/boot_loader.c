#include "machine/boot_loader.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

/* ---- code as text ---- */

/* Without what is zero at its end. NULL when all is. The caller frees. */
static char *format_code(const unsigned char *code, size_t len)
{
	while (len > 0 && code[len - 1] == 0)
		len--;
	if (len == 0)
		return NULL;
	char *text = xmalloc(len * 4 / 3 + 5);

	(void)EVP_EncodeBlock((unsigned char *)text, code, (int)len); /* cannot fail */
	return text;
}

int boot_code_parse(const char *text, unsigned char ret[static boot_code_size], size_t *ret_len)
{
	size_t n = strlen(text), padding = str_ends(text, "==") ? 2 : str_ends(text, "=");
	unsigned char bytes[boot_code_size + 3];

	if (n == 0 || n % 4 != 0 || strcspn(text, "=") != n - padding ||
	    n / 4 * 3 - padding > boot_code_size || n / 4 * 3 > sizeof(bytes) ||
	    EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n) < 0)
		return -EINVAL;
	*ret_len = n / 4 * 3 - padding;
	memcpy(ret, bytes, *ret_len);
	return 0;
}

/* ---- what is there ---- */

static int read_sector(const char *path, unsigned char sector[static 512], struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	ssize_t n = pread_full(fd, sector, 512, 0);

	return n == 512 ? 0 : error_errno(e, n < 0 ? (int)-n : EIO, "read %s", path);
}

/* GRUB's first sector says so, in the text that it prints when it fails; Syslinux (extlinux is the same) in the name of the
 * system that formatted the volume (its core/diskstart.inc, bsOemName). */
static int look_at(struct device *d, const char *path, struct error *e)
{
	unsigned char sector[512];
	int r = read_sector(path, sector, e);

	if (r < 0)
		return r;
	if (memmem(sector, boot_code_size, "GRUB", 4))
		d->now.loader = "grub";
	else if (memcmp(sector + 3, "SYSLINUX", 8) == 0 || memcmp(sector + 3, "EXTLINUX", 8) == 0)
		d->now.loader = "extlinux";
	else if (d->table != TABLE_NONE)
		d->boot_code = format_code(sector, boot_code_size);
	return 0;
}

/* The node whose first sector firmware or a loader before it may start, of a disk, an array with a table or a disk's
   partition. The caller frees; NULL: none of these, or nothing that can be read. */
static char *find_started(const struct device *d)
{
	switch (d->kind) {
	case DEVICE_DISK:
		return d->now.broken ? NULL : xstrdup(d->identity.path);
	case DEVICE_RAID:
		return d->table == TABLE_NONE ? NULL : device_node(d);
	case DEVICE_PARTITION:
		if (d->parent->kind != DEVICE_DISK || d->parent->now.broken ||
		    d->content.kind == CONTENT_EXTENDED)
			return NULL;
		return device_node(d);
	default:
		return NULL;
	}
}

int boot_loader_look(struct machine *m, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < m->count && r == 0; i++) {
		_cleanup_(free) char *node = find_started(m->devices[i]);

		if (node)
			r = look_at(m->devices[i], node, e);
	}
	return r;
}

/* Where Syslinux keeps its second stage, on the file system of `d`. The caller frees; NULL: nowhere that is known. */
static char *find_folder(const struct device *d, const char *root)
{
	static const char *const folders[] = { "/boot/extlinux", "/extlinux", "/boot/syslinux",
					       "/syslinux",      "/boot",     "" };
	const char *mountpoint = d->content.mountpoint;

	for (size_t i = 0; mountpoint && *mountpoint == '/' && i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *folder =
			xasprintf("%s%s", streq(mountpoint, "/") ? "" : mountpoint, folders[i]);
		_cleanup_(free) char *file = xasprintf("%s%s/ldlinux.sys", root, folder);

		if (access(file, F_OK) == 0)
			return *folder ? TAKE_PTR(folder) : xstrdup("/");
	}
	return NULL;
}

static bool has_program(const char *root, const char *name)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",        "/sbin",          "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_cleanup_(free) char *path = xasprintf("%s%s/%s", root, folders[i], name);

		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static bool survey_grub(struct machine *m, const char *root)
{
	_cleanup_(free) char *settings = xasprintf("%s/boot/grub/grub.cfg", root);

	if (access(settings, F_OK) < 0)
		return false;
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (d->kind == DEVICE_DISK && d->now.loader && streq(d->now.loader, "grub"))
			strlist_add(&m->boot_disks, d->name);
	}
	if (m->boot_disks.count == 0)
		return false;
	m->boot_loader = xstrdup("grub");
	m->boot_target = xstrdup("i386-pc");
	return true;
}

static bool survey_extlinux(struct machine *m, const char *root, struct report *report)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];
		bool here = d->now.loader && streq(d->now.loader, "extlinux");
		_cleanup_(free) char *folder = here ? find_folder(d, root) : NULL;

		if (!folder)
			continue;
		if (!has_program(root, "extlinux"))
			report_warn(report,
				    "%s is started by Syslinux, but the program extlinux is not there to "
				    "install it again: without it (Debian package extlinux) the recovery "
				    "will end before the boot loader",
				    d->name);
		strlist_add(&m->boot_disks, d->parent ? d->parent->name : d->name);
		m->boot_loader = xstrdup("extlinux");
		m->boot_target = TAKE_PTR(folder);
		return true;
	}
	return false;
}

void boot_loader_survey(struct machine *m, const char *root, struct report *report)
{
	if (!survey_grub(m, root) && !survey_extlinux(m, root, report))
		report_warn(report,
			    "no boot loader was recognised: the recovered disk will not boot by itself");
}

/* ---- installing it ---- */

void boot_loader_command(const char *loader, const char *target, const char *node, struct strlist *ret)
{
	if (streq(loader, "extlinux")) {
		strlist_add_words(ret, "extlinux --install");
		strlist_add(ret, target);
		return;
	}
	strlist_add(ret, "grub-install");
	strlist_addf(ret, "--target=%s", target);
	strlist_add(ret, node);
}

char *boot_loader_words(const char *loader, const char *target, const char *node)
{
	return streq(loader, "extlinux") ? xasprintf("extlinux in %s of %s", target, node)
					 : xasprintf("GRUB (%s) on %s", target, node);
}
