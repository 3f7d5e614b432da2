#include "image/elf.h"

#include "base/fs.h"

#include <errno.h>
#include <gelf.h>
#include <sys/stat.h>

static void cleanup_elf(Elf **elf)
{
	if (*elf)
		(void)elf_end(*elf); /* it returns a count of references */
}

void elf_info_free(struct elf_info *info)
{
	free(info->interpreter);
	free(info->soname);
	free(info->rpath);
	free(info->runpath);
	strlist_free(&info->needed);
	*info = (struct elf_info) { 0 };
}

/* One file while it is read. */
struct reader {
	Elf *elf;
	GElf_Ehdr header;
	size_t segments;
	uint64_t file_size;
	const char *shown;
	struct error *e;
};

static int broken(const struct reader *r, const char *what)
{
	return error_text(r->e, EBADMSG, "read %s: broken ELF file: %s", r->shown, what);
}

static int truncated(const struct reader *r, uint64_t end)
{
	return error_text(r->e, ENODATA, "read %s: truncated ELF file: it has %llu of at least %llu bytes",
			  r->shown, (unsigned long long)r->file_size, (unsigned long long)end);
}

/* Everything that the headers speak of must be in the file. */
static int check_extent(const struct reader *r, uint64_t offset, uint64_t size)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, size, &end))
		return broken(r, "a size is out of range");
	return end > r->file_size ? truncated(r, end) : 0;
}

static int check_segments(const struct reader *r)
{
	GElf_Phdr segment;
	int result = check_extent(r, r->header.e_phoff, (uint64_t)r->header.e_phnum * r->header.e_phentsize);

	if (result == 0 && r->header.e_shoff)
		result = check_extent(r, r->header.e_shoff,
				      (uint64_t)r->header.e_shnum * r->header.e_shentsize);
	for (size_t i = 0; result == 0 && i < r->segments; i++) {
		if (!gelf_getphdr(r->elf, (int)i, &segment))
			return broken(r, elf_errmsg(-1));
		result = check_extent(r, segment.p_offset, segment.p_filesz);
	}
	return result;
}

/* The file offset of an address, by the loadable segments; and how much of the file follows it in
 * its segment. */
static int find_address(const struct reader *r, uint64_t address, uint64_t *ret_offset, uint64_t *ret_left)
{
	GElf_Phdr s;

	for (size_t i = 0; i < r->segments; i++) {
		if (!gelf_getphdr(r->elf, (int)i, &s) || s.p_type != PT_LOAD)
			continue;
		if (address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz) {
			*ret_offset = s.p_offset + (address - s.p_vaddr);
			*ret_left = s.p_filesz - (address - s.p_vaddr);
			return 0;
		}
	}
	return broken(r, "an address is in no segment");
}

static int read_interpreter(const struct reader *r, const GElf_Phdr *segment, struct elf_info *info)
{
	const Elf_Data *d =
		elf_getdata_rawchunk(r->elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_BYTE);

	if (!d || d->d_size < 2 || !memchr(d->d_buf, '\0', d->d_size))
		return broken(r, "the interpreter's name has no end");
	info->interpreter = xstrdup(d->d_buf);
	return 0;
}

/* The dynamic section's string table. */
struct strings {
	const char *data;
	size_t size;
};

static const char *get_string(const struct strings *s, uint64_t at)
{
	return at < s->size && memchr(s->data + at, '\0', s->size - at) ? s->data + at : NULL;
}

static int find_strings(const struct reader *r, Elf_Data *dynamic, size_t count, struct strings *ret)
{
	uint64_t address = 0, size = 0, offset = 0, left = 0;
	GElf_Dyn dyn;

	for (size_t i = 0; i < count && gelf_getdyn(dynamic, (int)i, &dyn); i++) {
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_STRTAB)
			address = dyn.d_un.d_ptr;
		if (dyn.d_tag == DT_STRSZ)
			size = dyn.d_un.d_val;
	}
	if (!address || !size)
		return broken(r, "no string table");
	int result = find_address(r, address, &offset, &left);

	if (result < 0)
		return result;
	if (size > left)
		return broken(r, "the string table is cut");
	const Elf_Data *d = elf_getdata_rawchunk(r->elf, (int64_t)offset, size, ELF_T_BYTE);

	if (!d)
		return broken(r, elf_errmsg(-1));
	*ret = (struct strings) { d->d_buf, d->d_size };
	return 0;
}

static int take_dynamic(const struct reader *r, const GElf_Dyn *dyn, const struct strings *strings,
			struct elf_info *info)
{
	char **single = dyn->d_tag == DT_SONAME    ? &info->soname
			: dyn->d_tag == DT_RPATH   ? &info->rpath
			: dyn->d_tag == DT_RUNPATH ? &info->runpath
						   : NULL;

	if (dyn->d_tag != DT_NEEDED && !single)
		return 0;
	const char *text = get_string(strings, dyn->d_un.d_val);

	if (!text)
		return broken(r, "a name lies outside of the string table");
	if (!single) {
		strlist_add(&info->needed, text);
	} else {
		free(*single);
		*single = xstrdup(text);
	}
	return 0;
}

static int read_dynamic(const struct reader *r, const GElf_Phdr *segment, struct elf_info *info)
{
	Elf_Data *dynamic =
		elf_getdata_rawchunk(r->elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_DYN);
	struct strings strings = { 0 };
	GElf_Dyn dyn;

	if (!dynamic)
		return broken(r, elf_errmsg(-1));
	size_t count = segment->p_filesz / gelf_fsize(r->elf, ELF_T_DYN, 1, EV_CURRENT);
	int result = find_strings(r, dynamic, count, &strings);

	for (size_t i = 0; result == 0 && i < count && gelf_getdyn(dynamic, (int)i, &dyn); i++) {
		if (dyn.d_tag == DT_NULL)
			break;
		result = take_dynamic(r, &dyn, &strings, info);
	}
	return result;
}

static int read_segments(const struct reader *r, struct elf_info *info)
{
	GElf_Phdr segment;
	int result = check_segments(r);

	for (size_t i = 0; result == 0 && i < r->segments; i++) {
		if (!gelf_getphdr(r->elf, (int)i, &segment))
			return broken(r, elf_errmsg(-1));
		if (segment.p_type == PT_INTERP)
			result = read_interpreter(r, &segment, info);
		else if (segment.p_type == PT_DYNAMIC && segment.p_filesz)
			result = read_dynamic(r, &segment, info);
	}
	return result;
}

int elf_read(int fd, const char *shown, struct elf_info *ret, struct error *e)
{
	char magic[SELFMAG];
	struct stat st;
	ssize_t n = pread_full(fd, magic, sizeof(magic), 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", shown);
	if (n < SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "read %s", shown);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return error_text(e, ENOTSUP, "read %s: libelf is too old", shown);
	struct reader r = { .shown = shown, .e = e, .file_size = (uint64_t)st.st_size };
	/* Not mapped: a file that shrinks while we read it must be an error, not a signal. */
	_cleanup_(elf) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	_cleanup_(elf_info) struct elf_info info = { 0 };

	r.elf = elf;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &r.header) ||
	    elf_getphdrnum(elf, &r.segments) < 0)
		return r.file_size < sizeof(Elf64_Ehdr) ? truncated(&r, sizeof(Elf64_Ehdr))
							: broken(&r, elf_errmsg(-1));
	info.class = gelf_getclass(elf);
	info.machine = r.header.e_machine;
	int result = read_segments(&r, &info);

	if (result < 0)
		return result;
	*ret = info;
	info = (struct elf_info) { 0 };
	return 1;
}
