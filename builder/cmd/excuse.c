#include "cmd/excuse.h"

#include <strings.h>

/* grub-install copies its own modules, fonts and messages, which are the same files with another time; it makes the
 * folders for them. */
static bool is_grub_file(const char *path)
{
	static const char *const folders[] = { "/boot/grub/i386-pc", "/boot/grub/x86_64-efi",
					       "/boot/grub/fonts", "/boot/grub/locale" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		const char *rest = str_after(path, folders[i]);

		if (rest && (!*rest || *rest == '/'))
			return true;
	}
	return streq(path, "/boot/grub");
}

/* The loader where firmware looks that has no entry for the disk. */
static bool is_fallback(const char *path)
{
	static const char *const roots[] = { "/boot/efi", "/efi", "/boot" };

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		const char *rest = str_after(path, roots[i]);

		if (rest && strncasecmp(rest, "/EFI/BOOT", strlen("/EFI/BOOT")) == 0)
			return true;
	}
	return false;
}

const char *excuse(const struct machine *m, const char *path, const char *attribute, bool listed)
{
	if (m->firmware == FIRMWARE_BIOS && m->boot_loader && streq(attribute, "time") && is_grub_file(path))
		return "the boot loader is installed anew";
	if (m->firmware == FIRMWARE_UEFI && streq(attribute, "presence") && !listed && is_fallback(path))
		return "the boot loader is also put where firmware looks by itself";
	return NULL;
}
