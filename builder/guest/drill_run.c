/* Drills as they are done: phases in guests, on copy-on-write files. */
#include "guest/drill.h"

#include "base/fs.h"
#include "guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* An emulated processor needs ten times as long. */
enum { emulated_seconds = 900 };

struct drill_run {
	const struct drill *drill;
	struct drill_setup setup;
	struct tempdir temp;
};

/* Further disks are files of their own, not copies of anything. */
static int make_blank_disks(const struct drill_run *run, struct error *e)
{
	for (size_t i = 0; i < run->drill->disks.count; i++) {
		_cleanup_(free) char *name = xasprintf("blank%zu.img", i);
		uint64_t bytes = 0;

		(void)parse_size(run->drill->disks.items[i], &bytes); /* drill_load() has seen it */
		_cleanup_(fd) int fd =
			openat(run->temp.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
			return error_errno(e, errno, "make the drill's disk %s/%s", run->temp.path, name);
	}
	return 0;
}

static const char variables_name[] = "variables";

/* What the firmware remembers, where the machine has that: each run has its own copy. */
static int copy_variables(const struct drill_run *run, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", run->setup.machine->folder, variables_name),
			     *data = NULL;
	size_t len;

	if (access(path, F_OK) < 0)
		return 0;
	int r = read_file_at(AT_FDCWD, path, 64 << 20, &data, &len, e);

	return r < 0 ? r : write_file_at(run->temp.fd, variables_name, 0600, data, len, e);
}

int drill_clean(struct drill_run *run, struct error *e)
{
	for (size_t i = 0; i < run->setup.machine->disks.count; i++) {
		_cleanup_(free) char *name = xasprintf("disk%zu.cow", i);

		if (unlinkat(run->temp.fd, name, 0) < 0 && errno != ENOENT)
			return error_errno(e, errno, "throw %s/%s away", run->temp.path, name);
	}
	int r = copy_variables(run, e);

	return r < 0 ? r : make_blank_disks(run, e);
}

/* Firmware and its boot loader have their own words for the kernel. */
static int check_fits(const struct drill_run *run, struct error *e)
{
	const struct drill *d = run->drill;

	if (d->uefi && streq(d->machine, DRILL_THIS))
		return error_text(e, EINVAL, "%s: 'firmware': this machine has its own", d->file);
	if (d->uefi && !run->setup.machine->qemu)
		return error_text(e, EINVAL, "%s: machine %s is User-Mode Linux, which has no firmware",
				  d->file, d->machine);
	if (d->check.append && run->setup.machine->qemu && d->check.boot == DRILL_BOOT_MACHINE)
		return error_text(e, EINVAL,
				  "%s: 'append' in [check]: the boot loader of machine %s has its own",
				  d->file, d->machine);
	return 0;
}

int drill_begin(const struct drill *d, const struct drill_setup *setup, struct drill_run **ret,
		struct error *e)
{
	_cleanup_(drill_run) struct drill_run *run = xcalloc(1, sizeof(*run));

	*run = (struct drill_run) { .drill = d, .setup = *setup, .temp = TEMPDIR_NONE };
	int r = check_fits(run, e);

	if (r == 0)
		r = tempdir_make(&run->temp, e);
	if (r == 0)
		r = drill_clean(run, e);
	if (r == 0)
		*ret = TAKE_PTR(run);
	return r;
}

void drill_end(struct drill_run **run)
{
	if (!*run)
		return;
	tempdir_remove(&(*run)->temp);
	free(*run);
	*run = NULL;
}

static void add_disks(const struct drill_run *run, struct strlist *ret)
{
	const struct drill_machine *m = run->setup.machine;

	for (size_t i = 0; i < m->disks.count; i++)
		strlist_addf(ret, "%s/%s,cow=%s/disk%zu.cow", m->folder, m->disks.items[i], run->temp.path,
			     i);
	for (size_t i = 0; i < run->drill->disks.count; i++)
		strlist_addf(ret, "%s/blank%zu.img,rw", run->temp.path, i);
}

/* Words that the machine's kernel needs: the file "append" of its folder, if there is one. */
static int machine_words(const struct drill_run *run, char **ret, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/append", run->setup.machine->folder);

	if (access(path, F_OK) < 0) {
		*ret = xstrdup("");
		return 0;
	}
	int r = read_file_at(AT_FDCWD, path, 4096, ret, NULL, e);

	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

/* `request` has what only the caller knows. */
static int start(const struct drill_run *run, enum drill_boot boot, const char *append,
		 struct guest_request *request, struct report *report, struct error *e)
{
	_cleanup_(free) char *kernel = xasprintf("%s/vmlinuz", run->setup.rescue);
	_cleanup_(free) char *initrd = xasprintf("%s/initrd.img", run->setup.rescue);
	_cleanup_(free) char *words = NULL, *machine = NULL;
	_cleanup_(free) char *variables = xasprintf("%s/%s", run->temp.path, variables_name);
	bool rescue = boot == DRILL_BOOT_RESCUE;
	bool qemu = run->setup.machine->qemu;
	int r = rescue ? 0 : machine_words(run, &machine, e);

	if (r < 0)
		return r;
	/* there is no network, so no server that backups are on */
	words = xasprintf("quiet %s %s", rescue ? "lifeboat.ip=none" : machine, append ? append : "");
	request->kernel = rescue ? kernel : NULL;
	request->initrd = rescue ? initrd : NULL;
	request->append = words;
	request->settle = true;
	request->uefi = run->drill->uefi || run->setup.machine->uefi;
	request->variables = access(variables, F_OK) == 0 ? variables : NULL;
	request->firmware_shown = true;
	request->memory_mib = qemu ? 1024 : 512;
	request->step_limit = qemu ? emulated_seconds : 0;
	add_disks(run, &request->disks);
	r = qemu ? qemu_run(request, report, e) : uml_run(request, report, e);
	strlist_free(&request->disks);
	return r;
}

/* `logged_as` is the phase's name in the name of its log. */
static int run_phase(const struct drill_run *run, const struct drill_phase *phase, const char *logged_as,
		     const struct strlist *alarms, struct report *report, struct error *e)
{
	_cleanup_(free) char *log =
		run->setup.logs ? xasprintf("%s/%s-%s.log", run->setup.logs, run->drill->name, logged_as)
				: NULL;
	struct guest_request request = {
		.script = &phase->script, .alarms = alarms, .log = log, .show_fd = run->setup.show_fd
	};

	report_debug(report, "%s: %s", run->drill->name, logged_as);
	return start(run, phase->boot, phase->append, &request, report, e);
}

int drill_check(struct drill_run *run, struct report *report, struct error *e)
{
	return run_phase(run, &run->drill->check, "check", &run->drill->symptoms, report, e);
}

int drill_break(struct drill_run *run, struct report *report, struct error *e)
{
	int r = run_phase(run, &run->drill->breaking, "break", NULL, report, e);

	if (r < 0)
		return r;
	r = run_phase(run, &run->drill->check, "broken", &run->drill->symptoms, report, e);
	if (r == -ECANCELED) /* what it is to show while it is broken */
		return 0;
	if (r == 0)
		return error_text(e, EPROTO, "the machine is not broken: its check passes before the cure");
	if (r != -EINTR)
		error_prefix(e, "the machine is broken in another way than by one of its symptoms");
	return r;
}

int drill_cure(struct drill_run *run, struct report *report, struct error *e)
{
	const struct drill_phase *cure = &run->drill->cure;
	int r = cure->clean ? drill_clean(run, e) : 0;

	if (r < 0 || cure->boot == DRILL_BOOT_NOTHING)
		return r;
	return run_phase(run, cure, "cure", NULL, report, e);
}

/* A person meets the machine that the check meets, and the rescue system that the cure is done in. */
int drill_hand_over(struct drill_run *run, enum drill_boot boot, struct report *report, struct error *e)
{
	const struct drill *d = run->drill;
	const struct drill_phase *phase = boot == DRILL_BOOT_MACHINE ? &d->check : &d->cure;
	struct guest_request request = { .interactive = true };

	return start(run, boot, phase->boot == boot ? phase->append : NULL, &request, report, e);
}
