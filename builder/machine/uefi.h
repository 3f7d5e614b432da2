/* A UEFI machine's boot entries: the firmware's variables BootOrder and Boot#### that start a file on a partition
 * (UEFI Specification 2.10, 3.1.3 "Load Options" and 10.3.5 "Media Device Path"), read from the kernel's
 * efivarfs. They are made again by efibootmgr(8). */
#pragma once
#include "base/error.h"
#include "machine/model.h"

#define UEFI_VARIABLES "/sys/firmware/efi/efivars"

struct uefi_entry {
	char *label; /* "debian" */
	char *part_uuid; /* of the GPT partition, in capital letters */
	char *path; /* of the file, with slashes: "/EFI/debian/shimx64.efi" */
};
struct uefi_entries {
	struct uefi_entry *list; /* in the order in which the firmware tries them */
	size_t count;
};
void uefi_entries_free(struct uefi_entries *u);
DEFINE_CLEANUP(uefi_entries, struct uefi_entries, uefi_entries_free)

/* Parses one load option. Returns 1, or 0 when it does not start a file on a GPT partition, or is damaged. */
int uefi_parse_option(const void *data, size_t len, struct uefi_entry *ret);
void uefi_entry_free(struct uefi_entry *u);
DEFINE_CLEANUP(uefi_entry, struct uefi_entry, uefi_entry_free)

/* All of BootOrder that start files on partitions, from the folder of variables. */
int uefi_read_entries(const char *folder, struct uefi_entries *ret, struct error *e);

/* Adds to `m` those whose partition it has. */
int uefi_survey(struct machine *m, const char *folder, struct error *e);

/* Where firmware looks on a disk that it has no entry for, on this kind of computer (`uname -m`); NULL: not
 * known. "/EFI/BOOT/BOOTX64.EFI". */
const char *uefi_fallback_path(const char *arch);

/* Unless the system partition mounted at `folder` has a loader at the fallback path: puts a copy of `path`, an entry's
 * loader, there, and for a shim of the programs that it starts from beside itself. */
int uefi_make_fallback(const char *folder, const char *arch, const char *path, struct error *e);

/* Makes the entry on partition `number` of `disk` (/dev/sda) the first that the firmware tries. One that is there
 * already stays as it is: returns 1 then, else 0. */
int uefi_make_entry(const char *folder, const struct boot_entry *entry, const char *disk, struct error *e);
