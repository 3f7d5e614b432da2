#include "guest/qemu_args.h"

#include <errno.h>

enum { SATA_PORTS = 6 };

/* qemu's options are separated by commas; one in a value is doubled. The caller frees. */
static char *value_of(const char *path)
{
	_cleanup_(strbuf) struct strbuf b = { 0 };

	strbuf_puts(&b, "");
	for (; *path; path++)
		strbuf_add(&b, *path == ',' ? ",," : path, *path == ',' ? 2 : 1);
	return TAKE_PTR(b.data);
}

static void add_machine(const struct guest_request *request, const struct qemu_setup *setup,
			struct strlist *ret)
{
	strlist_add(ret, "qemu-system-x86_64");
	strlist_add(ret, "-machine");
	/* told so, SeaBIOS copies what programs print by its calls to the serial line (its docs: etc/sercon-port) */
	strlist_add(ret, request->firmware_shown && !setup->ovmf_code ? "q35,graphics=off" : "q35");
	strlist_add_words(ret, "-nodefaults -no-user-config -no-reboot -smp 2 -accel");
	strlist_add(ret, streq(setup->accel, "tcg") ? "tcg,thread=multi" : setup->accel);
	strlist_add(ret, "-m");
	strlist_addf(ret, "%u", setup->memory_mib);
	strlist_add_words(ret, request->text_screen ? "-vga none -device ati-vga" : "-vga std");
	strlist_add_words(ret, "-display none -chardev stdio,id=console,signal=off "
			       "-serial chardev:console -device virtio-rng-pci -device qemu-xhci");
	if (!setup->ovmf_code)
		return;
	_cleanup_(free) char *code = value_of(setup->ovmf_code);
	_cleanup_(free) char *vars = value_of(setup->ovmf_vars);

	strlist_add(ret, "-drive");
	strlist_addf(ret, "if=pflash,unit=0,format=raw,readonly=on,file=%s", code);
	strlist_add(ret, "-drive");
	strlist_addf(ret, "if=pflash,unit=1,format=raw,file=%s", vars);
}

static void add_monitor(const struct qemu_setup *setup, struct strlist *ret)
{
	_cleanup_(free) char *path = setup->monitor ? value_of(setup->monitor) : NULL;

	if (!path)
		return;
	strlist_add(ret, "-qmp");
	strlist_addf(ret, "unix:%s,server=on,wait=off", path);
}

/* Without its ROM, which would only offer to boot from the network. */
static void add_network(const struct guest_request *request, struct strlist *ret)
{
	_cleanup_(strbuf) struct strbuf net = { 0 };

	if (!request->network)
		return;
	strbuf_printf(&net, "user,id=net0%s", request->cut_off ? ",restrict=on" : "");
	for (size_t i = 0; i < request->forwards.count; i++) {
		const char *colon = strchr(request->forwards.items[i], ':');

		if (colon)
			strbuf_printf(&net, ",hostfwd=tcp:127.0.0.1:%.*s-:%s",
				      (int)(colon - request->forwards.items[i]), request->forwards.items[i],
				      colon + 1);
	}
	strlist_add(ret, "-netdev");
	strlist_add(ret, net.data);
	strlist_add_words(ret, "-device virtio-net-pci,netdev=net0,romfile=");
}

static void add_boot(const struct guest_request *request, struct strlist *ret)
{
	if (request->medium) {
		_cleanup_(free) char *file = value_of(request->medium);

		strlist_add(ret, "-drive");
		if (request->medium_is_cd)
			strlist_addf(ret, "if=none,id=medium,format=raw,media=cdrom,readonly=on,file=%s",
				     file);
		else
			strlist_addf(ret, "if=none,id=medium,format=raw,snapshot=on,file=%s", file);
		strlist_add(ret, "-device");
		strlist_add(ret, request->medium_is_cd ? "ide-cd,drive=medium,bootindex=1"
						       : "usb-storage,drive=medium,removable=on,bootindex=1");
	}
	if (request->kernel) {
		strlist_add(ret, "-kernel");
		strlist_add(ret, request->kernel);
		strlist_add(ret, "-append");
		strlist_addf(ret, "console=ttyS0,115200%s%s", request->append ? " " : "",
			     request->append ? request->append : "");
	}
	if (request->initrd) {
		strlist_add(ret, "-initrd");
		strlist_add(ret, request->initrd);
	}
}

static int add_disk(const struct guest_disk *disk, size_t index, unsigned *sata_used, struct strlist *ret,
		    struct error *e)
{
	static const char *const devices[] = {
		[BUS_DEFAULT] = "virtio-blk-pci",
		[BUS_VIRTIO] = "virtio-blk-pci",
		[BUS_SATA] = "ide-hd",
		[BUS_NVME] = "nvme",
		[BUS_USB] = "usb-storage",
	};
	_cleanup_(free) char *file = value_of(disk->cow ? disk->cow : disk->file);
	_cleanup_(strbuf) struct strbuf device = { 0 };

	strlist_add(ret, "-drive");
	strlist_addf(ret, "if=none,id=disk%zu,format=%s,%sfile=%s", index,
		     disk->qcow2 || disk->cow ? "qcow2" : "raw",
		     disk->writable || disk->cow ? "" : "snapshot=on,", file);
	strbuf_printf(&device, "%s,drive=disk%zu,bootindex=%zu", devices[disk->bus], index, index + 2);
	if (disk->serial)
		strbuf_printf(&device, ",serial=%s", disk->serial);
	else if (disk->bus == BUS_NVME) /* NVMe does without everything but a serial */
		strbuf_printf(&device, ",serial=disk%zu", index);
	if (disk->sector_size > 512 && disk->bus == BUS_SATA)
		return error_text(e, EINVAL, "disk %s: the guest has no SATA disks with sectors of %u bytes",
				  disk->file, disk->sector_size);
	if (disk->sector_size)
		strbuf_printf(&device, ",logical_block_size=%u,physical_block_size=%u", disk->sector_size,
			      disk->sector_size);
	if (disk->bus == BUS_SATA) {
		if (*sata_used == SATA_PORTS)
			return error_text(e, EINVAL, "disk %s: the guest has only %d SATA ports", disk->file,
					  SATA_PORTS);
		if (*sata_used == 0)
			strlist_add_words(ret, "-device ahci,id=sata");
		strbuf_printf(&device, ",bus=sata.%u", (*sata_used)++);
	}
	strlist_add(ret, "-device");
	strlist_add(ret, device.data);
	return 0;
}

int qemu_args(const struct guest_request *request, const struct guest_disks *disks,
	      const struct qemu_setup *setup, struct strlist *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist args = { 0 };
	unsigned sata_used = 0;

	add_machine(request, setup, &args);
	add_monitor(setup, &args);
	add_boot(request, &args);
	for (size_t i = 0; i < disks->count; i++) {
		int r = add_disk(&disks->items[i], i, &sata_used, &args, e);

		if (r < 0)
			return r;
	}
	add_network(request, &args);
	*ret = args;
	args = (struct strlist) { 0 };
	return 0;
}
