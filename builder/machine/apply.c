/* Running a plan: the gate, the last look at the disks, then step by step. What happens inside the
 * recovered system is in mend.c, how disks are written in disk.c. */
#include "machine/apply.h"

#include "base/block.h"
#include "base/fs.h"
#include "machine/btrfs.h"
#include "machine/disk.h"
#include "machine/fs.h"
#include "machine/layers.h"
#include "machine/mend.h"
#include "machine/probe.h"
#include "machine/recovered.h"
#include "machine/stack.h"
#include "machine/survey.h"
#include "machine/uefi.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct run {
	const struct plan *plan;
	const struct apply_options *options;
	struct report *report;
	struct recovered root; /* the file systems that are mounted so far */
	struct device **layers; /* that were made, or tried to */
	size_t layer_count;
	int *fds; /* by mapping: the disk, until the table is written exclusively; or -1 */
	bool checked; /* the gate was passed and the disks are the planned ones */
};

/* The last one first. */
static int close_layers(struct run *run, struct error *e)
{
	int first = 0;

	while (run->layer_count) {
		struct error why;
		int r = layer_close(run->layers[--run->layer_count], &why);

		if (r < 0 && first == 0) {
			first = r;
			*e = why;
		}
	}
	return first;
}

static void run_end(struct run *run)
{
	struct error ignored; /* after a failure: its reason is what counts; else nothing is left */

	(void)recovered_unmount(&run->root, &ignored);
	(void)close_layers(run, &ignored);
	free(run->layers);
	for (size_t i = 0; run->fds && i < run->plan->mapping_count; i++)
		if (run->fds[i] >= 0)
			(void)close(run->fds[i]); /* flushed before, or failed already */
	free(run->fds);
}
DEFINE_CLEANUP(run, struct run, run_end)

/* ---- the gate ---- */

static const struct device *find_disk(const struct machine *m, dev_t devno)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_DISK && m->devices[i]->now.devno == devno)
			return m->devices[i];
	return NULL;
}

static int check_disk(const struct run *run, const struct machine *now, size_t index, struct error *e)
{
	const struct device *planned = run->plan->mappings[index].to;
	const struct device *disk = find_disk(now, planned->now.devno);
	_cleanup_(free) char *shown = disk_describe(planned);

	if (!disk)
		return error_text(e, ENODEV, "%s is gone since the plan was made; nothing was written",
				  shown);
	if (disk->now.in_use)
		return error_text(e, EBUSY, "%s is in use: %s; nothing was written", shown, disk->now.in_use);
	_cleanup_(free) char *before = disk_fingerprint(&run->plan->present, planned);
	_cleanup_(free) char *after = disk_fingerprint(now, disk);

	if (!streq(before, after))
		return error_text(
			e, ESTALE,
			"%s is not what it was when the plan was made; nothing was written: plan again",
			shown);
	return 0;
}

/* What runs on several of the disks is stopped once. */
static int stop_stacks(const struct run *run, struct error *e)
{
	_cleanup_(strlist) struct strlist stopped = { 0 };
	int r = 0;

	for (size_t i = 0; i < run->plan->mapping_count; i++) {
		const struct presence *now = &run->plan->mappings[i].to->now;

		for (size_t k = 0; k < now->stop.count && r == 0; k++) {
			if (strlist_has(&stopped, now->stop.items[k]))
				continue;
			report_info(run->report, "stopping %s", now->stop_shown.items[k]);
			r = stack_stop(now->stop.items[k], e);
			strlist_add(&stopped, now->stop.items[k]);
		}
	}
	if (r < 0)
		error_prefix(e, "nothing was written");
	return r;
}

/* The disks that are planned to be written. The caller frees. */
static dev_t *target_disks(const struct run *run)
{
	dev_t *disks = xcalloc(run->plan->mapping_count, sizeof(*disks));

	for (size_t i = 0; i < run->plan->mapping_count; i++)
		disks[i] = run->plan->mappings[i].to->now.devno;
	return disks;
}

static int check_layer(const struct run *run, const struct device *d, struct error *e)
{
	_cleanup_(free) dev_t *disks = target_disks(run);

	if (d->kind != DEVICE_RAID && d->kind != DEVICE_CRYPT && d->kind != DEVICE_GROUP)
		return 0;
	int r = layer_check_free(d, disks, run->plan->mapping_count, e);

	if (r < 0)
		error_prefix(e, "nothing was written");
	return r;
}

/* Once, before the first step that destroys anything: consent, then every target as it is now. */
static int pass_gate(struct run *run, struct error *e)
{
	_cleanup_(machine) struct machine now = { 0 };
	int r = run->options->consent(run->options->user, run->plan, e);

	if (r == 0)
		r = survey_disks(&now, run->report, e);
	for (size_t i = 0; i < run->plan->mapping_count && r == 0; i++)
		r = check_disk(run, &now, i, e);
	if (r == 0)
		r = stop_stacks(run, e);
	for (size_t i = 0; i < run->plan->machine.count && r == 0; i++)
		r = check_layer(run, run->plan->machine.devices[i], e);
	for (size_t i = 0; i < run->plan->mapping_count && r == 0; i++)
		r = disk_hold(run->plan->mappings[i].to, &run->fds[i], e);
	if (r == 0 && run->options->done)
		r = run->options->done(run->options->user, run->plan, run->plan->done, e);
	run->checked = r == 0;
	if (r == 0 && run->options->written)
		*run->options->written = true;
	return r;
}

/* ---- the steps ---- */

static size_t mapping_index(const struct run *run, const struct device *disk)
{
	return (size_t)(plan_mapping(run->plan, disk) - run->plan->mappings);
}

static int run_wipe(struct run *run, const struct step *s, struct error *e)
{
	size_t i = mapping_index(run, s->device);

	int r = disk_wipe(&run->plan->present, run->plan->mappings[i].to, run->fds[i], e);

	if (r == 0 && s->device->table == TABLE_NONE)
		r = disk_release(&run->plan->machine, s->device, s->node, &run->fds[i], e);
	return r;
}

static int run_disk_table(struct run *run, const struct step *s, struct error *e)
{
	size_t i = mapping_index(run, s->device);
	int r = disk_partition(&run->plan->machine, s->device, s->node, run->fds[i], e);

	return r < 0 ? r : disk_release(&run->plan->machine, s->device, s->node, &run->fds[i], e);
}

/* A layer may lie on nothing but the plan's disks. */
static int check_layer_node(const struct run *run, const struct step *s, struct error *e)
{
	_cleanup_(free) dev_t *disks = target_disks(run);
	struct stat st;

	if (stat(s->node, &st) < 0)
		return error_errno(e, errno, "look at %s", s->node);
	if (S_ISBLK(st.st_mode) && block_lies_on(st.st_rdev, disks, run->plan->mapping_count))
		return 0;
	return error_text(e, ESTALE, "%s lies on another disk than planned; nothing was written to it",
			  s->node);
}

static int check_below(const struct run *run, const struct device *d, struct error *e);

/* The programs below get a name, not a descriptor. */
static int check_node(const struct run *run, const struct step *s, struct error *e)
{
	const struct device *d = s->device->kind == DEVICE_SUBVOLUME ? s->device->parent : s->device;

	if (d->kind == DEVICE_BTRFS)
		return check_below(run, d, e);
	if (!device_is_plain(d))
		return check_layer_node(run, s, e);
	return disk_check_node(run->fds[mapping_index(run, device_disk(d))], s->node,
			       d->kind == DEVICE_PARTITION ? d->number : 0, e);
}

/* What it is made of are the planned devices. */
static int check_below(const struct run *run, const struct device *d, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < d->below_count && r == 0; i++) {
		_cleanup_(free) char *node = d->below[i] ? plan_node(run->plan, d->below[i]) : NULL;
		const struct step below = { .device = d->below[i], .node = node };

		r = node ? check_node(run, &below, e) : 0;
	}
	return r;
}

static void list_below(const struct run *run, const struct device *d, struct strlist *ret)
{
	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i])
			strlist_take(ret, plan_node(run->plan, d->below[i]));
}

static int run_make(struct run *run, const struct step *s, struct error *e)
{
	_cleanup_(strlist) struct strlist nodes = { 0 };
	int r = check_node(run, s, e);

	if (r < 0)
		return r;
	if (s->device->kind != DEVICE_BTRFS)
		return fs_find(s->device->content.type)->make(s->node, &s->device->content, e);
	list_below(run, s->device, &nodes);
	return btrfs_make_spread(s->device, &nodes, e);
}

static int run_subvolumes(struct run *run, const struct step *s, struct error *e)
{
	int r = check_node(run, s, e);

	return r < 0 ? r : btrfs_make_subvolumes(&run->plan->machine, s->device, s->node, e);
}

static int run_receive(struct run *run, const struct step *s, struct error *e)
{
	const struct device *on = s->device->parent;
	_cleanup_(free) char *folder = NULL;
	const char *top = NULL;
	int r = check_node(run, s, e);

	if (r == 0)
		r = recovered_mount_top(&run->root, on, s->node, &top, e);
	if (r < 0)
		return r;
	folder = xasprintf("%s/" BTRFS_RECEIVED "/%s", top, s->device->content.stream);
	r = mkdir_parents_at(AT_FDCWD, folder, 0700, e);
	return r < 0 ? r : run->options->receive(run->options->user, s->device, folder, run->report, e);
}

static char *node_in_plan(const void *user, const struct device *d)
{
	return plan_node(user, d);
}

static struct layer_options layer_options(const struct run *run)
{
	return (struct layer_options) { .node = node_in_plan,
					.user = run->plan,
					.key_file = run->options->key_file };
}

/* It will be stopped in the end, also when making it fails half-way. */
static void add_layer(struct run *run, struct device *d)
{
	run->layers = xrealloc(run->layers, (run->layer_count + 1) * sizeof(struct device *));
	run->layers[run->layer_count++] = d;
}

static int run_layer(struct run *run, const struct step *s, struct error *e)
{
	const struct layer_options options = layer_options(run);
	int r = check_below(run, s->device, e);

	if (r < 0)
		return r;
	add_layer(run, s->device);
	return layer_make(&run->plan->machine, s->device, &options, e);
}

/* An array's, which runs until the end and needs not be held. */
static int run_array_table(struct run *run, const struct step *s, struct error *e)
{
	_cleanup_(fd) int fd = open(s->node, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", s->node);
	int r = check_layer_node(run, s, e);

	if (r == 0)
		r = disk_partition(&run->plan->machine, s->device, s->node, fd, e);
	return r < 0 ? r : disk_release(&run->plan->machine, s->device, s->node, &fd, e);
}

static int run_table(struct run *run, const struct step *s, struct error *e)
{
	return s->device->kind == DEVICE_DISK ? run_disk_table(run, s, e) : run_array_table(run, s, e);
}

/* What the array's members held before may look like something, also like a table, whose partitions the kernel shows. */
static int run_raid(struct run *run, const struct step *s, struct error *e)
{
	int r = run_layer(run, s, e);

	if (r < 0)
		return r;
	_cleanup_(fd) int fd = open(s->node, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", s->node);
	r = check_layer_node(run, s, e);
	if (r == 0)
		r = wipe_signatures(fd, s->node, 0, s->device->size, e);
	if (r == 0 && s->device->table == TABLE_NONE) /* else the next step does so */
		r = disk_release(&run->plan->machine, s->device, s->node, &fd, e);
	return r;
}

static int run_image(struct run *run, const struct step *s, struct error *e)
{
	int r = check_node(run, s, e);

	return r < 0 ? r : run->options->restore(run->options->user, s->device, s->node, run->report, e);
}

static int run_mount(struct run *run, const struct step *s, struct error *e)
{
	int r = check_node(run, s, e);

	return r < 0 ? r : recovered_mount(&run->root, s->device, s->node, e);
}

static int run_restore(struct run *run, const struct step *s, struct error *e)
{
	const char *folder = recovered_folder(&run->root, s->device);
	int r = run->options->restore(run->options->user, s->device, folder, run->report, e);

	if (r == 0 && s->device->content.mountpoint && streq(s->device->content.mountpoint, "/"))
		r = recovered_make_folders(&run->root, e);
	if (r == 0 && s->device->kind == DEVICE_SUBVOLUME)
		r = btrfs_seal(s->device, folder, e);
	return r;
}

static int run_mend(struct run *run, const struct step *s, struct error *e)
{
	(void)s; /* the whole system */
	return mend_names(&run->root, run->plan, run->report, e);
}

static int run_initramfs(struct run *run, const struct step *s, struct error *e)
{
	(void)s; /* the whole system */
	return mend_initramfs(&run->root, run->report, e);
}

static int run_boot_loader(struct run *run, const struct step *s, struct error *e)
{
	int r = check_node(run, s, e);

	return r < 0 ? r : mend_boot_loader(&run->root, &run->plan->machine, s->node, e);
}

static int run_boot_fallback(struct run *run, const struct step *s, struct error *e)
{
	return uefi_make_fallback(recovered_folder(&run->root, s->device), run->plan->machine.arch,
				  s->entry->path, e);
}

static int run_boot_entry(struct run *run, const struct step *s, struct error *e)
{
	const struct mapping *mapping = plan_mapping(run->plan, s->device->parent);

	if (access(UEFI_VARIABLES, F_OK) < 0) {
		report_warn(run->report,
			    "this system was not started by UEFI, so the firmware's entry '%s' was not made: "
			    "the disk boots by its fallback path",
			    s->entry->label);
		return 0;
	}
	int r = uefi_make_entry(UEFI_VARIABLES, s->entry, mapping->to->identity.path, e);

	if (r == 1)
		report_info(run->report, "the firmware has that entry already");
	return r < 0 ? r : 0;
}

static int run_unmount(struct run *run, const struct step *s, struct error *e)
{
	(void)s; /* everything */
	int r = recovered_unmount(&run->root, e);

	for (size_t i = run->layer_count; i-- > 0 && r == 0;)
		r = layer_seal(&run->plan->machine, run->layers[i], e);
	return r < 0 ? r : close_layers(run, e);
}

/* ---- the steps that were done before ---- */

/* What was held to be written is let go again. */
static int again_wipe(struct run *run, const struct step *s, struct error *e)
{
	size_t i = mapping_index(run, s->device);

	return s->device->table == TABLE_NONE
		       ? disk_release(&run->plan->machine, s->device, s->node, &run->fds[i], e)
		       : 0;
}

/* A disk's was looked at before; an array's can be only now. */
static int again_table(struct run *run, const struct step *s, struct error *e)
{
	const struct machine *m = &run->plan->machine;

	if (s->device->kind == DEVICE_DISK)
		return disk_release(m, s->device, s->node, &run->fds[mapping_index(run, s->device)], e);
	_cleanup_(fd) int fd = open(s->node, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(e, errno, "open %s", s->node);
	int r = check_layer_node(run, s, e);

	if (r == 0)
		r = disk_expect_table(m, s->device, e);
	return r < 0 ? r : disk_release(m, s->device, s->node, &fd, e);
}

/* What was made is there, but was stopped when that recovery ended. */
static int again_layer(struct run *run, const struct step *s, struct error *e)
{
	const struct layer_options options = layer_options(run);
	int r = check_below(run, s->device, e);

	if (r < 0)
		return r;
	add_layer(run, s->device);
	return layer_open(&run->plan->machine, s->device, &options, e);
}

/* Is it what was made there? */
static int again_make(struct run *run, const struct step *s, struct error *e)
{
	_cleanup_(strlist) struct strlist nodes = { 0 };
	int r = check_node(run, s, e);

	if (s->device->kind != DEVICE_BTRFS)
		return r < 0 ? r : probe_expect(s->node, &s->device->content, e);
	list_below(run, s->device, &nodes);
	for (size_t i = 0; i < nodes.count && r == 0; i++)
		r = probe_expect(nodes.items[i], &s->device->content, e);
	return r < 0 ? r : btrfs_register(&nodes, e);
}

static const struct {
	int (*run)(struct run *run, const struct step *s, struct error *e);
	bool destroys;
	int (*again)(struct run *run, const struct step *s,
		     struct error *e); /* once it was done; may be NULL */
} kinds[] = {
	[STEP_WIPE] = { run_wipe, true, again_wipe },
	[STEP_TABLE] = { run_table, true, again_table },
	[STEP_RAID] = { run_raid, true, again_layer },
	[STEP_IMAGE] = { run_image, true, NULL },
	[STEP_CRYPT] = { run_layer, true, again_layer },
	[STEP_GROUP] = { run_layer, true, again_layer },
	[STEP_MKFS] = { run_make, true, again_make },
	[STEP_MKSWAP] = { run_make, true, again_make },
	[STEP_RECEIVE] = { run_receive, true, NULL },
	[STEP_SUBVOLUMES] = { run_subvolumes, true, NULL },
	[STEP_MOUNT] = { run_mount, false, run_mount },
	[STEP_RESTORE] = { run_restore, true, NULL },
	[STEP_MEND] = { run_mend, true, NULL },
	[STEP_INITRAMFS] = { run_initramfs, true, NULL },
	[STEP_BOOT_LOADER] = { run_boot_loader, true, NULL },
	[STEP_BOOT_FALLBACK] = { run_boot_fallback, true, NULL },
	[STEP_BOOT_ENTRY] = { run_boot_entry, true, NULL },
	[STEP_UNMOUNT] = { run_unmount, false, run_unmount },
};

static int run_step(struct run *run, size_t index, struct error *e)
{
	const struct plan *plan = run->plan;
	const struct step *s = &plan->steps[index];
	struct error why;

	report_info(run->report, "%zu/%zu %s", index + 1, plan->step_count, s->text);
	int r = kinds[s->kind].run(run, s, e);

	if (r == 0 && run->options->done && index >= plan->done &&
	    run->options->done(run->options->user, plan, index + 1, &why) < 0)
		report_warn(run->report, "%s: should this be interrupted, the step is done again", why.text);
	return r;
}

static int redo_step(struct run *run, size_t index, struct error *e)
{
	const struct step *s = &run->plan->steps[index];

	report_info(run->report, "%zu/%zu done before: %s", index + 1, run->plan->step_count, s->text);
	return kinds[s->kind].again ? kinds[s->kind].again(run, s, e) : 0;
}

int plan_apply(const struct plan *plan, const struct apply_options *options, struct report *report,
	       struct error *e)
{
	_cleanup_(run) struct run run = {
		.plan = plan, .options = options, .report = report, .root = { .path = options->root }
	};

	run.fds = xcalloc(plan->mapping_count, sizeof(*run.fds));
	for (size_t i = 0; i < plan->mapping_count; i++)
		run.fds[i] = -1;
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct step *s = &plan->steps[i];
		int r = kinds[s->kind].destroys && !run.checked ? pass_gate(&run, e) : 0;

		if (r < 0)
			return r; /* nothing was written */
		r = s->done ? redo_step(&run, i, e) : run_step(&run, i, e);
		if (r < 0) {
			error_prefix(e, "step %zu of %zu, %s", i + 1, plan->step_count, s->text);
			return r;
		}
	}
	return 0;
}
