#include "guest/drill_set.h"

#include "base/fs.h"
#include "base/proc.h"
#include "guest/guest.h"
#include "guest/script.h"

#include <errno.h>
#include <fcntl.h>

static const unsigned boot_seconds = 900, recover_seconds = 6 * 3600, step_seconds = 900;

struct recovery {
	const struct drill_set *set;
	struct report *report;
	struct strlist disks; /* file and options of each, as the file "disks" has them */
};

static void recovery_free(struct recovery *r)
{
	strlist_free(&r->disks);
}
DEFINE_CLEANUP(recovery, struct recovery, recovery_free)

/* As large as it is, but it takes only what is written: qcow2 files, which are hashed quickly, too. */
static int make_disk(const char *folder, size_t index, uint64_t bytes, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/disk%zu.img", folder, index);
	_cleanup_(free) char *size = xasprintf("%llu", (unsigned long long)bytes);
	const char *argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "--", path, size, NULL };

	return proc_run(argv, NULL, e);
}

/* On the bus that the machine's own is on, as far as a guest has it. Only so long a serial fits everywhere. */
static void plug(struct recovery *r, const struct drill_disk *d, size_t index)
{
	static const char *const buses[] = { "sata", "nvme", "usb" };
	const char *bus = "virtio";

	for (size_t i = 0; d->bus && i < sizeof(buses) / sizeof(buses[0]); i++)
		if (streq(d->bus, buses[i]) && (i > 0 || d->sector_size == 512))
			bus = buses[i];
	strlist_addf(&r->disks, "disk%zu.img,if=%s,serial=DRILL-%zu,sector=%u", index, bus, index + 1,
		     d->sector_size);
}

static int make_disks(struct recovery *r, const char *folder, struct guest_request *request, struct error *e)
{
	int result = 0;

	for (size_t i = 0; i < r->set->disk_count && result == 0; i++) {
		plug(r, &r->set->disks[i], i);
		result = make_disk(folder, i, r->set->disks[i].bytes, e);
		strlist_addf(&request->disks, "%s/%s,rw", folder, r->disks.items[i]);
	}
	strlist_addf(&request->disks, "%s,serial=DRILL-SET", r->set->image);
	return result;
}

/* The last line of what a command said. */
static const char *last_line(char *output)
{
	char *text = str_strip(output), *newline = strrchr(text, '\n');

	return str_printable(newline ? newline + 1 : text);
}

static int command(const struct guest_live *guest, const char *what, const char *text, unsigned seconds,
		   struct error *e)
{
	_cleanup_(free) char *output = NULL;
	int status = 0, r = script_command(guest->console, text, seconds, &output, &status, e);

	if (r < 0 || status == 0)
		return r;
	return error_text(e, EIO, "%s: %s", what, last_line(output));
}

static int recover(const struct recovery *r, const struct guest_live *guest, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	strbuf_puts(&text, "lifeboat recover --unattended");
	for (size_t i = 0; i < r->set->disk_count; i++)
		strbuf_printf(&text, " --map %s=DRILL-%zu", r->set->disks[i].name, i + 1);
	strbuf_printf(&text, " --host '%s' --set '%s' %s </dev/null", r->set->host, r->set->name,
		      r->set->url);
	return command(guest, "recover this machine for drills", text.data, recover_seconds, e);
}

/* Inside the recovered system; exit status 3: its boot loader is another one. */
static const char use_serial_console[] =
	"lifeboat enter -q --chroot --run '"
	"grep -qs console=ttyS /etc/default/grub /etc/default/grub.d/* && exit 0; "
	"c=\"console=tty0 console=ttyS0,115200\"; "
	"if command -v grubby >/dev/null; then grubby --update-kernel=ALL --args=\"$c\"; "
	"elif command -v update-grub >/dev/null; then "
	"echo \"GRUB_CMDLINE_LINUX=\\\"\\$GRUB_CMDLINE_LINUX $c\\\"\" >>/etc/default/grub; update-grub; "
	"else echo no GRUB that could be told; exit 3; fi' </dev/null";

static int conduct(void *user, const struct guest_live *guest, struct error *e)
{
	const struct recovery *r = user;
	int result = script_rescue_shell(guest->console, boot_seconds, e);
	struct error why;

	if (result == 0)
		result = command(guest, "the rescue system's drivers",
				 "until [ -e /run/lifeboat/settled ]; do sleep 0.5; done; dmesg -n 1",
				 boot_seconds, e);
	if (result == 0)
		result = recover(r, guest, e);
	if (result < 0)
		return result;
	result = command(guest, "its serial console", use_serial_console, step_seconds, &why);
	if (result == -EINTR)
		*e = why;
	else if (result < 0)
		report_warn(r->report, "what this machine says may not be seen in drills: %s", why.text);
	if (result != -EINTR)
		result = command(guest, "write its disks", "sync", step_seconds, e);
	return result;
}

static int write_words(const struct recovery *r, const char *folder, struct error *e)
{
	const char *const words[][2] = { { "guest", "qemu\n" },
					 { "firmware", r->set->uefi ? "uefi\n" : "bios\n" } };
	_cleanup_(free) char *text = strlist_join(&r->disks, "\n");
	_cleanup_(free) char *disks = xasprintf("%s/disks", folder);
	int result = write_file_at(AT_FDCWD, disks, 0644, text, strlen(text), e);

	for (size_t i = 0; result == 0 && i < sizeof(words) / sizeof(words[0]); i++) {
		_cleanup_(free) char *path = xasprintf("%s/%s", folder, words[i][0]);

		result = write_file_at(AT_FDCWD, path, 0644, words[i][1], strlen(words[i][1]), e);
	}
	return result;
}

int drill_set_recover(const struct drill_set *set, const char *folder, struct report *report, struct error *e)
{
	_cleanup_(recovery) struct recovery r = { .set = set, .report = report };
	_cleanup_(free) char *kernel = xasprintf("%s/vmlinuz", set->rescue);
	_cleanup_(free) char *initrd = xasprintf("%s/initrd.img", set->rescue);
	_cleanup_(free) char *variables = xasprintf("%s/variables", folder);
	struct guest_request request = { .kernel = kernel,
					 .initrd = initrd,
					 .append = "quiet lifeboat.ip=none",
					 .uefi = set->uefi,
					 .variables = set->uefi ? variables : NULL,
					 .show_fd = set->show_fd,
					 .drive = conduct,
					 .user = &r };
	int result = make_disks(&r, folder, &request, e);

	if (result == 0)
		result = write_words(&r, folder, e);
	if (result == 0)
		result = qemu_run(&request, report, e);
	strlist_free(&request.disks);
	return result;
}
