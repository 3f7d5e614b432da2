#include "cmd/verify_disks.h"

#include "backup/set.h"
#include "backup/tree_compare.h"
#include "base/block.h"
#include "base/fs.h"
#include "cmd/excuse.h"
#include "cmd/target_arg.h"
#include "enter/activate.h"
#include "machine/btrfs.h"
#include "machine/compare.h"
#include "machine/fs.h"
#include "machine/machine_conf.h"
#include "machine/survey.h"
#include "machine/without.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { max_listed = 500 }; /* differences with all their words; the rest is only counted */

struct comparison {
	struct cmd *c;
	const struct verify_disks *options;
	struct recovery_conf conf;
	struct target target;
	struct set *set;
	struct machine expected, found;
	struct activated activated;
	struct tempdir temp;
	struct strlist mounts;
	const char *mountpoint; /* of what is being compared */
	struct tree_counts files;
	uint64_t same_values, other_values;
	json_t *differences;
	uint64_t left_out;
	bool silent; /* only to see what is what */
};

static int unmount_all(struct comparison *v, struct error *e)
{
	int r = 0;

	for (size_t i = v->mounts.count; i > 0; i--)
		if (umount2(v->mounts.items[i - 1], UMOUNT_NOFOLLOW) < 0 && r == 0)
			r = error_errno(e, errno, "unmount %s", v->mounts.items[i - 1]);
	strlist_free(&v->mounts);
	return r;
}

static void comparison_end(struct comparison *v)
{
	struct error why;

	if (unmount_all(v, &why) < 0)
		report_warn(&v->c->report, "%s", why.text);
	if (deactivate(&v->activated, &why) < 0)
		report_warn(&v->c->report, "%s", why.text);
	tempdir_remove(&v->temp);
	machine_free(&v->expected);
	machine_free(&v->found);
	set_close(v->set);
	target_close(&v->target);
	recovery_conf_free(&v->conf);
	json_decref(v->differences);
}
DEFINE_CLEANUP(comparison, struct comparison, comparison_end)

/* ---- differences ---- */

/* What people and programs are shown must be text. The caller frees; NULL stays NULL. */
static char *shown_text(const char *s)
{
	char *copy = s ? str_printable(xstrdup(s)) : NULL;

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p > '~')
			*p = '?';
	return copy;
}

static void add_difference(struct comparison *v, const char *kind, const char *what, const char *attribute,
			   const char *expected, const char *found, const char *reason)
{
	_cleanup_(free) char *a = shown_text(what), *b = shown_text(expected), *c = shown_text(found);

	if (json_array_size(v->differences) >= max_listed) {
		v->left_out++;
		return;
	}
	if (!v->c->json && !reason)
		printf("%s: %s was %s, is %s\n", a, attribute, b ? b : "not there", c ? c : "not there");
	(void)json_array_append_new(v->differences,
				    json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "kind", kind, "what", a,
					      "attribute", attribute, "expected", b, "found", c, "reason",
					      reason)); /* one that is not there is counted all the same */
}

/* As it is called on the machine. The caller frees. */
static char *whole_path(const struct comparison *v, const char *path)
{
	const char *root = v->mountpoint ? v->mountpoint : "/";
	const char *below = str_after(path, "./");

	return !below ? xstrdup(root) : xasprintf("%s/%s", streq(root, "/") ? "" : root, below);
}

static const char *excuse_file(void *user, const struct tree_difference *d)
{
	struct comparison *v = user;
	_cleanup_(free) char *path = whole_path(v, d->path);

	return excuse(&v->expected, path, d->attribute, d->expected != NULL);
}

static void file_differs(void *user, const struct tree_difference *d, const char *reason)
{
	struct comparison *v = user;
	_cleanup_(free) char *path = whole_path(v, d->path);

	add_difference(v, "file", path, d->attribute, d->expected, d->found, reason);
}

static void value_differs(void *user, const struct machine_difference *d)
{
	struct comparison *v = user;

	if (!v->silent)
		add_difference(v, "identifier", d->what, d->key, d->expected, d->found, NULL);
}

/* ---- what is compared ---- */

/* As a recovery with the same --map made it. */
static int leave_out(struct comparison *v, struct error *e)
{
	_cleanup_(strlist) struct strlist told = { 0 };
	int r = machine_leave_out(&v->expected, &v->options->map, &told, e);

	for (size_t i = 0; i < told.count; i++)
		report_info(&v->c->report, "%s", told.items[i]);
	return r;
}

static int open_set(struct comparison *v, struct error *e)
{
	const struct verify_disks *o = v->options;
	_cleanup_(free) char *text = NULL;
	int r = recovery_conf_load(v->c->conf_path, &v->conf, e);

	if (r == 0)
		identity_configure(o->identity, &v->conf);
	if (r == 0)
		r = cmd_target_open(v->c, &v->conf, o->url, TARGET_READ, &v->target, e);
	if (r == 0)
		r = set_open(&v->target, o->host, o->set, &v->set, &v->c->report, e);
	if (r == 0)
		r = identity_give(o->identity, v->set, true, &v->c->report, e);
	if (r == 0)
		r = set_machine_conf(v->set, &text, &v->c->report, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *shown = xasprintf("%s/machine.conf", set_shown(v->set));

	r = machine_conf_parse(shown, text, &v->expected, e);
	return r < 0 ? r : leave_out(v, e);
}

/* With what is mounted now, by the names of machine.conf. */
static int look(struct comparison *v, bool silent, struct error *e)
{
	const struct machine_compare_options options = { .map = &v->options->map,
							 .differs = value_differs,
							 .user = v };
	int r;

	machine_free(&v->found);
	v->found = (struct machine) { 0 };
	v->silent = silent;
	r = survey_present(&v->found, &v->c->report, e);
	return r < 0 ? r
		     : machine_compare(&v->expected, &v->found, &options, &v->same_values, &v->other_values,
				       e);
}

/* What was found has machine.conf's names by now: its node is known by its number. */
static char *node_of(const struct device *found)
{
	const struct device *d = found->kind == DEVICE_SUBVOLUME ? found->parent : found;
	char *node = d->now.devno ? block_node(d->now.devno) : NULL;

	return node ? node : device_node(d);
}

/* No difference, but no secret either. */
static void tell_new(const struct comparison *v)
{
	for (size_t i = 0; i < v->expected.count; i++)
		if (v->expected.devices[i]->kind == DEVICE_BTRFS)
			report_info(&v->c->report,
				    "%s: the numbers and UUIDs of its devices are not compared: mkfs.btrfs "
				    "gives it "
				    "new ones",
				    v->expected.devices[i]->name);
}

/* Nothing is written, the journal neither. */
static char *mount_options(const struct device *d, const struct fs_ops *ops)
{
	bool journaled = !streq(ops->mount_type, "vfat");

	if (d->kind != DEVICE_SUBVOLUME)
		return xstrdup(journaled ? "norecovery" : "");
	return xasprintf("norecovery,subvol=%s", d->subvolume.path);
}

static bool is_compared(const struct device *d)
{
	return d->content.stream && !streq(d->content.method, "raw");
}

/* -ENOENT: it is not there, which the identifiers say. */
static int mount_one(struct comparison *v, const struct device *d, const char *folder, struct error *e)
{
	const struct device *on = d->kind == DEVICE_SUBVOLUME ? d->parent : d;
	const struct device *found = machine_find(&v->found, on->name);
	const struct fs_ops *ops = found && found->content.type ? fs_find(found->content.type) : NULL;
	_cleanup_(free) char *node = found ? node_of(found) : NULL;

	if (!node || !ops || !ops->mount_type)
		return error_text(e, ENOENT, "compare %s: nothing that could be mounted is there", d->name);
	_cleanup_(free) char *options = mount_options(d, ops);

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "make %s", folder);
	if (mount(node, folder, ops->mount_type, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return error_errno(e, errno, "mount %s (%s) read-only", node, ops->mount_type);
	strlist_add(&v->mounts, folder);
	return 0;
}

static char *folder_of(const struct comparison *v, size_t index)
{
	return xasprintf("%s/%zu", v->temp.path, index);
}

static int mount_all(struct comparison *v, struct error *e)
{
	int r = tempdir_make_in_memory(&v->temp, e);

	for (size_t i = 0; i < v->expected.count && r == 0; i++) {
		const struct device *d = v->expected.devices[i];
		_cleanup_(free) char *folder = folder_of(v, i);

		if (!is_compared(d))
			continue;
		r = mount_one(v, d, folder, e);
		if (r == -ENOENT) {
			report_warn(&v->c->report, "%s", e->text);
			r = 0;
		}
	}
	return r;
}

static int compare_trees(struct comparison *v, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < v->expected.count && r == 0; i++) {
		const struct device *d = v->expected.devices[i];
		_cleanup_(free) char *folder = folder_of(v, i);
		const struct tree_compare_options options = { .no_owners = d->content.type &&
									   streq(d->content.type, "vfat"),
							      .share = v->options->share,
							      .seed = v->options->seed,
							      .excuse = excuse_file,
							      .differs = file_differs,
							      .user = v };

		if (!is_compared(d))
			continue;
		if (!strlist_has(&v->mounts, folder)) {
			v->files.different++;
			add_difference(v, "file", d->content.mountpoint ? d->content.mountpoint : d->name,
				       "presence", "a file system", NULL, NULL);
			continue;
		}
		v->mountpoint = d->content.mountpoint;
		report_info(&v->c->report, "comparing %s with the set", d->name);
		r = set_compare_tree(v->set, d->content.stream, folder, &options, &v->files, &v->c->report,
				     e);
	}
	return r;
}

/* The header of a LUKS device, with all its key slots. What is not there at all is named by the identifiers. */
static int compare_header(struct comparison *v, const struct device *d, struct error *e)
{
	const struct device *found = machine_find(&v->found, d->name);
	_cleanup_(free) char *node = found ? node_of(found) : NULL;
	bool equal = false;
	int r = node ? set_compare_image(v->set, d->content.stream, node, &equal, &v->c->report, e) : 0;

	if (r < 0 || !node)
		return r;
	v->same_values += equal;
	v->other_values += !equal;
	if (!equal)
		add_difference(v, "identifier", d->name, "LUKS header", "as in the set", "other bytes", NULL);
	return 0;
}

static int compare_headers(struct comparison *v, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < v->expected.count && r == 0; i++) {
		const struct content *c = &v->expected.devices[i]->content;

		if (c->stream && streq(c->method, "raw"))
			r = compare_header(v, v->expected.devices[i], e);
	}
	return r;
}

/* What is read comes from the disks, not from the memory of this system. */
static void forget_cached(void)
{
	_cleanup_(fd) int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd >= 0)
		(void)write_all(fd, "3\n", 2); /* it is read again at least where it was not in memory */
}

static int compare(struct comparison *v, struct error *e)
{
	int r = open_set(v, e);

	/* mounts of ours are nobody else's */
	if (r == 0 && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0))
		r = error_errno(e, errno, "make a mount namespace");
	if (r < 0)
		return r;
	forget_cached();
	r = activate(&v->activated, NULL, v->options->key_file, isatty(STDIN_FILENO), &v->c->report, e);
	if (r == 0)
		r = look(v, true, e);
	if (r == 0)
		r = mount_all(v, e);
	if (r == 0)
		r = look(v, false, e);
	if (r == 0)
		r = compare_headers(v, e);
	if (r == 0) {
		tell_new(v);
		r = compare_trees(v, e);
	}
	return r < 0 ? r : unmount_all(v, e);
}

/* ---- words ---- */

static json_t *counts(uint64_t equal, uint64_t explained, uint64_t different)
{
	return json_pack("{s:I, s:I, s:I}", "equal", (json_int_t)equal, "explained", (json_int_t)explained,
			 "different", (json_int_t)different);
}

static int print_json(const struct comparison *v, bool good, struct error *e)
{
	json_t *all = json_pack("{s:b, s:s, s:s, s:f, s:I, s:I, s:o, s:o, s:O, s:I}", "good", good, "target",
				v->target.shown, "set", set_shown(v->set), "share", v->options->share, "seed",
				(json_int_t)v->options->seed, "listed", (json_int_t)v->files.listed, "files",
				counts(v->files.equal, v->files.explained, v->files.different), "identifiers",
				counts(v->same_values, 0, v->other_values), "differences", v->differences,
				"left-out", (json_int_t)v->left_out);
	int failed = !all || json_dumpf(all, stdout, JSON_COMPACT) != 0;

	json_decref(all);
	if (failed)
		return error_errno(e, EIO, "write the differences as JSON");
	printf("\n");
	return 0;
}

static void print_words(const struct comparison *v, bool good)
{
	if (v->left_out)
		printf("and %" PRIu64 " more\n", v->left_out);
	if (v->options->share < 1)
		printf("a sample: the content of %" PRIu64 " files was not read (seed %" PRIu64 ")\n",
		       v->files.sampled_out, v->options->seed);
	if (good)
		printf("%s: %" PRIu64 " files and %" PRIu64 " identifiers are what they were",
		       set_shown(v->set), v->files.equal + v->files.explained, v->same_values);
	else
		printf("%s: %" PRIu64 " of %" PRIu64 " files and %" PRIu64 " of %" PRIu64
		       " identifiers are not what they were",
		       set_shown(v->set), v->files.different, v->files.listed, v->other_values,
		       v->same_values + v->other_values);
	if (v->files.explained)
		printf(" (%" PRIu64 " files are written by a recovery itself)", v->files.explained);
	printf("\n");
}

int cmd_verify_disks(struct cmd *c, const struct verify_disks *options)
{
	_cleanup_(comparison) struct comparison v = { .c = c,
						      .options = options,
						      .target = { .dirfd = -1 },
						      .temp = TEMPDIR_NONE,
						      .differences = json_array() };
	struct error e;

	if (compare(&v, &e) < 0)
		return cmd_failed(c, &e);
	bool good = v.files.different == 0 && v.other_values == 0;

	if (c->json && print_json(&v, good, &e) < 0)
		return cmd_failed(c, &e);
	if (!c->json)
		print_words(&v, good);
	int exit_code = cmd_done(c);

	return exit_code == EXIT_DONE && !good ? EXIT_FAILED : exit_code;
}
