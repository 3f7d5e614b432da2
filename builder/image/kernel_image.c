#include "image/kernel_image.h"

#include "base/fs.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Offsets of the header's fields; all numbers are little endian. */
enum {
	setup_sectors_at = 0x1f1, /* u8: real-mode code behind the first sector; 0 stands for 4 */
	size_at = 0x1f4, /* u32: protected-mode code, in units of 16 bytes */
	magic_at = 0x202, /* "HdrS" */
	protocol_at = 0x206, /* u16 */
	version_at = 0x20e, /* u16: where the version string is, less 0x200 */
	payload_at = 0x248, /* u32: from the start of the protected-mode code */
	payload_len_at = 0x24c, /* u32: bytes */
	header_end = 0x250,
	version_max = 256,
	sector = 512,
	paragraph = 16,
	protocol_with_payload = 0x208,
};

struct image {
	int fd;
	const char *path; /* caller's */
	unsigned char header[header_end];
	uint64_t size; /* of the file */
};

static void image_close(struct image *i)
{
	cleanup_fd(&i->fd);
}
DEFINE_CLEANUP(image, struct image, image_close)

static uint32_t u16_at(const struct image *i, size_t at)
{
	return i->header[at] | (uint32_t)i->header[at + 1] << 8;
}

static uint32_t u32_at(const struct image *i, size_t at)
{
	return u16_at(i, at) | u16_at(i, at + 2) << 16;
}

/* Where the protected-mode code begins. */
static uint64_t code_at(const struct image *i)
{
	unsigned sectors = i->header[setup_sectors_at];

	return (uint64_t)((sectors ? sectors : 4) + 1) * sector;
}

static int image_open(const char *path, struct image *ret, struct error *e)
{
	_cleanup_(image) struct image i = { .path = path };
	struct stat st;

	i.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (i.fd < 0 || fstat(i.fd, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	ssize_t n = pread_full(i.fd, i.header, header_end, 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", path);
	if (n < header_end || memcmp(i.header + magic_at, "HdrS", 4) != 0)
		return error_text(e, ENOEXEC, "read %s: not an x86 kernel (bzImage)", path);
	uint64_t least = code_at(&i) + (uint64_t)u32_at(&i, size_at) * paragraph;

	i.size = (uint64_t)st.st_size;
	if (i.size < least)
		return error_text(e, ENODATA, "read %s: truncated kernel: it has %llu of at least %llu bytes",
				  path, (unsigned long long)i.size, (unsigned long long)least);
	*ret = i;
	i.fd = -1;
	return 0;
}

/* --- a kernel that is an ELF file --- */

/* Maps the file if it is one. `*ret` is NULL when it is not; the caller unmaps. */
static int map_elf(const char *path, void **ret, size_t *ret_len, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char magic[SELFMAG] = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "open %s", path);
	*ret = NULL;
	if (pread_full(fd, magic, SELFMAG, 0) < SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return 0;
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED)
		return error_errno(e, errno, "read %s", path);
	*ret = data;
	*ret_len = (size_t)st.st_size;
	return 0;
}

/* Its banner (Linux: init/version-timestamp.c) has the version. */
static char *banner_version(const char *data, size_t len)
{
	static const char banner[] = "Linux version ";
	const char *end = data + len, *at = data;

	while ((at = memmem(at, (size_t)(end - at), banner, sizeof(banner) - 1))) {
		size_t n = 0;

		at += sizeof(banner) - 1;
		while (at + n < end && n < version_max && isgraph((unsigned char)at[n]) && at[n] != '/' &&
		       at[n] != '%')
			n++;
		if (n && isdigit((unsigned char)at[0]) && at + n < end && at[n] == ' ')
			return xstrndup(at, n);
	}
	return NULL;
}

static int elf_version(const char *path, char **ret, struct error *e)
{
	void *data;
	size_t len;
	int r = map_elf(path, &data, &len, e);

	if (r < 0 || !data)
		return r;
	char *version = banner_version(data, len);

	(void)munmap(data, len); /* was mapped */
	if (!version)
		return error_text(e, ENOEXEC, "read %s: an ELF file without a kernel's version", path);
	*ret = version;
	return 1;
}

static int elf_pass(const char *path, decompress_out *out, void *user, struct error *e)
{
	void *data;
	size_t len;
	int r = map_elf(path, &data, &len, e);

	if (r < 0 || !data)
		return r < 0 ? r : -ENOEXEC;
	r = out(user, data, len);
	(void)munmap(data, len); /* was mapped */
	return r;
}

/* --- either --- */

int kernel_image_version(const char *path, char **ret, struct error *e)
{
	_cleanup_(image) struct image i = { .fd = -1 };
	char text[version_max + 1] = { 0 };
	int r = elf_version(path, ret, e);

	if (r == 0)
		r = image_open(path, &i, e);
	if (r != 0)
		return r < 0 ? r : 0;
	uint32_t at = u16_at(&i, version_at);
	ssize_t n = at ? pread_full(i.fd, text, version_max, (off_t)at + 0x200) : 0;

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", path);
	size_t len = strcspn(text, " ");

	for (size_t c = 0; c < len; c++)
		if (!isgraph((unsigned char)text[c]) || text[c] == '/')
			len = 0;
	if (!len || text[len] != ' ')
		return error_text(e, ENOEXEC, "read %s: no version in the kernel's header", path);
	*ret = xstrndup(text, len);
	return 0;
}

int kernel_image_unpack(const char *path, decompress_out *out, void *user, struct error *e)
{
	_cleanup_(image) struct image i = { .fd = -1 };
	int r = elf_pass(path, out, user, e);

	if (r != -ENOEXEC)
		return r;
	r = image_open(path, &i, e);
	if (r < 0)
		return r;
	uint64_t at = code_at(&i) + u32_at(&i, payload_at), len = u32_at(&i, payload_len_at);

	if (u16_at(&i, protocol_at) < protocol_with_payload || len == 0)
		return error_text(e, ENOTSUP, "unpack %s: its header does not say where the kernel is", path);
	if (at > i.size || len > i.size - at)
		return error_text(e, EBADMSG, "unpack %s: its header points behind its end", path);
	_cleanup_(free) unsigned char *payload = xmalloc(len);
	ssize_t n = pread_full(i.fd, payload, len, (off_t)at);

	if (n < 0 || (uint64_t)n < len)
		return error_errno(e, n < 0 ? (int)-n : ENODATA, "read %s", path);
	return decompress(payload, len, path, out, user, e);
}
