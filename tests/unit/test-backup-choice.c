/* What of a machine is backed up, and by which method: a person's wishes against what the file systems allow. */
#include "cmd/backup_choice.h"
#include "tap.h"

struct wish {
	struct machine machine;
	struct backup_choice choice;
	struct recovery_conf conf;
	struct report report;
	struct error e;
};

static void wish_free(struct wish *w)
{
	machine_free(&w->machine);
	backup_choice_free(&w->choice);
	recovery_conf_free(&w->conf);
}
DEFINE_CLEANUP(wish, struct wish, wish_free)

static struct device *add(struct machine *m, enum device_kind kind, const char *type, const char *method,
			  const char *mountpoint)
{
	struct device *d = machine_add(m, kind, mountpoint + 1);

	d->content.type = xstrdup(type);
	d->content.stream = xstrdup(mountpoint + 1);
	d->content.method = xstrdup(method);
	d->content.mountpoint = xstrdup(mountpoint);
	d->content.used = 100;
	return d;
}

/* /ext and /xfs, and a btrfs with its top level and `count` subvolumes, of which each is a snapshot of the path behind it. */
static void make(struct wish *w, const char *const subvolumes[][2], size_t count)
{
	struct device *disk = machine_add(&w->machine, DEVICE_DISK, "disk");

	disk->content.used = 50;
	(void)add(&w->machine, DEVICE_PARTITION, "ext4", "dump", "/ext");
	(void)add(&w->machine, DEVICE_PARTITION, "xfs", "archive", "/xfs");
	for (size_t i = 0; i < count; i++) {
		struct device *d = add(&w->machine, DEVICE_SUBVOLUME, "btrfs", "archive", subvolumes[i][0]);

		d->parent = disk;
		d->subvolume.path = xstrdup(subvolumes[i][0]);
		d->subvolume.snapshot_of = subvolumes[i][1] ? xstrdup(subvolumes[i][1]) : NULL;
		d->subvolume.read_only = true;
	}
	w->report.verbosity = VERBOSITY_QUIET;
}

static struct device *at(const struct wish *w, const char *place)
{
	for (size_t i = 0; i < w->machine.count; i++)
		if (w->machine.devices[i]->content.mountpoint &&
		    streq(w->machine.devices[i]->content.mountpoint, place))
			return w->machine.devices[i];
	TAP_FAIL("%s is not there", place);
}

static void decide(struct wish *w)
{
	struct error e;

	CHECK_OK(backup_choice_complete(&w->choice, &w->conf, &e));
	CHECK_OK(backup_choose(&w->choice, &w->machine, &e));
	backup_choose_methods(&w->choice, &w->machine, &w->report);
}

static const char *const tree[][2] = {
	{ "/", NULL }, { "/@", NULL }, { "/old", "/@" }, { "/older", "/gone" }, { "/oldest", "/gone" },
};
static const size_t tree_size = sizeof(tree) / sizeof(tree[0]);

TEST(everything_by_its_own_method)
{
	_cleanup_(wish) struct wish w = { 0 };

	make(&w, tree, tree_size);
	decide(&w);
	CHECK_INT(w.choice.count, 7);
	CHECK_INT(w.choice.total, 250); /* what a btrfs holds counts once */
	CHECK_STR(at(&w, "/ext")->content.method, "dump");
	CHECK_STR(at(&w, "/xfs")->content.method, "archive");
	CHECK_STR(at(&w, "/@")->content.method, "archive");
}

TEST(only_some)
{
	_cleanup_(wish) struct wish w = { 0 };

	make(&w, tree, tree_size);
	strlist_add(&w.choice.only, "/xfs");
	decide(&w);
	CHECK_INT(w.choice.count, 1);
	CHECK(backup_is_chosen(at(&w, "/xfs")));
	CHECK(!backup_is_chosen(at(&w, "/ext")) && !at(&w, "/ext")->content.method);
}

TEST(only_what_is_not_there)
{
	_cleanup_(wish) struct wish w = { 0 };
	struct error e;

	make(&w, tree, 1);
	strlist_add(&w.choice.only, "/srv");
	CHECK_ERROR(backup_choose(&w.choice, &w.machine, &e),
		    "--only /srv: no such file system; there are: /ext, /xfs, /");
}

TEST(nothing_to_back_up)
{
	_cleanup_(wish) struct wish w = { 0 };
	struct error e;

	(void)machine_add(&w.machine, DEVICE_DISK, "sda");
	CHECK_ERROR(backup_choose(&w.choice, &w.machine, &e),
		    "this machine has no mounted file system to back up");
}

TEST(the_first_method_that_suits)
{
	_cleanup_(wish) struct wish w = { 0 };

	make(&w, tree, tree_size);
	strlist_add_words(&w.choice.methods, "send xfsdump archive");
	decide(&w);
	CHECK_STR(at(&w, "/ext")->content.method, "archive");
	CHECK_STR(at(&w, "/xfs")->content.method, "xfsdump");
	CHECK_STR(at(&w, "/@")->content.method, "send");
	CHECK_STR(at(&w, "/")->content.method, "archive"); /* nothing can be received into the top level */
}

TEST(whether_snapshots_are_sent)
{
	static const struct {
		const char *methods, *exclude;
		bool live, sent;
	} cases[] = {
		{ "", "", false, false },
		{ "send", "", false, true },
		{ "xfsdump send", "/srv/cache", false, true },
		{ "archive send", "", false, false }, /* which is never come to */
		{ "send", "*.tmp", false, false }, /* leaves something out of each, so all are archived */
		{ "send", "", true, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(wish) struct wish w = { 0 };

		strlist_add_words(&w.choice.methods, cases[i].methods);
		strlist_add_words(&w.choice.exclude, cases[i].exclude);
		printf("# %s, without %s\n", cases[i].methods, cases[i].exclude);
		CHECK_INT(backup_sends_snapshots(&w.choice, cases[i].live), cases[i].sent);
	}
}

TEST(the_command_lines_methods_in_the_place_of_the_configurations)
{
	_cleanup_(wish) struct wish w = { 0 };

	make(&w, tree, tree_size);
	strlist_add(&w.choice.methods, "send");
	strlist_add(&w.conf.methods, "xfsdump");
	decide(&w);
	CHECK_STR(at(&w, "/xfs")->content.method, "archive");
	CHECK_STR(at(&w, "/@")->content.method, "send");
}

TEST(the_configurations_methods)
{
	_cleanup_(wish) struct wish w = { 0 };

	make(&w, tree, tree_size);
	strlist_add(&w.conf.methods, "xfsdump");
	decide(&w);
	CHECK_STR(at(&w, "/xfs")->content.method, "xfsdump");
}

TEST(what_is_left_out_decides_over_the_method)
{
	_cleanup_(wish) struct wish w = { 0 };
	_cleanup_(strlist) struct strlist patterns = { 0 };

	make(&w, tree, tree_size);
	strlist_add(&w.choice.methods, "xfsdump");
	strlist_add(&w.choice.exclude, "/ext/cache");
	strlist_add(&w.conf.exclude, "/xfs/cache");
	decide(&w);
	CHECK_STR(at(&w, "/ext")->content.method, "archive");
	CHECK_STR(at(&w, "/xfs")->content.method, "archive");
	backup_exclusions(&w.choice, at(&w, "/xfs"), &patterns);
	CHECK_INT(patterns.count, 1);
	CHECK_STR(patterns.items[0], "/xfs/cache");
}

TEST(words_that_mean_nothing)
{
	_cleanup_(wish) struct wish w = { 0 };
	struct error e;

	strlist_add(&w.choice.methods, "rsync");
	CHECK_ERROR(backup_choice_complete(&w.choice, &w.conf, &e),
		    "--method 'rsync': expected archive, dump, xfsdump or send");
	strlist_add(&w.choice.exclude, "/a b");
	CHECK_ERROR(backup_choice_complete(&w.choice, &w.conf, &e),
		    "--exclude '/a b': expected an absolute path without a '/' at its end, or a name, with "
		    "'?' for a blank");
}

TEST(what_is_sent_as_a_difference)
{
	_cleanup_(wish) struct wish w = { 0 };
	const struct snapshots none = SNAPSHOTS_NONE;

	make(&w, tree, tree_size);
	strlist_add(&w.choice.methods, "send");
	decide(&w);
	backup_settle_methods(&w.machine, &none, &w.report);
	CHECK(!backup_send_parent(&w.machine, at(&w, "/@")));
	CHECK(backup_send_parent(&w.machine, at(&w, "/old")) == at(&w, "/@"));
	CHECK(!backup_send_parent(&w.machine, at(&w, "/older")));
	/* they are snapshots of the same, which is gone */
	CHECK(backup_send_parent(&w.machine, at(&w, "/oldest")) == at(&w, "/older"));
}

/* What is written to cannot be sent, nor can a difference to it. */
TEST(archived_without_a_snapshot)
{
	_cleanup_(wish) struct wish w = { 0 };
	const struct snapshots none = SNAPSHOTS_NONE;

	make(&w, tree, tree_size);
	strlist_add(&w.choice.methods, "send");
	at(&w, "/@")->subvolume.read_only = false;
	decide(&w);
	backup_settle_methods(&w.machine, &none, &w.report);
	CHECK_STR(at(&w, "/@")->content.method, "archive");
	CHECK(backup_is_sent(at(&w, "/old")));
	CHECK(!backup_send_parent(&w.machine, at(&w, "/old")));
}

/* Of another btrfs, even on the same path. */
TEST(differences_stay_in_one_btrfs)
{
	_cleanup_(wish) struct wish w = { 0 };
	const struct snapshots none = SNAPSHOTS_NONE;

	make(&w, tree, tree_size);
	strlist_add(&w.choice.methods, "send");
	at(&w, "/old")->parent = machine_add(&w.machine, DEVICE_DISK, "other");
	at(&w, "/oldest")->parent = at(&w, "/old")->parent;
	decide(&w);
	backup_settle_methods(&w.machine, &none, &w.report);
	CHECK(!backup_send_parent(&w.machine, at(&w, "/old")));
	CHECK(!backup_send_parent(&w.machine, at(&w, "/oldest")));
}

TAP_MAIN()
