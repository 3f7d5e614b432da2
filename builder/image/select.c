#include "image/select.h"

#include "image/hardware.h"

#include <errno.h>
#include <limits.h>

void selection_free(struct selection *s)
{
	strlist_free(&s->loaded);
}

/* What one item asks for, on whose behalf. */
struct asked {
	struct selection *s;
	const struct profile *profile;
	const struct profile_item *item;
	const struct reason *why; /* the profile */
};

/* lifeboat itself goes in as a tool. It may run from a checkout, outside of the root's folders. */
static int add_this_program(const struct asked *a, struct error *e)
{
	char self[PATH_MAX];
	struct selection *s = a->s;
	const struct reason *why = tree_reason(s->tree, a->why, "tool lifeboat");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return error_errno(e, errno, "find this program's file");
	self[n] = '\0';
	_cleanup_(walk) struct walk w = { 0 };
	int r = root_walk(s->tools->root, NULL, self, &w, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *source = root_host_path(s->tools->root, w.canonical);

	r = tree_add_file(s->tree, "usr/bin/lifeboat", 0755, source, (uint64_t)w.st.st_size, why, e);
	if (r == 0)
		r = tools_add_needs(s->tools, w.canonical, why, e);
	return r < 0 ? r : 1;
}

/* Returns 1 when it was had, 0 when not. */
static int add_userland_item(const struct asked *a, struct error *e)
{
	switch (a->item->kind) {
	case ITEM_TOOL:
	case ITEM_TOOL_OPTIONAL:
		return tools_add(a->s->tools, a->item->value, a->why, e);
	case ITEM_THIS_PROGRAM:
		return add_this_program(a, e);
	case ITEM_FILE:
	case ITEM_FILE_OPTIONAL:
		return tools_add_file(a->s->tools, a->item->value, a->why, e);
	default:
		return 1;
	}
}

static int add_machine(const struct asked *a, struct error *e)
{
	_cleanup_(strlist) struct strlist aliases = { 0 };
	struct selection *s = a->s;
	const struct reason *why = tree_reason(s->tree, a->why, "loaded on this machine");
	_cleanup_(strlist) struct strlist except = { 0 };
	int r = hardware_loaded(s->modules->root, &s->loaded, e);

	for (size_t i = 0; i < a->profile->count; i++)
		if (a->profile->items[i].kind == ITEM_MACHINE_EXCEPT)
			strlist_add(&except, a->profile->items[i].value);
	s->modules->except = &except;
	for (size_t i = 0; r >= 0 && i < s->loaded.count; i++) {
		r = modules_add(s->modules, s->loaded.items[i], why, e);
		if (r == 0)
			report_debug(s->report, "kernel %s has no module %s, which is loaded here",
				     s->modules->kernel->version, s->loaded.items[i]);
	}
	if (r >= 0)
		r = hardware_modaliases(s->modules->root, &aliases, e);
	for (size_t i = 0; r >= 0 && i < aliases.count; i++)
		r = modules_add(s->modules, aliases.items[i],
				tree_reason(s->tree, a->why, "a device of this machine"), e);
	s->modules->except = NULL;
	return r < 0 ? r : 1;
}

static int add_module_item(const struct asked *a, struct error *e)
{
	switch (a->item->kind) {
	case ITEM_MODULE:
	case ITEM_MODULE_OPTIONAL:
	case ITEM_MODULE_ALIAS:
		return modules_add(a->s->modules, a->item->value, a->why, e);
	case ITEM_MODULE_CLASS:
		return modules_add_class(a->s->modules, a->item->value, a->why, e);
	case ITEM_FIRMWARE:
		return modules_add_firmware(a->s->modules, a->item->value, a->why, e);
	case ITEM_MACHINE:
		return add_machine(a, e);
	default:
		return 1;
	}
}

/* Nothing was found for the item: fatal for some kinds. */
static int missing(const struct asked *a, struct error *e)
{
	const struct profile_item *item = a->item;
	const char *root = a->s->tools->root->path;

	switch (item->kind) {
	case ITEM_TOOL:
		return profile_error(a->profile, item, ENOENT, e,
				     "tool '%s' is not on this machine%s%s; install it, or drop profile '%s'",
				     item->value, *root ? ": " : "", root, a->profile->name);
	case ITEM_FILE:
		return profile_error(a->profile, item, ENOENT, e, "file %s%s does not exist", root,
				     item->value);
	case ITEM_MODULE:
		if (!a->s->modules->context)
			return 0; /* the kernel has no modules at all: that was said */
		return profile_error(a->profile, item, ENOENT, e,
				     "kernel %s has no module '%s', nor is it built in",
				     a->s->modules->kernel->version, item->value);
	default:
		report_debug(a->s->report, "%s:%u: nothing here for '%s'", a->profile->file, item->line,
			     item->value);
		return 0;
	}
}

static int for_each_item(struct selection *s, int (*add)(const struct asked *, struct error *),
			 struct error *e)
{
	for (size_t p = 0; p < s->profiles->count; p++) {
		const struct profile *profile = &s->profiles->list[p];
		const struct reason *why = tree_reason(s->tree, NULL, "profile %s", profile->name);

		for (size_t i = 0; i < profile->count; i++) {
			const struct asked a = { s, profile, &profile->items[i], why };
			int r = add(&a, e);

			if (r == 0)
				r = missing(&a, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int add_link_item(const struct asked *a, struct error *e)
{
	const struct profile_item *item = a->item;

	if (item->kind != ITEM_LINK)
		return 1;
	int r = tree_add_link(a->s->tree, item->value, item->target,
			      tree_reason(a->s->tree, a->why, "link %s", item->value), e);

	return r < 0 ? r : 1;
}

/* /bin, /lib … are links to usr/ on most systems: the image is laid out like its machine. */
static int add_root_links(struct selection *s, struct error *e)
{
	static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	const struct reason *why = tree_reason(s->tree, NULL, "layout of this machine");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char target[PATH_MAX];
		ssize_t n = readlinkat(s->tools->root->fd, names[i], target, sizeof(target) - 1);

		if (n < 0)
			continue; /* a folder, or not there */
		target[n] = '\0';
		int r = tree_add_link(s->tree, names[i], target, why, e);

		if (r == 0)
			r = tree_add_folder(s->tree, target, 0755, why, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int select_userland(struct selection *s, struct error *e)
{
	int r = add_root_links(s, e);

	if (r == 0)
		r = for_each_item(s, add_link_item, e);
	return r < 0 ? r : for_each_item(s, add_userland_item, e);
}

int select_modules(struct selection *s, struct error *e)
{
	int r = for_each_item(s, add_module_item, e);
	const struct strlist *missing_firmware = &s->modules->missing_firmware;

	if (r < 0)
		return r;
	for (size_t i = 0; i < missing_firmware->count; i++)
		report_debug(s->report, "firmware %s, which a packed module names, is not in /lib/firmware",
			     missing_firmware->items[i]);
	return modules_finish(s->modules, NULL, e);
}
