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

/* Of them it makes two itself, which name the disks where it looks for the rest first, as they are at that time; one only where
 * there are several. */
static bool is_grub_core(const char *path)
{
	return streq(path, "/boot/grub/i386-pc/core.img") || streq(path, "/boot/grub/i386-pc/load.cfg");
}

static bool is_of_file(const char *attribute)
{
	return streq(attribute, "time") || streq(attribute, "size") || streq(attribute, "sha256");
}

/* extlinux writes its second stage anew, with where that lies inside, and beside it the core library. */
static bool is_extlinux_file(const char *folder, const char *path, const char *attribute)
{
	const char *name = str_after(path, streq(folder, "/") ? "" : folder);
	bool written = name && (streq(name, "/ldlinux.sys") || streq(name, "/ldlinux.c32"));

	if (written)
		return is_of_file(attribute);
	return streq(attribute, "time") && name && (!*name || streq(path, "/"));
}

static bool is_loader_file(const struct machine *m, const char *path, const char *attribute)
{
	if (m->firmware != FIRMWARE_BIOS || !m->boot_loader)
		return false;
	if (streq(m->boot_loader, "extlinux"))
		return is_extlinux_file(m->boot_target, path, attribute);
	if (is_grub_core(path))
		return is_of_file(attribute) || (streq(attribute, "presence") && str_ends(path, "/load.cfg"));
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
