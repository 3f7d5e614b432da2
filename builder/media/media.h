/* The door of this room: from an image folder (vmlinuz, initrd.img) to something that boots. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "conf/recovery.h"

#include <stdint.h>
#include <sys/types.h>

struct medium_request {
	const struct recovery_conf *conf; /* consoles, menu timeout, unattended; caller's */
	const char *image_dir; /* holds vmlinuz and initrd.img */
	const char *parameters; /* that the kernel must get for this initrd; NULL or "": none */
	const char *hostname; /* of the protected machine, for the menu's title */
	const char *kernel_version; /* for the menu's title; may be NULL */
	uint64_t ram_needed; /* bytes of RAM to boot it, for the menu and the README; 0: unknown */
	bool secret; /* the image holds secrets: files get mode 0600 */
};

enum media_firmware { MEDIA_BIOS, MEDIA_UEFI };

/* The medium's boot loader configuration: what SYSLINUX/ISOLINUX show and boot. UEFI firmware mirrors
 * its console to serial lines itself; under a BIOS the loader does. The caller frees. */
char *media_syslinux_conf(const struct medium_request *request, enum media_firmware firmware);

/* The release that a kernel says it is ("6.1.0-56-amd64"); NULL when the file is no x86 bzImage.
 * The caller frees. */
char *media_kernel_version(int dirfd, const char *vmlinuz);

/* A bootable stick as a file: MBR, one FAT partition, SYSLINUX for BIOS, syslinux-efi at the
 * fallback path. Made by offset: no root, no mount, no loop device. Whole or absent. */
int usb_write_file(const struct medium_request *request, const char *path, uint64_t *ret_size,
		   struct report *report, struct error *e);

/* What a device is, shown before it is overwritten. */
struct usb_device {
	char *path; /* links resolved */
	char *model, *serial, *wwn, *transport; /* NULL: unknown */
	dev_t number;
	uint64_t diskseq; /* Linux 5.15 and later: another one for each disk ever attached; 0: unknown */
	uint64_t size; /* bytes */
	bool removable;
	struct strlist
		content; /* "sda1 ext4 'root' 20.0 GiB": what libblkid finds on it; empty when refused */
	char *refusal; /* why it must not be written; NULL: it may, after consent */
};
void usb_device_free(struct usb_device *d);
DEFINE_CLEANUP(usb_device, struct usb_device, usb_device_free)
int usb_inspect(const char *path, struct usb_device *ret, struct error *e);

/* Writes a stick file to the device that was inspected and consented to: opens it O_EXCL, checks
 * that it still is that device, writes, syncs, reads back and compares. */
int usb_write_device(const struct usb_device *device, const char *stick_file, struct report *report,
		     struct error *e);

/* A hybrid ISO: isolinux for BIOS, an El Torito EFI image, bootable from a stick as well. */
int iso_write_file(const struct medium_request *request, const char *path, uint64_t *ret_size,
		   struct report *report, struct error *e);
