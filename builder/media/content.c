#include "media/content.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Boot loader files as Debian installs them. */
static const struct {
	unsigned reader;
	const char *name, *source, *package;
} loaders[] = {
	{ CONTENT_UEFI, "EFI/BOOT/BOOTX64.EFI", "/usr/lib/SYSLINUX.EFI/efi64/syslinux.efi", "syslinux-efi" },
	{ CONTENT_UEFI, "EFI/BOOT/ldlinux.e64", "/usr/lib/syslinux/modules/efi64/ldlinux.e64",
	  "syslinux-common" },
	/* on a stick, ldlinux.sys and ldlinux.c32 are placed by syslinux itself */
	{ CONTENT_ISOLINUX, "isolinux/isolinux.bin", "/usr/lib/ISOLINUX/isolinux.bin", "isolinux" },
	{ CONTENT_ISOLINUX, "isolinux/ldlinux.c32", "/usr/lib/syslinux/modules/bios/ldlinux.c32",
	  "syslinux-common" },
};

static const struct {
	unsigned reader;
	const char *name;
	char *(*make)(const struct medium_request *request, enum media_firmware firmware);
	enum media_firmware firmware;
} texts[] = {
	{ CONTENT_UEFI, "EFI/BOOT/syslinux.cfg", media_syslinux_conf, MEDIA_UEFI },
	{ CONTENT_UEFI, "EFI/BOOT/boot.msg", media_boot_message, MEDIA_UEFI },
	{ CONTENT_BIOS, "syslinux.cfg", media_syslinux_conf, MEDIA_BIOS },
	{ CONTENT_BIOS, "boot.msg", media_boot_message, MEDIA_BIOS },
	{ CONTENT_ISOLINUX, "isolinux/isolinux.cfg", media_syslinux_conf, MEDIA_BIOS },
	{ CONTENT_ISOLINUX, "isolinux/boot.msg", media_boot_message, MEDIA_BIOS },
};

static void take(struct content *c, const char *name, unsigned reader, int fd, uint64_t size)
{
	c->files = xgrow(c->files, c->count + 1, &c->capacity, sizeof(*c->files));
	c->files[c->count++] =
		(struct content_file) { .name = xstrdup(name), .reader = reader, .fd = fd, .size = size };
}

static int add_file(struct content *c, const char *name, unsigned reader, const char *source,
		    const char *from, struct error *e)
{
	_cleanup_(fd) int fd = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return error_text(e, errno, "open %s: %s (it comes from %s)", source, strerror(errno), from);
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", source);
	if (!S_ISREG(st.st_mode))
		return error_text(e, EINVAL, "open %s: not a regular file", source);
	if (st.st_size == 0)
		return error_text(e, EINVAL, "open %s: it is empty", source);
	take(c, name, reader, TAKE_FD(fd), (uint64_t)st.st_size);
	return 0;
}

static int add_text(struct content *c, const char *name, unsigned reader, const char *text, struct error *e)
{
	_cleanup_(fd) int fd = memfd_create(name, MFD_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return error_errno(e, errno, "make %s", name);
	int r = pwrite_all(fd, text, len, 0);

	if (r < 0)
		return error_errno(e, -r, "make %s", name);
	take(c, name, reader, TAKE_FD(fd), len);
	return 0;
}

static int find_epoch(struct content *c, struct error *e)
{
	const uint64_t dos_begin = 315532800; /* 1980-01-01, the first day that FAT can name */
	const char *given = getenv("SOURCE_DATE_EPOCH");
	struct stat st;

	if (given && *given) {
		if (parse_u64(given, &c->epoch) < 0)
			return error_text(e, EINVAL, "SOURCE_DATE_EPOCH=%s: expected seconds since 1970",
					  given);
	} else {
		if (fstat(content_find(c, "initrd.img")->fd, &st) < 0)
			return error_errno(e, errno, "read the time of initrd.img");
		c->epoch = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
	}
	if (c->epoch < dos_begin)
		c->epoch = dos_begin;
	return 0;
}

static int find_id(struct content *c, struct error *e)
{
	_cleanup_(digest) struct digest *all = digest_new();
	char one[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < c->count; i++) {
		uint64_t len;

		if (lseek(c->files[i].fd, 0, SEEK_SET) < 0)
			return error_errno(e, errno, "read %s", c->files[i].name);
		int r = digest_fd(c->files[i].fd, c->files[i].name, one, &len, e);

		if (r < 0)
			return r;
		if (len != c->files[i].size)
			return error_text(e, EIO, "read %s: it changed while it was read", c->files[i].name);
		digest_add(all, c->files[i].name, strlen(c->files[i].name) + 1);
		digest_add(all, one, sizeof(one));
	}
	digest_hex(all, c->id);
	return 0;
}

int content_collect(const struct medium_request *request, unsigned readers, struct content *ret,
		    struct error *e)
{
	static const char *const data[] = { "vmlinuz", "initrd.img" };
	_cleanup_(content) struct content c = CONTENT_NONE;
	int r;

	for (size_t i = 0; i < sizeof(data) / sizeof(*data); i++) {
		_cleanup_(free) char *source = xasprintf("%s/%s", request->image_dir, data[i]);

		r = add_file(&c, data[i], CONTENT_DATA, source, "'lifeboat build'", e);
		if (r < 0)
			return r;
	}
	r = find_epoch(&c, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *readme = media_readme(request, c.epoch);

	r = add_text(&c, "README.TXT", CONTENT_DATA, readme, e);
	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(*texts); i++) {
		if (!(readers & texts[i].reader))
			continue;
		_cleanup_(free) char *text = texts[i].make(request, texts[i].firmware);

		r = add_text(&c, texts[i].name, texts[i].reader, text, e);
	}
	for (size_t i = 0; r == 0 && i < sizeof(loaders) / sizeof(*loaders); i++) {
		_cleanup_(free) char *from = xasprintf("package %s", loaders[i].package);

		if (readers & loaders[i].reader)
			r = add_file(&c, loaders[i].name, loaders[i].reader, loaders[i].source, from, e);
	}
	if (r == 0)
		r = find_id(&c, e);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct content)CONTENT_NONE;
	return 0;
}

const struct content_file *content_find(const struct content *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (streq(c->files[i].name, name))
			return &c->files[i];
	return NULL;
}

void content_free(struct content *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->files[i].name);
		(void)close(c->files[i].fd); /* read side */
	}
	free(c->files);
	*c = (struct content)CONTENT_NONE;
}

uint32_t content_serial(const struct content *c)
{
	char digits[9] = "";

	memcpy(digits, c->id, 8);
	uint32_t serial = (uint32_t)strtoul(digits, NULL, 16);

	return serial ? serial : 1;
}
