#include "image/draft.h"

#include "base/parallel.h"
#include "image/generate.h"
#include "image/needs.h"
#include "image/overlay.h"
#include "image/promise.h"
#include "image/share.h"

#include <errno.h>
#include <limits.h>

#ifndef LIFEBOAT_DATADIR
#define LIFEBOAT_DATADIR "/usr/share/lifeboat"
#endif

/* Of every file in the image, unless SOURCE_DATE_EPOCH says otherwise: the first day that FAT and
 * the compressors' headers can tell, 1980-01-01. */
static const time_t default_mtime = 315532800;

static bool is_datadir(const char *path)
{
	_cleanup_(free) char *profile = xasprintf("%s/profiles/minimal.conf", path);

	return access(profile, F_OK) == 0;
}

char *image_find_datadir(void)
{
	char self[PATH_MAX];
	const char *given = getenv("LIFEBOAT_DATADIR");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given && *given)
		return xstrdup(given);
	/* CHECKOUT/build/lifeboat, or a test at CHECKOUT/build/tests/unit/NAME */
	self[n > 0 ? n : 0] = '\0';
	for (int up = 0; up < 4; up++) {
		char *slash = strrchr(self, '/');

		if (!slash || slash == self)
			break;
		*slash = '\0';
		if (up > 0 && is_datadir(self))
			return xstrdup(self);
	}
	return is_datadir(LIFEBOAT_DATADIR) ? xstrdup(LIFEBOAT_DATADIR) : NULL;
}

void image_draft_free(struct image_draft **draft)
{
	struct image_draft *d = *draft;

	if (!d)
		return;
	image_result_free(&d->result);
	free(d->datadir);
	profiles_free(&d->profiles);
	selection_free(&d->selection);
	weights_free(&d->weights);
	modules_close(&d->modules);
	tools_close(&d->tools);
	tree_free(&d->tree);
	format_choice_free(&d->choice);
	kernel_free(&d->kernel);
	root_close(&d->root);
	free(d);
	*draft = NULL;
}

/* --- phases --- */

void draft_end_phase(struct image_draft *d, const char *name)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid clock */
	double seconds = (double)(now.tv_sec - d->phase_begun.tv_sec) +
			 (double)(now.tv_nsec - d->phase_begun.tv_nsec) / 1e9;

	d->result.phases[d->result.phase_count++] = (struct image_phase) { name, seconds };
	d->phase_begun = now;
}

static int read_times(struct image_draft *d, struct error *e)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	d->created = d->request->created ? d->request->created : time(NULL);
	d->mtime = default_mtime;
	if (!epoch || !*epoch)
		return 0;
	/* newc has 32 bits for it */
	if (parse_u64(epoch, &seconds) < 0 || seconds > UINT32_MAX)
		return error_text(e, EINVAL, "SOURCE_DATE_EPOCH=%s: not a number of seconds since 1970",
				  epoch);
	d->mtime = (time_t)seconds;
	if (!d->request->created)
		d->created = d->mtime;
	return 0;
}

/* Those that were named, and for PROFILES_AUTO those that are needed besides. */
static int load_profiles(struct image_draft *d, const char *folder, struct error *e)
{
	const struct image_request *q = d->request;
	const struct strlist *named = q->profiles && q->profiles->count ? q->profiles : &q->conf->profiles;
	_cleanup_(strlist) struct strlist names = { 0 };

	for (size_t i = 0; i < named->count; i++)
		if (!streq(named->items[i], PROFILES_AUTO))
			strlist_add_once(&names, named->items[i]);
	int r = profiles_load(folder, &names, &d->profiles, e);

	if (r == 0 && strlist_has(named, PROFILES_AUTO)) {
		r = needs_add(q->conf, &d->root, &d->profiles, folder, &names, e);
		profiles_free(&d->profiles);
		r = r < 0 ? r : profiles_load(folder, &names, &d->profiles, e);
	}
	return r < 0 ? r : needs_check(q->conf, &d->root, &d->profiles, folder, e);
}

static int select_phase(struct image_draft *d, struct error *e)
{
	const struct image_request *q = d->request;
	int r = read_times(d, e);

	if (r < 0)
		return r;
	d->datadir = q->datadir ? xstrdup(q->datadir) : image_find_datadir();
	if (!d->datadir)
		return error_text(e, ENOENT,
				  "find overlay/ and profiles/: neither beside this program nor in %s; "
				  "set LIFEBOAT_DATADIR",
				  LIFEBOAT_DATADIR);
	_cleanup_(free) char *folder = xasprintf("%s/profiles", d->datadir);

	r = root_open(q->root ? q->root : "/", &d->root, e);
	return r < 0 ? r : load_profiles(d, folder, e);
}

static int userland(struct image_draft *d, struct error *e)
{
	int r = tools_open(&d->root, &d->tree, d->report, &d->tools, e);

	return r < 0 ? r : select_userland(&d->selection, e);
}

static int kernel(struct image_draft *d, struct error *e)
{
	const struct image_request *q = d->request;
	int r = kernel_find(&d->root, q->kernel ? q->kernel : q->conf->kernel, &d->kernel, d->report, e);

	if (r < 0)
		return r;
	d->result.kernel_version = xstrdup(d->kernel.version);
	r = format_choose(q->conf, &d->kernel, &d->choice, e);
	return r < 0 ? r : modules_read(&d->modules, e);
}

static int machine(struct image_draft *d, struct error *e)
{
	return select_machine(&d->selection, e);
}

/* What there is to look up before modules can be taken, the longest first. None needs another, and only the first touches
 * the tree. */
static int (*const look_ups[])(struct image_draft *d, struct error *e) = { userland, kernel, machine };
enum { look_up_count = sizeof(look_ups) / sizeof(*look_ups) };

struct looking_up {
	struct image_draft *draft;
	int results[look_up_count];
	struct error errors[look_up_count];
};

static void look_up(void *user, size_t at, unsigned thread)
{
	struct looking_up *all = user;

	(void)thread; /* nothing is kept from one to the next */
	all->results[at] = look_ups[at](all->draft, &all->errors[at]);
}

static int find_phase(struct image_draft *d, struct error *e)
{
	struct looking_up all = { .draft = d };

	d->selection = (struct selection) { .profiles = &d->profiles,
					    .root = &d->root,
					    .tools = &d->tools,
					    .modules = &d->modules,
					    .tree = &d->tree,
					    .report = d->report };
	int r = select_links(&d->selection, e);

	if (r == 0)
		r = modules_open(&d->root, &d->kernel, &d->tree, d->report, &d->modules, e);
	if (r < 0)
		return r;
	parallel_run(look_up_count, look_up, &all);
	for (size_t i = 0; r == 0 && i < look_up_count; i++) {
		r = all.results[i];
		if (r < 0 && e)
			*e = all.errors[i];
	}
	return r;
}

static int modules_phase(struct image_draft *d, struct error *e)
{
	return select_modules(&d->selection, e);
}

/* What is ours and the site's, on top of what the machine has. */
static int overlay_phase(struct image_draft *d, struct error *e)
{
	const struct generator g = { .conf = d->request->conf,
				     .root = &d->root,
				     .kernel = &d->kernel,
				     .modules = &d->modules,
				     .tree = &d->tree,
				     .report = d->report,
				     .loaded = &d->selection.loaded,
				     .created = d->created };
	_cleanup_(free) char *ours = xasprintf("%s/overlay", d->datadir);
	int r = generate_files(&g, &d->result.secrets, e);

	if (r == 0)
		r = overlay_add(&d->tools, ours, true, &d->result.secrets, e);
	if (r == 0 && d->request->conf->overlay)
		r = overlay_add(&d->tools, d->request->conf->overlay, false, &d->result.secrets, e);
	if (r == 0)
		r = libs_finish(&d->tools.libs, e);
	/* The kernel's own name for what it starts on a RAM disk. */
	if (r == 0 && d->choice.way == BOOT_CLASSIC)
		r = tree_add_link(&d->tree, "/linuxrc", "init", tree_reason(&d->tree, NULL, "classic initrd"),
				  e);
	if (r == 0 && !tree_find(&d->tree, "init"))
		r = error_text(e, ENOENT, "make the image: %s has no init", ours);
	d->result.holds_secrets = d->result.secrets.count > 0;
	tree_sort(&d->tree);
	d->result.files = d->tree.count;
	return r < 0 ? r : tree_share_duplicates(&d->tree, e);
}

/* The tree is complete: does it do what its profiles say? */
static int promises_phase(struct image_draft *d, struct error *e)
{
	_cleanup_(free) char *modules = xasprintf("lib/modules/%s", d->kernel.version);
	_cleanup_(view) struct view view = { .tree = &d->tree, .modules = modules };

	return promises_check(&d->profiles, &view, d->kernel.modules, &d->result.promises, e);
}

int image_draft(const struct image_request *request, struct image_draft **ret, struct report *report,
		struct error *e)
{
	static const struct {
		const char *name;
		int (*run)(struct image_draft *d, struct error *e);
	} phases[] = { { "select", select_phase },
		       { "find", find_phase },
		       { "modules", modules_phase },
		       { "overlay", overlay_phase },
		       { "promises", promises_phase } };
	_cleanup_(image_draft) struct image_draft *d = xcalloc(1, sizeof(*d));

	d->request = request;
	d->report = report;
	d->root = (struct root)ROOT_NONE;
	(void)clock_gettime(CLOCK_MONOTONIC, &d->phase_begun); /* cannot fail with a valid clock */
	for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++) {
		int r = phases[i].run(d, e);

		if (r < 0)
			return r;
		draft_end_phase(d, phases[i].name);
	}
	*ret = TAKE_PTR(d);
	return 0;
}

int draft_weigh(struct image_draft *d, struct error *e)
{
	if (d->weights.bytes)
		return 0;
	return weigh_tree(&d->tree, compressor_find(d->request->conf->compress, NULL), &d->weights, e);
}
