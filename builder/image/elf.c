#include "image/elf.h"

#include "base/fs.h"

#include <errno.h>
#include <gelf.h>
#include <sys/stat.h>

/* Far above what real files have; nobody gets more memory than that from us. */
enum { max_dynamic = 1 << 18, max_notes = 1 << 20, max_text = 1 << 16, first_read = 256 };

/* systemd's "dlopen() Metadata for ELF Files", uapi-group.org: a note of this owner and type. */
#define DLOPEN_NOTE_OWNER "FDO"
enum { dlopen_note_type = 0x407c0c0a };

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
	strlist_free(&info->auxiliary);
	strlist_free(&info->dlopen_notes);
	*info = (struct elf_info) { 0 };
}

/* One file while it is read. */
struct reader {
	int fd;
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

/* The text at `offset`, which ends within `limit` bytes. Only as much as is needed is read: tables of
 * strings may be large, or say that they are. */
static int read_text(const struct reader *r, uint64_t offset, uint64_t limit, const char *what, char **ret)
{
	char buf[first_read];
	size_t size = limit < sizeof(buf) ? limit : sizeof(buf);
	ssize_t n = pread_full(r->fd, buf, size, (off_t)offset);

	if (n < 0)
		return error_errno(r->e, (int)-n, "read %s", r->shown);
	if (memchr(buf, '\0', (size_t)n)) {
		*ret = xstrdup(buf);
		return 0;
	}
	size = limit < max_text ? limit : max_text;
	_cleanup_(free) char *longer = xmalloc(size);

	n = pread_full(r->fd, longer, size, (off_t)offset);
	if (n < 0)
		return error_errno(r->e, (int)-n, "read %s", r->shown);
	if (!memchr(longer, '\0', (size_t)n))
		return broken(r, what);
	*ret = TAKE_PTR(longer);
	return 0;
}

static int read_interpreter(const struct reader *r, const GElf_Phdr *segment, struct elf_info *info)
{
	free(TAKE_PTR(info->interpreter)); /* a file with two of them has the last one */
	int result = read_text(r, segment->p_offset, segment->p_filesz, "the interpreter's name has no end",
			       &info->interpreter);

	if (result == 0 && !*info->interpreter)
		result = broken(r, "the interpreter has no name");
	return result;
}

/* Where the dynamic section's strings are in the file. */
struct strings {
	uint64_t offset, size;
};

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
	*ret = (struct strings) { offset, size };
	return 0;
}

static int take_dynamic(const struct reader *r, const GElf_Dyn *dyn, const struct strings *strings,
			struct elf_info *info)
{
	char **single = NULL;
	struct strlist *list = NULL;
	_cleanup_(free) char *text = NULL;

	switch (dyn->d_tag) {
	case DT_NEEDED:
	case DT_FILTER:
		list = &info->needed;
		break;
	case DT_AUXILIARY:
		list = &info->auxiliary;
		break;
	case DT_SONAME:
		single = &info->soname;
		break;
	case DT_RPATH:
		single = &info->rpath;
		break;
	case DT_RUNPATH:
		single = &info->runpath;
		break;
	case DT_FLAGS_1:
		info->nodeflib = dyn->d_un.d_val & DF_1_NODEFLIB;
		return 0;
	default:
		return 0;
	}
	if (dyn->d_un.d_val >= strings->size)
		return broken(r, "a name lies outside of the string table");
	int result = read_text(r, strings->offset + dyn->d_un.d_val, strings->size - dyn->d_un.d_val,
			       "a name has no end", &text);

	if (result < 0)
		return result;
	if (list) {
		strlist_take(list, TAKE_PTR(text));
	} else {
		free(*single);
		*single = TAKE_PTR(text);
	}
	return 0;
}

static int read_dynamic(const struct reader *r, const GElf_Phdr *segment, struct elf_info *info)
{
	struct strings strings = { 0 };
	GElf_Dyn dyn;

	if (segment->p_filesz > max_dynamic)
		return broken(r, "its dynamic section is larger than any real one");
	Elf_Data *dynamic =
		elf_getdata_rawchunk(r->elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_DYN);

	if (!dynamic)
		return broken(r, elf_errmsg(-1));
	size_t count = segment->p_filesz / gelf_fsize(r->elf, ELF_T_DYN, 1, EV_CURRENT);
	int result = find_strings(r, dynamic, count, &strings);

	info->dynamic = true;
	for (size_t i = 0; result == 0 && i < count && gelf_getdyn(dynamic, (int)i, &dyn); i++) {
		if (dyn.d_tag == DT_NULL)
			break;
		result = take_dynamic(r, &dyn, &strings, info);
	}
	return result;
}

/* Notes that are no notes end the reading: nothing depends on them. */
static int read_notes(const struct reader *r, const GElf_Phdr *segment, struct elf_info *info)
{
	GElf_Nhdr note;
	size_t name, text;

	if (segment->p_filesz > max_notes)
		return broken(r, "its notes are larger than any real ones");
	Elf_Data *notes = elf_getdata_rawchunk(r->elf, (int64_t)segment->p_offset, segment->p_filesz,
					       segment->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);

	if (!notes)
		return broken(r, elf_errmsg(-1));
	for (size_t at = 0; (at = gelf_getnote(notes, at, &note, &name, &text)) > 0;) {
		const char *data = notes->d_buf;

		if (note.n_type != dlopen_note_type || note.n_namesz != sizeof(DLOPEN_NOTE_OWNER) ||
		    memcmp(data + name, DLOPEN_NOTE_OWNER, sizeof(DLOPEN_NOTE_OWNER)) != 0)
			continue;
		strlist_take(&info->dlopen_notes, xstrndup(data + text, note.n_descsz));
	}
	return 0;
}

static int read_segments(const struct reader *r, struct elf_info *info)
{
	GElf_Phdr segment;
	int result = 0;

	for (size_t i = 0; result == 0 && i < r->segments; i++) {
		if (!gelf_getphdr(r->elf, (int)i, &segment))
			return broken(r, elf_errmsg(-1));
		if (segment.p_type == PT_INTERP)
			result = read_interpreter(r, &segment, info);
		else if (segment.p_type == PT_DYNAMIC && segment.p_filesz)
			result = read_dynamic(r, &segment, info);
		else if (segment.p_type == PT_NOTE && segment.p_filesz)
			result = read_notes(r, &segment, info);
	}
	return result;
}

int elf_read(int fd, const char *shown, struct elf_info *ret, struct error *e)
{
	char magic[SELFMAG];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "read %s", shown);
	if (!S_ISREG(st.st_mode))
		return 0;
	ssize_t n = pread_full(fd, magic, sizeof(magic), 0);

	if (n < 0)
		return error_errno(e, (int)-n, "read %s", shown);
	if (n < SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return 0;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return error_text(e, ENOTSUP, "read %s: libelf is too old", shown);
	struct reader r = { .fd = fd, .shown = shown, .e = e, .file_size = (uint64_t)st.st_size };
	/* Not mapped: a file that shrinks while we read it must be an error, not a signal. */
	_cleanup_(elf) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	_cleanup_(elf_info) struct elf_info info = { 0 };

	r.elf = elf;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &r.header) ||
	    elf_getphdrnum(elf, &r.segments) < 0)
		return r.file_size < sizeof(Elf64_Ehdr) ? truncated(&r, sizeof(Elf64_Ehdr))
							: broken(&r, elf_errmsg(-1));
	info.class = gelf_getclass(elf);
	info.data = r.header.e_ident[EI_DATA];
	info.type = r.header.e_type;
	info.machine = r.header.e_machine;
	info.flags = r.header.e_flags;
	int result = check_segments(&r);

	if (result == 0 && (info.type == ET_EXEC || info.type == ET_DYN))
		result = read_segments(&r, &info);

	if (result < 0)
		return result;
	*ret = info;
	info = (struct elf_info) { 0 };
	return 1;
}
