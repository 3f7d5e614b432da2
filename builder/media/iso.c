/* A hybrid ISO. What is where:
 *
 *     MBR (isohdpfx.bin)      starts isolinux.bin when the ISO is on a stick and the firmware a BIOS
 *     ISO 9660                isolinux/, README.TXT, and vmlinuz and initrd.img, see below
 *     FAT                     the second partition of the MBR, and El Torito's UEFI boot image
 *
 * syslinux-efi reads only FAT, isolinux only ISO 9660, and both need kernel and initrd. These lie
 * in the FAT; the ISO's directory records point into it, so that they are there once. */
#include "media/content.h"
#include "media/fat.h"
#include "media/iso9660.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#define LIBISOFS_WITHOUT_LIBBURN 1
#include <libisofs/libisofs.h>

enum { sector = 512, block = 2048, esp_number = 2, esp_type = 0xef, platform_uefi = 0xef };
static const char mbr_code[] = "/usr/lib/ISOLINUX/isohdpfx.bin";
static const unsigned fat_readers = CONTENT_DATA | CONTENT_UEFI;

/* Files that the ISO only points to. */
static const struct {
	const char *name, *iso_name;
} shared[] = { { "vmlinuz", "VMLINUZ" }, { "initrd.img", "INITRD.IMG" } };

struct job {
	const struct content *content;
	const char *path; /* for messages */
	int fat, out; /* the caller's */
	struct fat_layout layout;
	bool ready; /* iso_init() was called */
	IsoImage *image;
	IsoWriteOpts *options;
};

static void job_free(struct job *j)
{
	if (j->options)
		iso_write_opts_free(j->options);
	if (j->image)
		iso_image_unref(j->image);
	if (j->ready)
		iso_finish();
}
DEFINE_CLEANUP(job, struct job, job_free)

/* libisofs: below 1 is a failure, the text is in its queue or belongs to the code. */
static int isofs_error(const struct job *j, int code, const char *what, struct error *e)
{
	char text[ISO_MSGS_MESSAGE_LEN], severity[80];
	int number, origin;
	const char *said = iso_error_to_msg(code);

	if (iso_obtain_msgs((char *)"FAILURE", &number, &origin, text, severity) == 1)
		said = text;
	return error_text(e, EIO, "make %s: %s: %s", j->path, what, said);
}

/* A node from memory; libisofs owns and frees the bytes. */
static int add_bytes(struct job *j, IsoDir *folder, const char *name, unsigned char *bytes, size_t len,
		     struct error *e)
{
	IsoStream *stream;
	IsoFile *file;
	int r = iso_memory_stream_new(bytes, len, &stream);

	if (r < 1) {
		free(bytes);
		return isofs_error(j, r, name, e);
	}
	r = iso_image_add_new_file(j->image, folder, name, stream, &file);
	if (r < 1) {
		iso_stream_unref(stream);
		return isofs_error(j, r, name, e);
	}
	return 0;
}

static int add_file(struct job *j, IsoDir *folder, const char *name, const struct content_file *f,
		    struct error *e)
{
	_cleanup_(free) unsigned char *bytes = xmalloc((size_t)f->size);
	ssize_t n = pread_full(f->fd, bytes, (size_t)f->size, 0);

	if (n != (ssize_t)f->size)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", f->name);
	return add_bytes(j, folder, name, TAKE_PTR(bytes), (size_t)f->size, e);
}

static int add_tree(struct job *j, struct error *e)
{
	IsoDir *root = iso_image_get_root(j->image), *isolinux;
	int r = iso_image_add_new_dir(j->image, root, "isolinux", &isolinux);

	if (r < 1)
		return isofs_error(j, r, "isolinux", e);
	r = add_file(j, root, "README.TXT", content_find(j->content, "README.TXT"), e);
	for (size_t i = 0; r == 0 && i < sizeof(shared) / sizeof(*shared); i++) {
		/* stand-ins with different bytes: equal files would be stored once */
		unsigned char *stand_in = xcalloc(1, 1);

		*stand_in = (unsigned char)('0' + i);
		r = add_bytes(j, root, shared[i].name, stand_in, 1, e);
	}
	for (size_t i = 0; r == 0 && i < j->content->count; i++) {
		const char *name = str_after(j->content->files[i].name, "isolinux/");

		if (name)
			r = add_file(j, isolinux, name, &j->content->files[i], e);
	}
	return r;
}

static int add_boot_images(struct job *j, struct error *e)
{
	static const char partition[] = "--interval:appended_partition_2:all::";
	ElToritoBootImage *bios, *uefi;
	int r = iso_image_set_boot_image(j->image, "/isolinux/isolinux.bin", ELTORITO_NO_EMUL,
					 "/isolinux/boot.cat", &bios);

	if (r < 1)
		return isofs_error(j, r, "boot image for BIOS", e);
	el_torito_set_load_size(bios, block / sector);
	r = el_torito_set_isolinux_options(bios, 1 /* boot info table */, 0);
	if (r < 1)
		return isofs_error(j, r, "boot image for BIOS", e);
	r = iso_image_add_boot_image(j->image, partition, ELTORITO_NO_EMUL, 0, &uefi);
	if (r < 1)
		return isofs_error(j, r, "boot image for UEFI", e);
	r = el_torito_set_boot_platform_id(uefi, platform_uefi);
	return r < 1 ? isofs_error(j, r, "boot image for UEFI", e) : 0;
}

static int set_options(struct job *j, struct error *e)
{
	_cleanup_(free) char *fat_path = fd_path(j->fat);
	_cleanup_(free) char *code = NULL;
	enum { isohybrid = 1 << 1, active = 1 << 15 }; /* some BIOSes start no disk without an active one */
	char system_area[32768] = "", when[20];
	time_t epoch = (time_t)j->content->epoch;
	struct tm tm;
	size_t len;
	int r = read_file_at(AT_FDCWD, mbr_code, sizeof(system_area), &code, &len, e);

	if (r < 0) {
		error_prefix(e, "boot code of package isolinux");
		return r;
	}
	memcpy(system_area, code, len);
	if (!gmtime_r(&epoch, &tm) || strftime(when, sizeof(when), "%Y%m%d%H%M%S00", &tm) == 0)
		return error_text(e, EINVAL, "make %s: its date is out of range", j->path);
	const struct {
		const char *what;
		int result;
	} steps[] = {
		{ "level", iso_write_opts_set_iso_level(j->options, 1) },
		{ "Rock Ridge", iso_write_opts_set_rockridge(j->options, 1) },
		/* 1.12 has inode numbers, which libisofs counts on from image to image */
		{ "Rock Ridge", iso_write_opts_set_rrip_version_1_10(j->options, 1) },
		{ "modes", iso_write_opts_set_replace_mode(j->options, 1, 1, 1, 1) },
		{ "times", iso_write_opts_set_replace_timestamps(j->options, 2) },
		{ "times", iso_write_opts_set_default_timestamp(j->options, epoch) },
		{ "times", iso_write_opts_set_dir_rec_mtime(j->options, 3) },
		{ "times", iso_write_opts_set_always_gmt(j->options, 1) },
		{ "times", iso_write_opts_set_pvd_times(j->options, epoch, epoch, 0, 0, when) },
		{ "MBR", iso_write_opts_set_system_area(j->options, system_area, isohybrid | active, 0) },
		{ "FAT", iso_write_opts_set_partition_img(j->options, esp_number, esp_type, fat_path, 0) },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (steps[i].result < 1)
			return isofs_error(j, steps[i].result, steps[i].what, e);
	return 0;
}

static int prepare(struct job *j, struct error *e)
{
	int r = iso_init();

	if (r < 1)
		return isofs_error(j, r, "start libisofs", e);
	j->ready = true;
	/* it may queue messages and print none */
	r = iso_set_msgs_severities((char *)"FAILURE", (char *)"NEVER", (char *)"");
	if (r >= 1)
		r = iso_image_new("LIFEBOAT", &j->image);
	if (r >= 1)
		r = iso_write_opts_new(&j->options, 0);
	if (r < 1)
		return isofs_error(j, r, "start libisofs", e);
	iso_image_set_volume_id(j->image, "LIFEBOAT");
	iso_image_set_application_id(j->image, "LIFEBOAT RESCUE MEDIUM");
	/* its own version would be there otherwise, and change the bytes */
	iso_image_set_system_id(j->image, "LINUX");
	iso_image_set_data_preparer_id(j->image, "LIFEBOAT");
	r = add_tree(j, e);
	if (r == 0)
		r = add_boot_images(j, e);
	return r == 0 ? set_options(j, e) : r;
}

static int drain(struct job *j, struct burn_source *source, uint64_t total, struct report *report,
		 struct error *e)
{
	unsigned char buffer[block];
	uint64_t done = 0;
	int n;

	report_begin(report, "writing", total);
	while ((n = source->read_xt(source, buffer, block)) == block) {
		int r = write_all(j->out, buffer, block);

		if (r < 0)
			return error_errno(e, -r, "write %s", j->path);
		done += block;
		report_progress(report, done);
	}
	if (n != 0)
		return isofs_error(j, n, "write", e);
	return 0;
}

static int write_image(struct job *j, struct report *report, struct error *e)
{
	struct burn_source *source;
	int r = iso_image_create_burn_source(j->image, j->options, &source);

	if (r < 1)
		return isofs_error(j, r, "lay it out", e);
	r = drain(j, source, (uint64_t)source->get_size(source), report, e);
	report_end(report);
	if (r < 0)
		(void)source->cancel(source); /* ends its thread; the error is in hand */
	source->free_data(source);
	free(source);
	return r;
}

/* Where the FAT came to lie: the second entry of the MBR. Bytes. */
static int find_fat(struct job *j, uint64_t *ret_offset, struct error *e)
{
	unsigned char entry[16];
	ssize_t n = pread_full(j->out, entry, sizeof(entry), 446 + 16 * (esp_number - 1));

	if (n != (ssize_t)sizeof(entry))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", j->path);
	if (entry[4] != esp_type)
		return error_text(e, EIO, "make %s: its UEFI partition is missing", j->path);
	*ret_offset = ((uint64_t)entry[8] | (uint64_t)entry[9] << 8 | (uint64_t)entry[10] << 16 |
		       (uint64_t)entry[11] << 24) *
		      sector;
	return 0;
}

static int finish(struct job *j, struct error *e)
{
	uint64_t start = 0, at = 0;
	int r = find_fat(j, &start, e);

	for (size_t i = 0; r == 0 && i < sizeof(shared) / sizeof(*shared); i++) {
		const struct content_file *f = content_find(j->content, shared[i].name);

		r = fat_locate(j->out, start, &j->layout, f, &at, e);
		if (r == 0)
			r = iso9660_point(j->out, shared[i].iso_name, start + at, f->size, j->path, e);
	}
	if (r == 0)
		r = iso9660_extend(j->out, start + (uint64_t)j->layout.sectors * sector, j->path, e);
	/* libisofs writes the size of a partition, whatever is asked for, and cuts it at 16 bits */
	if (r == 0 && j->layout.sectors > UINT16_MAX)
		r = iso9660_second_boot_to_end(j->out, j->path, e);
	return r;
}

int iso_write_file(const struct medium_request *request, const char *path, uint64_t *ret_size,
		   struct report *report, struct error *e)
{
	_cleanup_(content) struct content c = CONTENT_NONE;
	_cleanup_(outfile) struct outfile out = OUTFILE_NONE;
	_cleanup_(outfile) struct outfile fat = OUTFILE_NONE; /* never committed: only its room is wanted */
	_cleanup_(job) struct job j = { .content = &c, .path = path };
	int r = content_collect(request, CONTENT_ISOLINUX | CONTENT_UEFI, &c, e);

	if (r == 0)
		r = fat_plan(&c, fat_readers, &j.layout, e);
	if (r == 0)
		r = outfile_open(AT_FDCWD, path, request->secret ? 0600 : 0644, &out, e);
	if (r == 0)
		r = outfile_open(AT_FDCWD, path, 0600, &fat, e);
	if (r < 0)
		return r;
	uint64_t fat_size = (uint64_t)j.layout.sectors * sector;

	j.fat = fat.fd;
	j.out = out.fd;
	r = outfile_check_space(&out, path, 2 * fat_size + (4 << 20), e);
	if (r < 0)
		return r;
	if (ftruncate(fat.fd, (off_t)fat_size) < 0)
		return error_errno(e, errno, "write %s", path);
	r = fat_make(fat.fd, 0, 0, &j.layout, &c, fat_readers, e);
	if (r == 0)
		r = prepare(&j, e);
	if (r == 0)
		r = write_image(&j, report, e);
	if (r == 0)
		r = finish(&j, e);
	if (r < 0)
		return r;
	off_t size = lseek(out.fd, 0, SEEK_END);

	if (size < 0)
		return error_errno(e, errno, "write %s", path);
	r = outfile_commit(&out, e);
	if (r < 0)
		return r;
	*ret_size = (uint64_t)size;
	return 0;
}
