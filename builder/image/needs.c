#include "image/needs.h"

#include "image/hardware.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Who needs which promise: one of two will do. */
struct need {
	const char *of; /* a target's scheme, or what hardware_storage() calls it */
	const char *promise, *or_promise;
};
static const struct need of_targets[] = {
	{ "smb://", "can mount smb3", NULL },
	{ "nfs://", "can mount nfs4", "can mount nfs3" },
};
static const struct need of_machines[] = {
	{ "ext2", "can make ext4", NULL },
	{ "ext3", "can make ext4", NULL },
	{ "ext4", "can make ext4", NULL },
	{ "xfs", "can make xfs", NULL },
	{ "btrfs", "can make btrfs", NULL },
	{ "vfat", "can make vfat", NULL },
	{ "swap", "can make swap", NULL },
	{ "lvm", "can open lvm", NULL },
	{ "lvm thin pool", "can open lvm thin pools", NULL },
	{ "luks", "can open luks", NULL },
	{ "raid", "can assemble raid", NULL },
	{ "uefi", "can set boot entries", NULL },
};

/* Who backs up encrypted wants to recover. */
static const struct need of_encryption = { "encryption", "can decrypt backups", NULL };

/* What a chosen method of backup has to be restored by. */
static const struct need of_methods[] = {
	{ "xfsdump", "can restore xfs dumps", NULL },
	{ "send", "can make btrfs", NULL }, /* which has btrfs receive */
};

/* What is no need, but too good to be left out by a machine that has it: a file of its own → a promise. */
static const struct need of_programs[] = {
	{ "usr/bin/systemd-nspawn", "can enter with systemd-nspawn", NULL },
};

static bool is_promised(const struct profiles *profiles, const struct need *need)
{
	for (size_t i = 0; i < profiles->count; i++)
		if (profile_promises(&profiles->list[i], need->promise) ||
		    (need->or_promise && profile_promises(&profiles->list[i], need->or_promise)))
			return true;
	return false;
}

/* Needs that nobody promises, put together for one message. */
struct unmet {
	struct strlist of, promises, profiles; /* profiles: those that would promise it */
};
static void unmet_free(struct unmet *u)
{
	strlist_free(&u->of);
	strlist_free(&u->promises);
	strlist_free(&u->profiles);
}
DEFINE_CLEANUP(unmet, struct unmet, unmet_free)

static void add_unmet(struct unmet *u, const struct need *need, const char *folder)
{
	_cleanup_(free) char *quoted = xasprintf("'%s'", need->promise);
	_cleanup_(strlist) struct strlist who = { 0 };

	profiles_that_promise(folder, need->promise, &who);
	strlist_add(&u->of, need->of);
	strlist_add_once(&u->promises, quoted);
	if (who.count)
		strlist_add_once(&u->profiles, who.items[0]);
}

/* "no chosen profile promises 'can make xfs'; add xfs to 'profiles' in recovery.conf". The caller frees. */
static char *unmet_text(const struct unmet *u)
{
	_cleanup_(free) char *promises = strlist_join(&u->promises, ", ");
	_cleanup_(free) char *profiles = u->profiles.count ? strlist_join(&u->profiles, " ") : NULL;

	return xasprintf("no chosen profile promises %s; %s%s%s", promises,
			 profiles ? "add " : "write one that does",
			 profiles ? profiles : " (lifeboat-profile(5))",
			 profiles ? " to 'profiles' in recovery.conf" : "");
}

static void find_unmet_of_target(const struct recovery_conf *conf, const struct profiles *profiles,
				 const char *folder, struct unmet *u)
{
	_cleanup_(strlist) struct strlist targets = { 0 };

	if (conf->target)
		recovery_split_targets(conf->target, &targets);
	for (size_t i = 0; i < sizeof(of_targets) / sizeof(*of_targets); i++) {
		bool wanted = false;

		for (size_t t = 0; t < targets.count; t++)
			wanted |= str_after(targets.items[t], of_targets[i].of) != NULL;
		if (wanted && !is_promised(profiles, &of_targets[i]))
			add_unmet(u, &of_targets[i], folder);
	}
}

/* The profile that is about this machine, or NULL. */
static const struct profile *about_machine(const struct profiles *profiles)
{
	for (size_t p = 0; p < profiles->count; p++)
		for (size_t i = 0; i < profiles->list[p].count; i++)
			if (profiles->list[p].items[i].kind == ITEM_MACHINE)
				return &profiles->list[p];
	return NULL;
}

static int find_unmet_of_machine(const struct root *root, const struct profiles *profiles, const char *folder,
				 struct unmet *u, struct error *e)
{
	_cleanup_(strlist) struct strlist storage = { 0 };
	int r = about_machine(profiles) ? hardware_storage(root, &storage, e) : 0;

	for (size_t i = 0; r == 0 && i < sizeof(of_machines) / sizeof(*of_machines); i++)
		if (strlist_has(&storage, of_machines[i].of) && !is_promised(profiles, &of_machines[i]))
			add_unmet(u, &of_machines[i], folder);
	return r;
}

static void find_unmet_of_encryption(const struct recovery_conf *conf, const struct profiles *profiles,
				     const char *folder, struct unmet *u)
{
	if (conf->encrypt_to.count && !is_promised(profiles, &of_encryption))
		add_unmet(u, &of_encryption, folder);
}

static void find_unmet_of_methods(const struct recovery_conf *conf, const struct profiles *profiles,
				  const char *folder, struct unmet *u)
{
	for (size_t i = 0; i < sizeof(of_methods) / sizeof(*of_methods); i++)
		if (strlist_has(&conf->methods, of_methods[i].of) && !is_promised(profiles, &of_methods[i]))
			add_unmet(u, &of_methods[i], folder);
}

int needs_check(const struct recovery_conf *conf, const struct root *root, const struct profiles *profiles,
		const char *folder, struct error *e)
{
	_cleanup_(unmet) struct unmet of_target = { 0 }, of_machine = { 0 }, of_keys = { 0 },
				      of_method = { 0 };

	find_unmet_of_target(conf, profiles, folder, &of_target);
	if (of_target.of.count) {
		_cleanup_(free) char *why = unmet_text(&of_target);

		return recovery_conf_error(conf, "backup", "target", ENOENT, e, "target %s: %s", conf->target,
					   why);
	}
	find_unmet_of_encryption(conf, profiles, folder, &of_keys);
	if (of_keys.of.count) {
		_cleanup_(free) char *why = unmet_text(&of_keys);

		return recovery_conf_error(conf, "backup", "encrypt-to", ENOENT, e,
					   "backups are encrypted: %s", why);
	}
	find_unmet_of_methods(conf, profiles, folder, &of_method);
	if (of_method.of.count) {
		_cleanup_(free) char *why = unmet_text(&of_method);

		return recovery_conf_error(conf, "backup", "method", ENOENT, e, "backups by %s: %s",
					   of_method.of.items[0], why);
	}
	int r = find_unmet_of_machine(root, profiles, folder, &of_machine, e);

	if (r < 0 || !of_machine.of.count)
		return r;
	_cleanup_(free) char *of = strlist_join(&of_machine.of, ", "), *why = unmet_text(&of_machine);

	return error_text(e, ENOENT, "this machine has %s: %s, or drop profile %s", of, why,
			  about_machine(profiles)->name);
}

static void find_wanted_of_programs(const struct root *root, const struct profiles *profiles,
				    const char *folder, struct unmet *u)
{
	for (size_t i = 0; i < sizeof(of_programs) / sizeof(*of_programs); i++)
		if (faccessat(root->fd, of_programs[i].of, X_OK, 0) == 0 &&
		    !is_promised(profiles, &of_programs[i]))
			add_unmet(u, &of_programs[i], folder);
}

int needs_add(const struct recovery_conf *conf, const struct root *root, const struct profiles *profiles,
	      const char *folder, struct strlist *names, struct error *e)
{
	_cleanup_(unmet) struct unmet u = { 0 };
	int r = find_unmet_of_machine(root, profiles, folder, &u, e);

	find_unmet_of_target(conf, profiles, folder, &u);
	find_unmet_of_encryption(conf, profiles, folder, &u);
	find_unmet_of_methods(conf, profiles, folder, &u);
	find_wanted_of_programs(root, profiles, folder, &u);
	for (size_t i = 0; i < u.profiles.count; i++)
		strlist_add_once(names, u.profiles.items[i]);
	return r;
}
