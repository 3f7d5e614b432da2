/* A stick as a file: MBR, one FAT partition at 1 MiB, SYSLINUX for BIOS and UEFI. */
#include "media/content.h"
#include "media/fat.h"
#include "media/mbr.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

enum { sector = 512, partition_start = 1 << 20 };
static const char boot_code[] = "/usr/lib/syslinux/mbr/mbr.bin";

static int write_mbr(int fd, const struct content *c, const struct fat_layout *l, const char *path,
		     struct error *e)
{
	uint8_t mbr[MBR_SIZE];
	_cleanup_(free) char *code = NULL;
	size_t len;
	int r = read_file_at(AT_FDCWD, boot_code, MBR_CODE_SIZE, &code, &len, e);

	if (r < 0) {
		error_prefix(e, "boot code of package syslinux-common");
		return r;
	}
	uint8_t padded[MBR_CODE_SIZE] = { 0 };

	memcpy(padded, code, len);
	mbr_make(padded, content_serial(c), l->fat32 ? MBR_TYPE_FAT32 : MBR_TYPE_FAT16,
		 partition_start / sector, l->sectors, mbr);
	r = pwrite_all(fd, mbr, sizeof(mbr), 0);
	return r < 0 ? error_errno(e, -r, "write %s", path) : 0;
}

static int install_syslinux(int fd, const struct content *c, struct error *e)
{
	_cleanup_(free) char *path = fd_path(fd);
	_cleanup_(free) char *offset = xasprintf("%d", partition_start);
	const char *const argv[] = { "syslinux", "--install", "--offset", offset, path, NULL };
	struct fat_env env;
	const struct proc_options options = { .env = env.list };

	fat_env(c, &env);
	return proc_run(argv, &options, e);
}

static int make(int fd, const struct content *c, const struct fat_layout *l, const char *path,
		struct error *e)
{
	const unsigned readers = CONTENT_DATA | CONTENT_BIOS | CONTENT_UEFI;
	uint64_t size = partition_start + (uint64_t)l->sectors * sector;

	if (ftruncate(fd, (off_t)size) < 0)
		return error_errno(e, errno, "write %s", path);
	int r = fat_make(fd, partition_start, partition_start / sector, l, c, readers, e);

	if (r == 0)
		r = install_syslinux(fd, c, e);
	if (r < 0) {
		error_prefix(e, "make %s", path);
		return r;
	}
	return write_mbr(fd, c, l, path, e);
}

int usb_write_file(const struct medium_request *request, const char *path, uint64_t *ret_size,
		   struct report *report, struct error *e)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	_cleanup_(outfile) struct outfile out = OUTFILE_NONE;
	struct fat_layout layout = { 0 };
	char text[SIZE_TEXT_MAX];
	int r = content_collect(request, CONTENT_BIOS | CONTENT_UEFI, &c, e);

	if (r == 0)
		r = fat_plan(&c, CONTENT_DATA | CONTENT_BIOS | CONTENT_UEFI, &layout, e);
	if (r == 0)
		r = outfile_open(AT_FDCWD, path, request->secret ? 0600 : 0644, &out, e);
	if (r < 0)
		return r;
	uint64_t size = partition_start + (uint64_t)layout.sectors * sector;

	r = outfile_check_space(&out, path, size, e);
	if (r < 0)
		return r;
	report_debug(report, "%s: %s of FAT%d", path, format_size(size, text), layout.fat32 ? 32 : 16);
	r = make(out.fd, &c, &layout, path, e);
	if (r == 0)
		r = outfile_commit(&out, e);
	if (r < 0)
		return r;
	*ret_size = size;
	return 0;
}
