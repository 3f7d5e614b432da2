#include "image/elf.h"
#include "base/fs.h"
#include "tap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct error e;

/* The first `len` bytes of this very program. */
static int truncated_self(size_t len)
{
	_cleanup_(fd) int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_(free) char *buf = xmalloc(len + 1);
	int fd = memfd_create("part", MFD_CLOEXEC);
	ssize_t n = read_full(self, buf, len);

	CHECK(self >= 0 && fd >= 0 && n >= 0);
	CHECK(write_all(fd, buf, (size_t)n) == 0);
	return fd;
}

static size_t self_size(void)
{
	_cleanup_(fd) int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	off_t size = lseek(self, 0, SEEK_END);

	CHECK(size > 0);
	return (size_t)size;
}

TEST(reads_what_the_loader_would)
{
	_cleanup_(elf_info) struct elf_info info = { 0 };
	_cleanup_(fd) int fd = truncated_self(self_size());

	CHECK_INT(elf_read(fd, "self", &info, &e), 1);
	CHECK(info.interpreter && strstr(info.interpreter, "ld-"));
	CHECK(strlist_has(&info.needed, "libc.so.6"));
	CHECK(!info.soname);
}

TEST(a_truncated_file_is_an_error_at_any_length)
{
	size_t size = self_size();

	for (size_t len = 4; len < size; len += 1 + len / 7) {
		struct elf_info info = { 0 };
		_cleanup_(fd) int fd = truncated_self(len);
		int r = elf_read(fd, "part", &info, &e);

		if (r != -ENODATA && r != -EBADMSG)
			TAP_FAIL("%zu bytes of %zu: %d", len, size, r);
		CHECK(strstr(e.text, "read part: "));
	}
}

TEST(truncation_is_named)
{
	struct elf_info info;
	size_t size = self_size();
	_cleanup_(fd) int fd = truncated_self(size - 1);
	_cleanup_(free) char *want =
		xasprintf("read part: truncated ELF file: it has %zu of at least %zu bytes", size - 1, size);

	CHECK_ERROR(elf_read(fd, "part", &info, &e), want);
}

TEST(other_files_are_none)
{
	struct elf_info info;
	_cleanup_(fd) int script = memfd_create("x", MFD_CLOEXEC);
	_cleanup_(fd) int empty = memfd_create("y", MFD_CLOEXEC);

	CHECK(write_all(script, "#!/bin/sh\n", 10) == 0);
	CHECK_INT(elf_read(script, "script", &info, &e), 0);
	CHECK_INT(elf_read(empty, "empty", &info, &e), 0);
}

TEST(what_is_no_file_is_none)
{
	struct elf_info info;
	int ends[2];
	_cleanup_(fd) int device = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	CHECK(pipe2(ends, O_CLOEXEC) == 0); /* nobody writes: a read would wait for ever */
	CHECK_INT(elf_read(ends[0], "pipe", &info, &e), 0);
	CHECK_INT(elf_read(device, "device", &info, &e), 0);
}

/* --- a file of our own, where every number can be a lie --- */

struct lie {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	Elf64_Dyn dynamic[5];
	char strings[16];
};

static struct lie honest(void)
{
	struct lie l = {
		.header = { .e_ident = ELFMAG,
			    .e_type = ET_DYN,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_phoff = offsetof(struct lie, segments),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 3 },
		.segments = { { .p_type = PT_LOAD, .p_filesz = sizeof(l) },
			      { .p_type = PT_DYNAMIC,
				.p_offset = offsetof(struct lie, dynamic),
				.p_filesz = sizeof(l.dynamic) },
			      { .p_type = PT_NULL } },
		.dynamic = { { DT_STRTAB, { offsetof(struct lie, strings) } },
			     { DT_STRSZ, { sizeof(l.strings) } },
			     { DT_NEEDED, { 1 } },
			     { DT_NULL, { 0 } } },
		.strings = "\0liba.so",
	};

	l.header.e_ident[EI_CLASS] = ELFCLASS64;
	l.header.e_ident[EI_DATA] = ELFDATA2LSB;
	l.header.e_ident[EI_VERSION] = EV_CURRENT;
	return l;
}

/* `size`: how large the file says it is, with nothing behind the lie. */
static int read_lie(const struct lie *l, off_t size, struct elf_info *ret)
{
	_cleanup_(fd) int fd = memfd_create("lie", MFD_CLOEXEC);

	CHECK(fd >= 0 && write_all(fd, l, sizeof(*l)) == 0 && ftruncate(fd, size) == 0);
	return elf_read(fd, "lie", ret, &e);
}

TEST(the_honest_one_is_read)
{
	_cleanup_(elf_info) struct elf_info info = { 0 };
	const struct lie l = honest();

	CHECK_INT(read_lie(&l, sizeof(l), &info), 1);
	CHECK_INT(info.needed.count, 1);
	CHECK_STR(info.needed.items[0], "liba.so");
}

/* A table of 4 GiB is fine as long as it is there, and costs no memory. */
/* AddressSanitizer takes more than it is asked for: with it only the run itself is looked at. */
#if defined(__SANITIZE_ADDRESS__)
#define LIMITS_MEMORY 0
#elif defined(__has_feature)
#define LIMITS_MEMORY !__has_feature(address_sanitizer)
#else
#define LIMITS_MEMORY 1
#endif

TEST(a_huge_string_table_costs_nothing)
{
	_cleanup_(elf_info) struct elf_info info = { 0 };
	struct lie l = honest();
	const uint64_t huge = 1ull << 32;

	if (LIMITS_MEMORY)
		CHECK(setrlimit(RLIMIT_DATA, &(struct rlimit) { 256 << 20, 256 << 20 }) == 0);
	l.segments[0].p_filesz = huge + 4096;
	l.dynamic[1].d_un.d_val = huge;
	CHECK_INT(read_lie(&l, (off_t)huge + 4096, &info), 1);
	CHECK_STR(info.needed.items[0], "liba.so");
}

TEST(lies_are_told)
{
	struct elf_info info;
	struct lie l = honest();

	l.dynamic[1].d_un.d_val = 1ull << 32;
	CHECK_ERROR(read_lie(&l, sizeof(l), &info), "read lie: broken ELF file: the string table is cut");
	l = honest();
	l.dynamic[2].d_un.d_val = 1000;
	CHECK_ERROR(read_lie(&l, sizeof(l), &info),
		    "read lie: broken ELF file: a name lies outside of the string table");
	l = honest();
	memset(l.strings, 'x', sizeof(l.strings));
	CHECK_ERROR(read_lie(&l, sizeof(l), &info), "read lie: broken ELF file: a name has no end");
	l = honest();
	l.dynamic[0].d_un.d_ptr = 1ull << 40;
	CHECK_ERROR(read_lie(&l, sizeof(l), &info), "read lie: broken ELF file: an address is in no segment");
	l = honest();
	l.segments[1].p_offset = UINT64_MAX - 8;
	CHECK_ERROR(read_lie(&l, sizeof(l), &info), "read lie: broken ELF file: a size is out of range");
	l = honest();
	l.segments[1].p_filesz = 1 << 20;
	CHECK_ERROR(read_lie(&l, 2 << 20, &info),
		    "read lie: broken ELF file: its dynamic section is larger than any real one");
	l = honest();
	l.segments[2] = (Elf64_Phdr) { .p_type = PT_NOTE, .p_filesz = 1 << 30 };
	CHECK_ERROR(read_lie(&l, 2ll << 30, &info),
		    "read lie: broken ELF file: its notes are larger than any real ones");
	l = honest();
	l.segments[2] = (Elf64_Phdr) { .p_type = PT_INTERP,
				       .p_offset = offsetof(struct lie, strings),
				       .p_filesz = 1 };
	CHECK_ERROR(read_lie(&l, sizeof(l), &info), "read lie: broken ELF file: the interpreter has no name");
}

/* Whatever a byte says, the answer is an answer. */
TEST(flipped_bytes_do_no_harm)
{
	size_t size = self_size();

	for (size_t at = 4; at < 4096 && at < size; at += 3) {
		struct elf_info info = { 0 };
		_cleanup_(fd) int fd = truncated_self(size < 65536 ? size : 65536);
		unsigned char byte = 0xff;

		CHECK(pwrite_all(fd, &byte, 1, (off_t)at) == 0);
		if (elf_read(fd, "flipped", &info, &e) == 1)
			elf_info_free(&info);
	}
}

TAP_MAIN()
