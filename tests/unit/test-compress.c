/* What each compressor writes, read by the programs that others use for it. */
#include "image/compress.h"
#include "base/fs.h"
#include "base/proc.h"
#include "tap.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

static struct error e;

static const struct {
	const char *name, *reader;
} compressors[] = {
	{ "zstd", "zstd" }, { "xz", "xz" }, { "gzip", "gzip" }, { "lz4", "lz4" }, { "none", "cat" },
};
enum { compressor_count = sizeof(compressors) / sizeof(*compressors) };

/* More than one block of each compressor that has blocks; most of it repeats, some of it does not. */
enum { content_len = 17 * (1 << 20) + 13 };

static unsigned char *make_content(void)
{
	unsigned char *content = xmalloc(content_len);
	uint64_t x = 88172645463325252U; /* Marsaglia's xorshift; fixed, so that every run is the same */

	for (size_t i = 0; i < content_len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		content[i] = i / 4096 % 16 == 0 ? (unsigned char)x : (unsigned char)(i / 7);
	}
	return content;
}

/* Writes `len` bytes through the compressor, in uneven pieces. */
static void compress_to(int fd, const char *name, unsigned level, const unsigned char *content, size_t len)
{
	struct compress c;

	CHECK_OK(compress_open(compressor_find(name, NULL), level, fd, "out", &c, &e));
	for (size_t done = 0, piece = 1; done < len; piece = piece * 3 % 3000017) {
		size_t n = piece < len - done ? piece : len - done;

		CHECK_OK(compress_write(&c, content + done, n));
		done += n;
	}
	CHECK_OK(compress_write(&c, content, 0));
	CHECK_OK(compress_end(&c));
	compress_close(&c);
}

/* What the reader makes of `from` is the content. */
static void check_reads(const char *reader, int from, const unsigned char *content, size_t len)
{
	_cleanup_(file) FILE *out = tmpfile();
	const struct proc_options options = { .stdin_fd = from, .stdout_fd = out ? fileno(out) : -1 };
	const char *const argv[] = { reader, streq(reader, "cat") ? NULL : "-dc", NULL };
	_cleanup_(free) unsigned char *back = xmalloc(len + 1);

	CHECK(out && lseek(from, 0, SEEK_SET) == 0);
	CHECK_OK(proc_run(argv, &options, &e));
	CHECK_INT(pread_full(fileno(out), back, len + 1, 0), len);
	CHECK(memcmp(back, content, len) == 0);
}

TEST(each_is_read_by_its_own_program)
{
	_cleanup_(free) unsigned char *content = make_content();

	for (size_t i = 0; i < compressor_count; i++) {
		_cleanup_(file) FILE *f = tmpfile();

		CHECK(f);
		compress_to(fileno(f), compressors[i].name, 1, content, content_len);
		check_reads(compressors[i].reader, fileno(f), content, content_len);
	}
}

TEST(nothing_and_whole_blocks)
{
	_cleanup_(free) unsigned char *content = make_content();
	static const size_t lens[] = { 0, 1, 8 << 20, 12 << 20 };

	for (size_t i = 0; i < compressor_count; i++)
		for (size_t k = 0; k < sizeof(lens) / sizeof(*lens); k++) {
			_cleanup_(file) FILE *f = tmpfile();

			CHECK(f);
			compress_to(fileno(f), compressors[i].name, 1, content, lens[k]);
			check_reads(compressors[i].reader, fileno(f), content, lens[k]);
		}
}

/* The bytes do not say how many cores made them. */
TEST(one_core_writes_the_same)
{
	_cleanup_(free) unsigned char *content = make_content();
	cpu_set_t one;
	int first = 0;

	CHECK(sched_getaffinity(0, sizeof(one), &one) == 0);
	while (!CPU_ISSET(first, &one))
		first++;
	FILE *many[compressor_count];

	for (size_t i = 0; i < compressor_count; i++) {
		CHECK((many[i] = tmpfile()) != NULL);
		compress_to(fileno(many[i]), compressors[i].name, 1, content, content_len);
	}
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	for (size_t i = 0; i < compressor_count; i++) {
		_cleanup_(file) FILE *alone = tmpfile();
		struct stat a, b;

		CHECK(alone);
		compress_to(fileno(alone), compressors[i].name, 1, content, content_len);
		CHECK(fstat(fileno(many[i]), &a) == 0 && fstat(fileno(alone), &b) == 0);
		CHECK_INT(a.st_size, b.st_size);
		_cleanup_(free) unsigned char *x = xmalloc((size_t)a.st_size);
		_cleanup_(free) unsigned char *y = xmalloc((size_t)a.st_size);

		CHECK_INT(pread_full(fileno(many[i]), x, (size_t)a.st_size, 0), a.st_size);
		CHECK_INT(pread_full(fileno(alone), y, (size_t)a.st_size, 0), a.st_size);
		CHECK(memcmp(x, y, (size_t)a.st_size) == 0);
		(void)fclose(many[i]); /* gone with it */
	}
}

TEST(a_level_that_there_is_not)
{
	struct compress c;

	CHECK_ERROR(compress_open(compressor_find("xz", NULL), 10, 1, "initrd.img", &c, &e),
		    "write initrd.img: xz has no level 10; its highest is 9");
	CHECK_ERROR(compress_open(compressor_find("lz4", NULL), 13, 1, "initrd.img", &c, &e),
		    "write initrd.img: lz4 has no level 13; its highest is 12");
}

TEST(a_full_disk_is_told)
{
	_cleanup_(free) unsigned char *content = make_content();
	_cleanup_(fd) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	CHECK(full >= 0);
	for (size_t i = 0; i < compressor_count; i++) {
		struct compress c;

		CHECK_OK(compress_open(compressor_find(compressors[i].name, NULL), 1, full, "out", &c, &e));
		int r = compress_write(&c, content, content_len);

		if (r == 0)
			r = compress_end(&c);
		CHECK_INT(r, -ENOSPC);
		CHECK_STR(e.text, "write out: No space left on device");
		/* It stays that way. */
		CHECK_INT(compress_write(&c, content, 1), -ENOSPC);
		compress_close(&c);
	}
}

TAP_MAIN()
