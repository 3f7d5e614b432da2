/* The least that packing can cost: reads the files named on standard input, a line each, one after the other, and pushes
 * their bytes through libzstd into standard output. No archive, no checks, no flush to the disk.
 *
 *     pack-floor LEVEL WORKERS <list >out.zst */
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

enum { block = 1 << 20 };

static int push(ZSTD_CCtx *context, const char *data, size_t len, ZSTD_EndDirective how)
{
	static char out[1 << 17];
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer ready = { out, sizeof(out), 0 };

		left = ZSTD_compressStream2(context, &ready, &in, how);
		if (ZSTD_isError(left) || write_all(STDOUT_FILENO, out, ready.pos) < 0)
			return -EIO;
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

static int push_file(ZSTD_CCtx *context, const char *path)
{
	static char buf[block];
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	int r = 0;

	while (fd >= 0 && r == 0 && (n = read(fd, buf, block)) > 0)
		r = push(context, buf, (size_t)n, ZSTD_e_continue);
	return n < 0 ? -EIO : r;
}

int main(int argc, char *argv[])
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	char path[4096];

	if (argc != 3 || !context)
		return 2;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, atoi(argv[1]))) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, atoi(argv[2]))) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
		return 2;
	while (fgets(path, sizeof(path), stdin)) {
		path[strcspn(path, "\n")] = '\0';
		if (push_file(context, path) < 0) {
			fprintf(stderr, "pack-floor: cannot read %s\n", path);
			return 1;
		}
	}
	if (push(context, NULL, 0, ZSTD_e_end) < 0)
		return 1;
	(void)ZSTD_freeCCtx(context); /* it returns 0 */
	return 0;
}
