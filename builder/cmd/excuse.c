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

/* extlinux writes its second stage anew, with where that lies inside, and beside it the core library. */
static bool is_extlinux_file(const char *folder, const char *path, const char *attribute)
{
	static const char *const attributes[] = { "time", "size", "sha256" };
	const char *name = str_after(path, streq(folder, "/") ? "" : folder);
	bool written = name && (streq(name, "/ldlinux.sys") || streq(name, "/ldlinux.c32"));

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (streq(attribute, attributes[i]))
			return written || (i == 0 && name && (!*name || streq(path, "/")));
	return false;
}

static bool is_loader_file(const struct machine *m, const char *path, const char *attribute)
{
	if (m->firmware != FIRMWARE_BIOS || !m->boot_loader)
		return false;
	if (streq(m->boot_loader, "extlinux"))
		return is_extlinux_file(m->boot_target, path, attribute);
	return streq(attribute, "time") && is_grub_file(path);
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
	if (is_loader_file(m, path, attribute))
		return "the boot loader is installed anew";
	if (m->firmware == FIRMWARE_UEFI && streq(attribute, "presence") && !listed && is_fallback(path))
		return "the boot loader is also put where firmware looks by itself";
	return NULL;
}
