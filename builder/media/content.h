/* What a medium holds: kernel, initrd, boot loaders and their configuration, a README; collected
 * and opened first, so that whatever is missing is known before anything is written. */
#pragma once
#include "media/media.h"

#include "base/digest.h"

/* Which readers a file is for. */
enum { CONTENT_DATA = 1, CONTENT_BIOS = 2, CONTENT_UEFI = 4, CONTENT_ISOLINUX = 8 };

struct content_file {
	char *name; /* on the medium: "EFI/BOOT/BOOTX64.EFI" */
	unsigned reader; /* one of the above */
	int fd; /* its bytes, from offset 0 */
	uint64_t size;
};

struct content {
	struct content_file *files; /* kernel and initrd come first */
	size_t count, capacity;
	uint64_t epoch; /* every time stamp: $SOURCE_DATE_EPOCH, else when the initrd was made */
	char id[DIGEST_HEX_SIZE]; /* of names and bytes: serial numbers and signatures come from it */
};
#define CONTENT_NONE          \
	{                     \
		.files = NULL \
	}

/* Opens all that is asked for: `readers` is a sum of CONTENT_*. */
int content_collect(const struct medium_request *request, unsigned readers, struct content *ret,
		    struct error *e);
const struct content_file *content_find(const struct content *c, const char *name);
void content_free(struct content *c);
DEFINE_CLEANUP(content, struct content, content_free)

/* The id's first 32 bits: FAT serial number, MBR disk signature. Never 0. */
uint32_t content_serial(const struct content *c);

/* What is shown above the boot prompt: a plain list, because unlike SYSLINUX's menus it is readable
 * on every serial line and in every log. The caller frees. */
char *media_boot_message(const struct medium_request *request, enum media_firmware firmware);

/* README.TXT, with the line ends that every system's editor understands. The caller frees. */
char *media_readme(const struct medium_request *request, uint64_t epoch);
