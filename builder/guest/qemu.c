#include "guest/bridge.h"
#include "guest/link.h"
#include "guest/qemu_args.h"
#include "guest/session.h"

#include <errno.h>
#include <fcntl.h>

static const char ovmf_code[] = "/usr/share/OVMF/OVMF_CODE_4M.fd";
static const char ovmf_vars[] = "/usr/share/OVMF/OVMF_VARS_4M.fd";
static const size_t vars_max = 16 << 20;

static int check_installed(const struct guest_request *request, struct error *e)
{
	_cleanup_(free) char *qemu = proc_find_program("qemu-system-x86_64");

	if (!qemu)
		return error_text(e, ENOENT,
				  "qemu-system-x86_64 is not installed: install the package qemu-system-x86");
	if (request->uefi && (access(ovmf_code, R_OK) < 0 || access(ovmf_vars, R_OK) < 0))
		return error_text(e, ENOENT, "no UEFI firmware for the guest: install the package ovmf");
	return 0;
}

/* qemu would say these too, with its own words around them. */
static int check_files(const struct guest_request *request, struct error *e)
{
	const char *const files[] = { request->medium, request->kernel, request->initrd };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] && access(files[i], R_OK) < 0)
			return error_errno(e, errno, "boot %s", files[i]);
	return 0;
}

/* The firmware writes its variables: each guest has its own. The caller frees the path. */
static int copy_vars(const struct session *s, const char *kept, char **ret_path, struct error *e)
{
	_cleanup_(free) char *vars = NULL;
	_cleanup_(free) char *path = kept ? xstrdup(kept) : xasprintf("%s/vars.fd", s->temp.path);
	size_t len;
	int r = 0;

	if (access(path, F_OK) < 0)
		r = read_file_at(AT_FDCWD, ovmf_vars, vars_max, &vars, &len, e);
	if (r == 0 && vars)
		r = write_file_at(AT_FDCWD, path, 0600, vars, len, e);
	if (r == 0)
		*ret_path = TAKE_PTR(path);
	return r;
}

/* A disk with a COW file: made when it is not there, with the disk's full path inside. */
static int make_cow(const struct guest_disk *d, struct error *e)
{
	_cleanup_(free) char *base = realpath(d->file, NULL);
	const char *argv[] = { "qemu-img", "create", "-q", "-f",   "qcow2", "-F", d->qcow2 ? "qcow2" : "raw",
			       "-b",       base,     "--", d->cow, NULL };

	if (!base)
		return error_errno(e, errno, "open the guest's disk %s", d->file);
	return access(d->cow, F_OK) == 0 ? 0 : proc_run(argv, NULL, e);
}

static int check_disks(const struct guest_request *request, const struct guest_disks *disks, struct error *e)
{
	int r = 0;

	if (request->consoles.count)
		return error_text(e, EINVAL, "further consoles are for User-Mode Linux");
	for (size_t i = 0; i < disks->count && r == 0; i++)
		r = disks->items[i].cow ? make_cow(&disks->items[i], e) : 0;
	return r;
}

/* A network card on a descriptor of ours; -1: none. */
static void add_cable(struct strlist *args, const char *netdev, const char *id, int fd)
{
	if (fd < 0)
		return;
	strlist_add(args, "-netdev");
	strlist_addf(args, "%s=%d", netdev, fd);
	strlist_add(args, "-device");
	strlist_addf(args, "virtio-net-pci,netdev=%s,romfile=", id);
}

int qemu_run(const struct guest_request *request, struct report *report, struct error *e)
{
	_cleanup_(session) struct session s = SESSION_NONE;
	_cleanup_(guest_disks) struct guest_disks disks = { 0 };
	_cleanup_(strlist) struct strlist args = { 0 };
	_cleanup_(free) char *vars = NULL;
	int r = check_installed(request, e);

	if (r == 0)
		r = check_files(request, e);
	if (r == 0)
		r = guest_disks_parse(&request->disks, &disks, e);
	if (r == 0)
		r = check_disks(request, &disks, e);
	if (r == 0)
		r = session_begin(&s, e);
	if (r == 0 && request->uefi)
		r = copy_vars(&s, request->variables, &vars, e);
	if (r < 0)
		return r;
	if (request->drive)
		s.monitor = xasprintf("%s/monitor", s.temp.path);
	const struct qemu_setup setup = {
		.monitor = s.monitor,
		.accel = request->accel           ? request->accel
			 : qemu_kvm_works(report) ? "kvm"
						  : "tcg",
		.ovmf_code = vars ? ovmf_code : NULL,
		.ovmf_vars = vars,
		.memory_mib = guest_memory_mib(request),
	};
	/* what qemu keeps of its snapshots lies with the rest */
	_cleanup_(free) char *tmpdir = xasprintf("TMPDIR=%s", s.temp.path);
	const char *env[] = { tmpdir, NULL };

	_cleanup_(link) struct link link = LINK_NONE;
	_cleanup_(fd) int tap = -1; /* the guest has it as well, and it goes with the last who has */

	r = qemu_args(request, &disks, &setup, &args, e);
	if (r == 0 && request->link)
		r = link_open(request->link, &link, e);
	if (r == 0 && request->bridge)
		r = bridge_open(request->bridge, &tap, e);
	if (r < 0)
		return r;
	add_cable(&args, "dgram,id=link,local.type=fd,local.str", "link", link.fd);
	add_cable(&args, "tap,id=tap,fd", "tap", tap);
	report_debug(report, "qemu with %u MiB of memory, accelerated by %s", setup.memory_mib, setup.accel);
	s.orderly = true;
	r = session_start(&s, (const char *const *)args.items, env, request, e);
	return r < 0 ? r : session_follow(&s, request, report, e);
}
