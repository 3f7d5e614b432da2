#include "image/select.h"

#include "image/hardware.h"

#include <errno.h>
#include <limits.h>

void selection_free(struct selection *s)
{
	strlist_free(&s->loaded);
	strlist_free(&s->aliases);
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
	int r = root_walk(s->root, NULL, self, &w, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *source = root_host_path(s->root, w.canonical);

	r = tree_add_file(s->tree, "usr/bin/lifeboat", 0755, source, (uint64_t)w.st.st_size, why, e);
	if (r == 0)
		r = tools_add_needs(s->tools, w.canonical, why, e);
	return r < 0 ? r : 1;
}

/* "A|B": A, or else B. `add` returns as modules_add() does; so does this. */
static int add_first(const struct asked *a,
		     int (*add)(const struct asked *a, const char *name, struct error *e), struct error *e)
{
	_cleanup_(strlist) struct strlist names = { 0 };
	int r = 0;

	strlist_add_parts(&names, a->item->value, '|');
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = add(a, names.items[i], e);
	return r;
}

static int add_tool(const struct asked *a, const char *name, struct error *e)
{
	return tools_add(a->s->tools, name, a->why, e);
}

static int add_file(const struct asked *a, const char *name, struct error *e)
{
	return tools_add_file(a->s->tools, name, a->why, e);
}

static int add_module(const struct asked *a, const char *name, struct error *e)
{
	return modules_add(a->s->modules, name, a->why, e);
}

/* Opened by the first tool of its promise, which is there already: tools come first. */
static int add_library(const struct asked *a, const char *name, struct error *e)
{
	_cleanup_(strlist) struct strlist tools = { 0 };
	int r = 0;

	for (size_t i = 0; !tools.count && i < a->profile->count; i++) {
		const struct profile_item *other = &a->profile->items[i];

		if (other->kind == ITEM_TOOL && other->promise == a->item->promise)
			strlist_add_parts(&tools, other->value, '|');
	}
	for (size_t i = 0; r == 0 && i < tools.count; i++)
		r = tools_add_library(a->s->tools, tools.items[i], name, a->why, e);
	return r;
}

/* Returns 1 when it was had, 0 when not. */
static int add_userland_item(const struct asked *a, struct error *e)
{
	switch (a->item->kind) {
	case ITEM_TOOL:
	case ITEM_TOOL_OPTIONAL:
		return add_first(a, add_tool, e);
	case ITEM_THIS_PROGRAM:
		return add_this_program(a, e);
	case ITEM_FILE:
	case ITEM_FILE_OPTIONAL:
		return add_first(a, add_file, e);
	default:
		return 1;
	}
}

static int add_library_item(const struct asked *a, struct error *e)
{
	return a->item->kind == ITEM_LIBRARY ? add_first(a, add_library, e) : 1;
}

static int add_machine(const struct asked *a, struct error *e)
{
	struct selection *s = a->s;
	const struct reason *why = tree_reason(s->tree, a->why, "loaded on this machine");
	_cleanup_(strlist) struct strlist except = { 0 };
	int r = 0;

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
	for (size_t i = 0; r >= 0 && i < s->aliases.count; i++)
		r = modules_add(s->modules, s->aliases.items[i],
				tree_reason(s->tree, a->why, "a device of this machine"), e);
	s->modules->except = NULL;
	return r < 0 ? r : 1;
}

static int add_module_item(const struct asked *a, struct error *e)
{
	switch (a->item->kind) {
	case ITEM_MODULE:
	case ITEM_MODULE_OPTIONAL:
		return add_first(a, add_module, e);
	case ITEM_MODULE_ALIAS:
		return add_module(a, a->item->value, e);
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

/* What to do about an item that cannot be had. The caller frees. */
static char *next_step(const struct asked *a)
{
	const struct promise *p = profile_promise(a->profile, a->item);
	_cleanup_(free) char *step = a->item->kind == ITEM_MODULE ? xstrdup("take another kernel")
				     : p && p->packages ? xasprintf("install package %s", p->packages)
							: xstrdup("install it");

	return xasprintf("%s%s%s; %s, or drop profile '%s'", p ? ", and '" : "", p ? p->name : "",
			 p ? "' needs it" : "", step, a->profile->name);
}

/* Nothing was found for the item: fatal for some kinds. */
static int missing(const struct asked *a, struct error *e)
{
	const struct profile_item *item = a->item;
	const char *root = a->s->root->path;
	_cleanup_(free) char *next = next_step(a);

	switch (item->kind) {
	case ITEM_TOOL:
	case ITEM_LIBRARY:
		return profile_error(a->profile, item, ENOENT, e, "%s '%s' is not on this machine%s%s%s",
				     item->kind == ITEM_TOOL ? "tool" : "library", item->value,
				     *root ? ": " : "", root, next);
	case ITEM_FILE:
		return profile_error(a->profile, item, ENOENT, e, "file %s%s does not exist%s", root,
				     item->value, next);
	case ITEM_MODULE:
		if (!a->s->modules->context)
			return 0; /* the kernel has no modules at all: that was said */
		return profile_error(a->profile, item, ENOENT, e,
				     "kernel %s has no module '%s', nor is it built in%s",
				     a->s->modules->kernel->version, item->value, next);
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
		ssize_t n = readlinkat(s->root->fd, names[i], target, sizeof(target) - 1);

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

int select_links(struct selection *s, struct error *e)
{
	int r = add_root_links(s, e);

	return r < 0 ? r : for_each_item(s, add_link_item, e);
}

int select_userland(struct selection *s, struct error *e)
{
	int r = for_each_item(s, add_userland_item, e);

	return r < 0 ? r : for_each_item(s, add_library_item, e);
}

static bool asks_for_machine(const struct profiles *profiles)
{
	for (size_t p = 0; p < profiles->count; p++)
		for (size_t i = 0; i < profiles->list[p].count; i++)
			if (profiles->list[p].items[i].kind == ITEM_MACHINE)
				return true;
	return false;
}

int select_machine(struct selection *s, struct error *e)
{
	if (!asks_for_machine(s->profiles))
		return 0;
	int r = hardware_loaded(s->root, &s->loaded, e);

	return r < 0 ? r : hardware_modaliases(s->root, &s->aliases, e);
}

int select_modules(struct selection *s, struct error *e)
{
	int r = for_each_item(s, add_module_item, e);

	return r < 0 ? r : modules_finish(s->modules, NULL, e);
}
