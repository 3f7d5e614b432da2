#include "cmd/by_hand.h"

#include "backup/age.h"
#include "cmd/by_hand_page.h"
#include "machine/boot_loader.h"

static void put_head(struct strbuf *b, const struct machine *m, const char *shown)
{
	strbuf_puts(b, "# Recovering ");
	page_remark(b, m->hostname ? m->hostname : "this machine");
	strbuf_puts(b, " by hand\n#\n# Lifeboat backup ");
	page_remark(b, shown);
	strbuf_puts(b, ", made ");
	page_remark(b, m->created);
	if (m->os) {
		strbuf_puts(b, " on ");
		page_remark(b, m->os);
	}
	strbuf_puts(
		b,
		".\n#\n"
		"# With Lifeboat: boot its medium and choose 'recover'. Without it, any Linux rescue system\n"
		"# will do that has sha256sum, zstd, sfdisk, mke2fs, GNU tar and restore (Debian package "
		"dump).\n"
		"#\n"
		"# From a raw device (dev://) this folder comes by  tar -xf DEVICE -C FOLDER ");
	page_remark(b, shown);
	strbuf_puts(
		b,
		"\n#\n"
		"# Every line that does not begin with # is a command: run them in this order, as root, in\n"
		"# one shell, in the folder that holds this file, and stop at the first that fails.\n"
		"# machine.conf describes the disks in full.\n\n"
		"# In shells that can: a pipe fails when any part of it does.\n\n"
		"(set -o pipefail) 2>/dev/null && set -o pipefail\n\n"
		"# 1. Is every byte what was written?\n\n");
}

/* Of this set, and of those that it goes on from. */
static void put_sums(struct strbuf *b, const struct strlist *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const char *conf = strstr(files->items[i], "/machine.conf");

		if (conf) { /* the one file that each has, once */
			strbuf_puts(b, "(cd ");
			strbuf_add(b, files->items[i], (size_t)(conf - files->items[i]));
			strbuf_puts(b, " && sha256sum --quiet --strict -c SHA256SUMS)\n");
		}
	}
	strbuf_puts(b, "sha256sum --quiet --strict -c SHA256SUMS\n\n");
}

/* A function, as what comes out of the chunks of a stream has to be one stream. Its `exit` ends the pipe's part. */
static void put_key(struct strbuf *b, const struct strlist *files)
{
	const char *listing = NULL;
	bool sealed = false;

	for (size_t i = 0; i < files->count; i++) {
		sealed |= str_ends(files->items[i], AGE_SUFFIX);
		if (str_ends(files->items[i], ".listing.zst.000" AGE_SUFFIX))
			listing = files->items[i];
	}
	if (!sealed)
		return;
	strbuf_puts(b, "# The streams are encrypted with age (Debian package age). Type where the file with "
		       "the key\n"
		       "# is, such as  key=/root/key.txt\n\n"
		       ": \"${key:?name the file with the key first}\"\n"
		       "plain() { for chunk; do age -d -i \"$key\" \"$chunk\" || exit 1; done; }\n");
	if (listing)
		strbuf_printf(b, "plain %s | zstd -q -t # is it the right key?\n", listing);
	strbuf_puts(b, "\n");
}

/* The loader itself is among the files. */
static void put_boot_entries(struct strbuf *b, const struct machine *m)
{
	for (size_t i = m->boot_entry_count; i > 0; i--) {
		const struct boot_entry *entry = &m->boot_entries[i - 1];
		_cleanup_(free) char *loader = xstrdup(entry->path);

		for (char *p = loader; *p; p++)
			*p = *p == '/' ? '\\' : *p;
		strbuf_puts(b, "[ ! -d /sys/firmware/efi ] || efibootmgr --create --disk ");
		page_node(b, entry->partition->parent);
		strbuf_printf(b, " --part %u", entry->partition->number);
		page_option(b, "--label", entry->label);
		page_option(b, "--loader", loader);
		strbuf_puts(b, "\n");
	}
}

static void put_boot_loader(struct strbuf *b, const struct machine *m)
{
	strbuf_puts(b, "# 6. The boot loader.\n\n");
	if (m->firmware == FIRMWARE_UEFI) {
		put_boot_entries(b, m);
		strbuf_puts(b, "\n");
		return;
	}
	if (m->boot_loader && m->boot_target) {
		strbuf_puts(b,
			    "for folder in dev proc sys; do mount --bind /$folder /mnt/hd/$folder; done\n");
		for (size_t i = 0; i < m->boot_disks.count; i++) {
			_cleanup_(commands) struct commands all = { 0 };
			struct strlist *c = commands_add(&all);
			_cleanup_(free) char *node =
				page_node_word(NULL, machine_find(m, m->boot_disks.items[i]));

			strlist_add_words(c, "chroot /mnt/hd");
			boot_loader_command(m->boot_loader, m->boot_target, node, c);
			page_commands(b, &all);
		}
	} else {
		strbuf_puts(b, "# None was recognised on this machine: install it as you did there.\n");
	}
	strbuf_puts(b, "\n");
}

static void put_end(struct strbuf *b, const struct machine *m)
{
	size_t count;
	_cleanup_(free) const struct device **mounted = page_mounted(m, &count);

	strbuf_puts(b, "# 7. Done. Remove the rescue medium and reboot.\n\n");
	bool has_root = count && mounted[0]->content.mountpoint && streq(mounted[0]->content.mountpoint, "/");

	if (has_root)
		strbuf_puts(b, "umount -R /mnt/hd\n");
	while (count > 0) {
		_cleanup_(free) char *folder = page_folder(mounted[--count]);

		if (has_root && mounted[count]->content.mountpoint)
			continue;
		strbuf_puts(b, "umount ");
		page_quote(b, folder);
		strbuf_puts(b, "\n");
	}
	page_seal(b, m);
}

void by_hand_format(const struct machine *m, const char *shown, const struct strlist *files,
		    const struct strlist *exclude,
		    void (*chain)(void *user, const char *stream, struct strlist *ret), void *user,
		    struct strbuf *ret)
{
	const struct source source = { .files = files, .exclude = exclude, .chain = chain, .user = user };

	put_head(ret, m, shown);
	put_sums(ret, files);
	put_key(ret, files);
	page_disks(ret, m);
	page_tables(ret, m);
	page_layers(ret, m, files);
	page_filesystems(ret, m, &source);
	page_files(ret, m, &source);
	put_boot_loader(ret, m);
	put_end(ret, m);
}
