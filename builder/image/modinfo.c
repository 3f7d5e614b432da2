#include "image/modinfo.h"

#include "base/fs.h"
#include "image/decompress.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>

enum { max_module = 1 << 30, magic_len = 8 };

void modinfo_free(struct modinfo *info)
{
	free(info->vermagic);
	strlist_free(&info->wanted);
	strlist_free(&info->firmware);
	*info = (struct modinfo) { 0 };
}

void modinfo_prepare(void)
{
	(void)elf_version(EV_CURRENT); /* fails only for a libelf older than its header */
}

/* "pre: a b post: c" */
static void add_wanted(struct modinfo *info, const char *text)
{
	_cleanup_(strlist) struct strlist words = { 0 };

	strlist_add_words(&words, text);
	for (size_t i = 0; i < words.count; i++)
		if (!str_ends(words.items[i], ":"))
			strlist_add(&info->wanted, words.items[i]);
}

void modinfo_add(struct modinfo *info, const char *key_value)
{
	const char *value;

	if ((value = str_after(key_value, "firmware=")))
		strlist_add(&info->firmware, value);
	else if ((value = str_after(key_value, "softdep=")) || (value = str_after(key_value, "weakdep=")))
		add_wanted(info, value);
	else if ((value = str_after(key_value, "vermagic=")) && !info->vermagic)
		info->vermagic = xstrdup(value);
}

/* --- the ELF file --- */

static void cleanup_elf(Elf **elf)
{
	if (*elf)
		(void)elf_end(*elf); /* it returns a count of references */
}

static int broken(const char *path, const char *why, struct error *e)
{
	return error_text(e, EBADMSG, "read module %s: %s", path, why);
}

/* A file that was cut short lacks what its headers speak of; the table of sections comes last. */
static int check_extent(const char *path, uint64_t size, uint64_t at, uint64_t len, struct error *e)
{
	uint64_t end;

	if (__builtin_add_overflow(at, len, &end))
		return broken(path, "a size is out of range", e);
	if (end <= size)
		return 0;
	return error_text(e, ENODATA, "read module %s: truncated: it has %llu of at least %llu bytes", path,
			  (unsigned long long)size, (unsigned long long)end);
}

static int find_section(const char *path, Elf *elf, uint64_t size, Elf_Scn **ret, struct error *e)
{
	GElf_Ehdr header;
	GElf_Shdr section;
	size_t names;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return broken(path, "not an ELF file", e);
	int r = check_extent(path, size, header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, e);

	if (r < 0)
		return r;
	if (elf_getshdrstrndx(elf, &names) < 0)
		return broken(path, elf_errmsg(-1), e);
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		const char *name =
			gelf_getshdr(scn, &section) ? elf_strptr(elf, names, section.sh_name) : NULL;

		if (!name || !streq(name, ".modinfo"))
			continue;
		*ret = scn;
		return check_extent(path, size, section.sh_offset, section.sh_size, e);
	}
	return broken(path, "not a kernel module: it has no section .modinfo", e);
}

static int read_elf(const char *path, Elf *elf, struct modinfo *info, struct error *e)
{
	Elf_Scn *scn;
	int r = find_section(path, elf, info->size, &scn, e);

	if (r < 0)
		return r;
	const Elf_Data *data = elf_rawdata(scn, NULL);

	if (!data || (data->d_size && !data->d_buf))
		return broken(path, elf_errmsg(-1), e);
	if (!data->d_size)
		return 0;
	/* Texts with their NULs, and more of these between them. */
	for (const char *p = data->d_buf, *end = p + data->d_size; p < end;) {
		size_t len = strnlen(p, (size_t)(end - p));
		_cleanup_(free) char *key_value = xstrndup(p, len);

		modinfo_add(info, key_value);
		p += len + 1;
	}
	return 0;
}

/* All of it into memory, and out of there. */
static int read_packed(const char *path, struct spool *spool, struct modinfo *info, struct error *e)
{
	_cleanup_(free) char *packed = NULL;
	_cleanup_(strbuf) struct strbuf unpacked = { 0 };
	size_t len;
	int r = read_file_at(AT_FDCWD, path, max_module, &packed, &len, e);

	if (r == 0)
		r = decompress_whole(packed, len, path, max_module, &unpacked, e);
	if (r < 0)
		return r;
	info->size = unpacked.len;
	__attribute__((cleanup(cleanup_elf))) Elf *elf = elf_memory(unpacked.data, unpacked.len);

	r = read_elf(path, elf, info, e);
	/* Without it the file is unpacked once more. */
	info->spooled =
		r == 0 && spool && spool_add(spool, unpacked.data, unpacked.len, &info->spool_at) == 0;
	return r;
}

int modinfo_read(const char *path, struct spool *spool, struct modinfo *ret, struct error *e)
{
	_cleanup_(modinfo) struct modinfo info = { 0 };
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char magic[magic_len];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, errno, "read module %s", path);
	ssize_t n = pread_full(fd, magic, sizeof(magic), 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read module %s", path);
	info.size = (uint64_t)st.st_size;
	int r;

	info.packed = decompress_format(magic, (size_t)n);
	if (info.packed) {
		r = read_packed(path, spool, &info, e);
	} else {
		/* It will be packed soon: the disk can go on while we look into it. */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
		__attribute__((cleanup(cleanup_elf))) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);

		r = read_elf(path, elf, &info, e);
	}
	if (r < 0)
		return r;
	*ret = info;
	info = (struct modinfo) { 0 };
	return 0;
}
