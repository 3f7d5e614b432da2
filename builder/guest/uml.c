#include "guest/cow.h"
#include "guest/disk.h"
#include "guest/line.h"
#include "guest/link.h"
#include "guest/session.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const char slirp[] = "/usr/bin/slirp-fullbolt"; /* UML starts it by its path */

static int check_request(const struct guest_request *request, const struct guest_disks *disks,
			 struct error *e)
{
	_cleanup_(free) char *uml = proc_find_program("linux.uml");

	if (!uml)
		return error_text(e, ENOENT,
				  "linux.uml is not installed: install the package user-mode-linux");
	if (request->medium)
		return error_text(
			e, EINVAL,
			"User-Mode Linux has no firmware to boot %s with: give it an image's folder",
			request->medium);
	if (request->uefi)
		return error_text(e, EINVAL, "User-Mode Linux has no firmware: it cannot boot by UEFI");
	if (request->initrd && access(request->initrd, R_OK) < 0)
		return error_errno(e, errno, "boot %s", request->initrd);
	for (size_t i = 0; i < disks->count; i++) {
		const struct guest_disk *d = &disks->items[i];

		if (d->bus != BUS_DEFAULT || d->serial)
			return error_text(e, EINVAL,
					  "disk %s: a disk of User-Mode Linux has no bus or serial", d->file);
		if (d->qcow2)
			return error_text(e, EINVAL, "disk %s: User-Mode Linux reads raw disks only",
					  d->file);
	}
	return 0;
}

/* What a guest is connected with besides its main console. */
struct cables {
	struct lines lines;
	struct link link;
};

static void cables_free(struct cables *c)
{
	lines_close(&c->lines);
	link_close(&c->link);
}
DEFINE_CLEANUP(cables, struct cables, cables_free)

/* A ubd option separates files by commas and colons, and the backing file is looked for from the
 * COW file's own folder: links there with plain names serve for every path. */
static int link_disk(const struct session *s, const struct guest_disk *disk, size_t index, struct error *e)
{
	_cleanup_(free) char *full = realpath(disk->file, NULL);
	_cleanup_(free) char *name = xasprintf("disk%zu", index);

	if (!full || symlinkat(full, s->temp.fd, name) < 0)
		return error_errno(e, errno, "give the guest the disk %s", disk->file);
	return 0;
}

/* A COW file that is kept says where its disk is: that is the disk's own full path, which others (uml_moo) find. */
static int add_kept_cow(const struct guest_disk *d, size_t index, struct strlist *args, struct error *e)
{
	_cleanup_(free) char *base = realpath(d->file, NULL);
	int r = base ? cow_check(d->cow, base, e)
		     : error_errno(e, errno, "open the guest's disk %s", d->file);

	if (r < 0)
		return r;
	if (strpbrk(base, ",:") || strpbrk(d->cow, ",:"))
		return error_text(e, EINVAL,
				  "disk %s: User-Mode Linux takes no COW file with ',' or ':' in a path",
				  d->file);
	strlist_addf(args, "ubd%zu=%s,%s", index, d->cow, base);
	return 0;
}

static int add_disks(const struct session *s, const struct guest_disks *disks, struct strlist *args,
		     struct error *e)
{
	for (size_t i = 0; i < disks->count; i++) {
		int r = disks->items[i].cow ? add_kept_cow(&disks->items[i], i, args, e)
					    : link_disk(s, &disks->items[i], i, e);

		if (r < 0)
			return r;
		if (disks->items[i].cow)
			continue;
		if (disks->items[i].writable)
			strlist_addf(args, "ubd%zu=%s/disk%zu", i, s->temp.path, i);
		else
			strlist_addf(args, "ubd%zu=%s/cow%zu,%s/disk%zu", i, s->temp.path, i, s->temp.path,
				     i);
	}
	return 0;
}

/* UML's memory is a mapped file in TMPDIR: on a disk it would be written back all the time, and
 * mounted noexec it would not run. */
static const char *memory_folder(void)
{
	struct statvfs v;

	return statvfs("/dev/shm", &v) == 0 && !(v.f_flag & ST_NOEXEC) ? "TMPDIR=/dev/shm" : NULL;
}

static int uml_args(const struct session *s, const struct guest_request *request,
		    const struct guest_disks *disks, const struct cables *cables, struct report *report,
		    struct strlist *args, struct error *e)
{
	strlist_add(args, "linux.uml");
	strlist_addf(args, "mem=%uM", guest_memory_mib(request));
	strlist_addf(args, "uml_dir=%s/", s->temp.path);
	/* Without the old-style ptys, hundreds of which would be cold-plugged one by one. */
	strlist_add_words(args, "umid=guest con=null con0=fd:0,fd:1 ssl=null pty.legacy_count=0");
	for (size_t i = 0; i < cables->lines.count; i++)
		strlist_addf(args, "con%zu=fd:%d", i + 1, cables->lines.items[i].guest_fd);
	if (cables->link.fd >= 0)
		strlist_addf(args, "vec0:transport=fd,fd=%d", cables->link.fd);
	/* User-Mode Linux names a root where nobody does, and a kernel with a root has its first / on a ramfs instead of a
	 * tmpfs: what other kernels of an initrd see is no root at all. */
	if (request->initrd) {
		strlist_addf(args, "initrd=%s", request->initrd);
		strlist_add(args, "root=");
	} else {
		strlist_add_words(args, "root=/dev/ubda rw");
	}
	int r = add_disks(s, disks, args, e);

	if (r < 0)
		return r;
	if (request->network && access(slirp, X_OK) == 0) {
		strlist_addf(args, "eth0=slirp,,%s", slirp);
		/* SLIP knows no DHCP: slirp(1) has these addresses. A lifeboat.ip= of the request comes later and wins. */
		strlist_add(args, "lifeboat.ip=10.0.2.15/24,10.0.2.2,10.0.2.3");
	} else if (request->network) {
		report_warn(report, "the guest has no network: install the package slirp");
	}
	if (request->append)
		strlist_add_words(args, request->append);
	return 0;
}

int uml_run(const struct guest_request *request, struct report *report, struct error *e)
{
	_cleanup_(session) struct session s = SESSION_NONE;
	_cleanup_(guest_disks) struct guest_disks disks = { 0 };
	_cleanup_(strlist) struct strlist args = { 0 };
	_cleanup_(cables) struct cables cables = { .link = LINK_NONE };
	const char *env[] = { memory_folder(), NULL };
	int r = guest_disks_parse(&request->disks, &disks, e);

	if (r == 0)
		r = check_request(request, &disks, e);
	if (r == 0)
		r = session_begin(&s, e);
	if (r == 0)
		r = lines_open(&request->consoles, &cables.lines, report, e);
	if (r == 0 && request->link)
		r = link_open(request->link, &cables.link, e);
	if (r == 0)
		r = uml_args(&s, request, &disks, &cables, report, &args, e);
	if (r == 0)
		report_debug(report, "management console: uml_mconsole %s/guest/mconsole", s.temp.path);
	s.managed = true;
	if (r == 0)
		r = session_start(&s, (const char *const *)args.items, env, request, e);
	return r < 0 ? r : session_follow(&s, request, report, e);
}
