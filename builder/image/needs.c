#include "image/needs.h"

#include "image/hardware.h"

#include <errno.h>

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

static bool is_promised(const struct profiles *profiles, const struct need *need)
{
	for (size_t i = 0; i < profiles->count; i++)
		if (profile_promises(&profiles->list[i], need->promise) ||
		    (need->or_promise && profile_promises(&profiles->list[i], need->or_promise)))
			return true;
	return false;
}

/* "no chosen profile promises 'can make xfs'; add profile xfs". The caller frees. */
static char *unpromised(const struct need *need, const char *folder)
{
	_cleanup_(strlist) struct strlist who = { 0 };

	profiles_that_promise(folder, need->promise, &who);
	_cleanup_(free) char *names = strlist_join(&who, " or ");

	return xasprintf("no chosen profile promises '%s'; %s%s", need->promise,
			 who.count ? "add profile " : "write one that does (lifeboat-profile(5))",
			 who.count ? names : "");
}

static int check_target(const struct recovery_conf *conf, const struct profiles *profiles, const char *folder,
			struct error *e)
{
	for (size_t i = 0; conf->target && i < sizeof(of_targets) / sizeof(*of_targets); i++) {
		const struct need *need = &of_targets[i];

		if (!str_after(conf->target, need->of) || is_promised(profiles, need))
			continue;
		_cleanup_(free) char *why = unpromised(need, folder);

		return recovery_conf_error(conf, "backup", "target", ENOENT, e, "target %s: %s", conf->target,
					   why);
	}
	return 0;
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

static int check_machine(const struct root *root, const struct profiles *profiles, const char *folder,
			 struct error *e)
{
	const struct profile *about = about_machine(profiles);
	_cleanup_(strlist) struct strlist storage = { 0 };

	if (!about)
		return 0;
	int r = hardware_storage(root, &storage, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(of_machines) / sizeof(*of_machines); i++) {
		const struct need *need = &of_machines[i];

		if (!strlist_has(&storage, need->of) || is_promised(profiles, need))
			continue;
		_cleanup_(free) char *why = unpromised(need, folder);

		return error_text(e, ENOENT, "this machine has %s: %s, or drop profile %s", need->of, why,
				  about->name);
	}
	return 0;
}

int needs_check(const struct recovery_conf *conf, const struct root *root, const struct profiles *profiles,
		const char *folder, struct error *e)
{
	int r = check_target(conf, profiles, folder, e);

	return r < 0 ? r : check_machine(root, profiles, folder, e);
}
