#include "image/elf.h"
#include "base/fs.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

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
