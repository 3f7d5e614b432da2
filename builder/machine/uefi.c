#include "machine/uefi.h"

#include "base/fs.h"
#include "base/proc.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#define GLOBAL_VARIABLE "8be4df61-93ca-11d2-aa0d-00e098032b8c"
enum {
	max_variable = 1 << 16,
	attributes_size = 4, /* the kernel puts a variable's attributes before its bytes */
	max_loader = 64 << 20,
};

void uefi_entry_free(struct uefi_entry *u)
{
	free(u->label);
	free(u->part_uuid);
	free(u->path);
	*u = (struct uefi_entry) { 0 };
}

void uefi_entries_free(struct uefi_entries *u)
{
	for (size_t i = 0; i < u->count; i++)
		uefi_entry_free(&u->list[i]);
	free(u->list);
	*u = (struct uefi_entries) { 0 };
}

/* ---- load options ---- */

static uint16_t get16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void put_utf8(struct strbuf *b, uint32_t c)
{
	const char bytes[] = { (char)(c < 0x80      ? c
				      : c < 0x800   ? 0xc0 | c >> 6
				      : c < 0x10000 ? 0xe0 | c >> 12
						    : 0xf0 | c >> 18),
			       (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
			       (char)(0x80 | (c & 0x3f)) };
	size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

	strbuf_add(b, bytes, 1);
	strbuf_add(b, bytes + 4 - more, more);
}

/* UTF-16 up to its NUL or the end. Returns the bytes that it took, with the NUL. */
static size_t take_text(struct strbuf *b, const unsigned char *p, size_t len)
{
	size_t at = 0;

	while (at + 2 <= len) {
		uint32_t c = get16(p + at);

		at += 2;
		if (c == 0)
			break;
		if (c >= 0xd800 && c < 0xdc00 && at + 2 <= len) {
			c = 0x10000 + ((c & 0x3ff) << 10) + (get16(p + at) & 0x3ffU);
			at += 2;
		}
		put_utf8(b, c);
	}
	return at;
}

/* The first three fields of a GUID are little-endian numbers. */
static char *guid_text(const unsigned char *g)
{
	return xasprintf("%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", g[3], g[2],
			 g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14],
			 g[15]);
}

/* The nodes of a device path: the partition and the file on it. */
static void parse_path(const unsigned char *p, size_t len, struct uefi_entry *u)
{
	enum { media = 4, hard_drive = 1, file = 4, guid_signature = 2 };
	_cleanup_(strbuf) struct strbuf path = { 0 };

	while (len >= 4) {
		size_t size = get16(p + 2);

		if (size < 4 || size > len)
			break;
		if (p[0] == media && p[1] == hard_drive && size >= 42 && p[41] == guid_signature &&
		    !u->part_uuid)
			u->part_uuid = guid_text(p + 24);
		else if (p[0] == media && p[1] == file)
			(void)take_text(&path, p + 4, size - 4); /* the node ends by its length */
		p += size;
		len -= size;
	}
	for (size_t i = 0; i < path.len; i++)
		if (path.data[i] == '\\')
			path.data[i] = '/';
	if (path.len && path.data[0] == '/')
		u->path = TAKE_PTR(path.data);
}

int uefi_parse_option(const void *data, size_t len, struct uefi_entry *ret)
{
	const unsigned char *p = data;
	_cleanup_(uefi_entry) struct uefi_entry u = { 0 };
	_cleanup_(strbuf) struct strbuf label = { 0 };

	if (len < 6)
		return 0;
	size_t path_len = get16(p + 4), at;

	strbuf_puts(&label, "");
	at = 6 + take_text(&label, p + 6, len - 6);
	if (path_len > len - at)
		return 0;
	u.label = TAKE_PTR(label.data);
	parse_path(p + at, path_len, &u);
	if (!u.part_uuid || !u.path)
		return 0;
	*ret = u;
	u = (struct uefi_entry) { 0 };
	return 1;
}

/* ---- variables ---- */

static int read_variable(const char *folder, const char *name, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s-" GLOBAL_VARIABLE, folder, name);

	return read_file_at(AT_FDCWD, path, max_variable, ret, ret_len, e);
}

static int read_option(const char *folder, unsigned number, struct uefi_entry *ret, struct error *e)
{
	_cleanup_(free) char *name = xasprintf("Boot%04X", number);
	_cleanup_(free) char *data = NULL;
	size_t len;
	int r = read_variable(folder, name, &data, &len, e);

	if (r == -ENOENT)
		return 0; /* firmware skips what is in the order and nowhere else */
	if (r < 0)
		return r;
	return len < attributes_size ? 0
				     : uefi_parse_option(data + attributes_size, len - attributes_size, ret);
}

int uefi_read_entries(const char *folder, struct uefi_entries *ret, struct error *e)
{
	_cleanup_(uefi_entries) struct uefi_entries u = { 0 };
	_cleanup_(free) char *order = NULL;
	size_t len;
	int r = read_variable(folder, "BootOrder", &order, &len, e);

	if (r == -ENOENT)
		return 0; /* none was ever set */
	if (r < 0)
		return r;
	for (size_t at = attributes_size; at + 2 <= len; at += 2) {
		struct uefi_entry one = { 0 };

		r = read_option(folder, get16((const unsigned char *)order + at), &one, e);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		u.list = xrealloc(u.list, (u.count + 1) * sizeof(*u.list));
		u.list[u.count++] = one;
	}
	*ret = u;
	u = (struct uefi_entries) { 0 };
	return 0;
}

int uefi_survey(struct machine *m, const char *folder, struct error *e)
{
	_cleanup_(uefi_entries) struct uefi_entries u = { 0 };
	int r = uefi_read_entries(folder, &u, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < u.count; i++)
		for (size_t k = 0; k < m->count; k++) {
			struct device *d = m->devices[k];

			if (d->kind == DEVICE_PARTITION && d->part_uuid &&
			    strcasecmp(d->part_uuid, u.list[i].part_uuid) == 0)
				machine_add_boot_entry(m, u.list[i].label, d, u.list[i].path);
		}
	return 0;
}

/* ---- the fallback path ---- */

const char *uefi_fallback_path(const char *arch)
{
	static const struct {
		const char *arch, *path;
	} paths[] = { { "x86_64", "/EFI/BOOT/BOOTX64.EFI" },
		      { "i686", "/EFI/BOOT/BOOTIA32.EFI" },
		      { "aarch64", "/EFI/BOOT/BOOTAA64.EFI" } };

	for (size_t i = 0; arch && i < sizeof(paths) / sizeof(*paths); i++)
		if (streq(paths[i].arch, arch))
			return paths[i].path;
	return NULL;
}

/* "/EFI/x.efi" below the folder; what is there already stays. */
static int copy_file(int fd, const char *from, const char *to, struct error *e)
{
	_cleanup_(free) char *data = NULL;
	size_t len;

	if (faccessat(fd, to + 1, F_OK, 0) == 0)
		return 0;
	int r = read_file_at(fd, from + 1, max_loader, &data, &len, e);

	if (r == 0)
		r = mkdir_parents_at(fd, "EFI/BOOT", 0755, e);
	return r < 0 ? r : write_file_at(fd, to + 1, 0755, data, len, e);
}

int uefi_make_fallback(const char *folder, const char *arch, const char *path, struct error *e)
{
	static const char *const started[] = { "grubx64.efi", "grubaa64.efi", "grubia32.efi", "mmx64.efi" };
	const char *fallback = uefi_fallback_path(arch), *slash = strrchr(path, '/');
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return error_errno(e, errno, "open %s", folder);
	if (!fallback || faccessat(fd, fallback + 1, F_OK, 0) == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(started) / sizeof(*started); i++) {
		_cleanup_(free) char *from = xasprintf("%.*s/%s", (int)(slash - path), path, started[i]);
		_cleanup_(free) char *to = xasprintf("/EFI/BOOT/%s", started[i]);

		if (strncasecmp(slash + 1, "shim", 4) == 0 && faccessat(fd, from + 1, F_OK, 0) == 0)
			r = copy_file(fd, from, to, e);
	}
	/* Last: it is what makes the rest count. */
	if (r == 0)
		r = copy_file(fd, path, fallback, e);
	if (r < 0)
		error_prefix(e, "%s", folder);
	return r;
}

/* ---- making an entry ---- */

static bool is_same(const struct uefi_entry *u, const struct boot_entry *entry)
{
	return entry->partition->part_uuid && strcasecmp(u->part_uuid, entry->partition->part_uuid) == 0 &&
	       strcasecmp(u->path, entry->path) == 0 && streq(u->label, entry->label);
}

int uefi_make_entry(const char *folder, const struct boot_entry *entry, const char *disk, struct error *e)
{
	_cleanup_(uefi_entries) struct uefi_entries u = { 0 };
	_cleanup_(free) char *number = xasprintf("%u", entry->partition->number);
	_cleanup_(free) char *loader = xstrdup(entry->path);
	int r = uefi_read_entries(folder, &u, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < u.count; i++)
		if (is_same(&u.list[i], entry))
			return 1;
	for (char *p = loader; *p; p++)
		if (*p == '/')
			*p = '\\';
	const char *const argv[] = { "efibootmgr", "--quiet", "--create",   "--disk",   disk,   "--part",
				     number,       "--label", entry->label, "--loader", loader, NULL };

	return proc_run(argv, NULL, e);
}
