/* Profiles: named lists of what goes into an image, as data (profiles/NAME.conf, conf/ini.h's
 * grammar; lifeboat-profile(5) explains the keys). A profile is read into a flat list of items;
 * each remembers its line, so that what cannot be had is reported at the word that asked for it. */
#pragma once
#include "base/error.h"
#include "base/str.h"

enum profile_item_kind {
	ITEM_TOOL, /* a program's name or path; missing: the build fails */
	ITEM_TOOL_OPTIONAL,
	ITEM_THIS_PROGRAM, /* lifeboat itself; no value */
	ITEM_MODULE, /* a module's name; neither there nor built in: the build fails */
	ITEM_MODULE_OPTIONAL,
	ITEM_MODULE_CLASS, /* a folder below the kernel's modules: kernel/drivers/ata */
	ITEM_MODULE_ALIAS, /* looked up as modprobe would */
	ITEM_MACHINE, /* this machine's loaded modules and modaliases; no value */
	ITEM_MACHINE_EXCEPT, /* a folder like a class's: not for the item above */
	ITEM_FIRMWARE, /* a file below /lib/firmware */
	ITEM_FILE, /* a path; missing: the build fails */
	ITEM_FILE_OPTIONAL,
	ITEM_LINK, /* `value` is the link's path, `target` where it points */
	ITEM_LIBRARY, /* of a promise: its first tool opens it by this name */
	ITEM_APPLET, /* of a promise: a command of busybox */
};

struct profile_item {
	enum profile_item_kind kind;
	char *value; /* where one is required: "A|B" is satisfied by A or else by B */
	char *target; /* ITEM_LINK only */
	unsigned line;
	unsigned promise; /* which one needs it, counted from 1; 0: none */
};

/* What an image with this profile can do. Its needs are items like the others, so they are packed as well;
 * that the finished tree keeps it is looked at once more (image/promise.h). */
struct promise {
	char *name; /* "can mount nfs4" */
	char *packages; /* what to install when something is missing, or NULL */
};

struct profile {
	char *name;
	char *file; /* where it was read, for messages */
	char *description;
	struct strlist requires; /* names of other profiles */
	struct profile_item *items;
	size_t count, capacity;
	struct promise *promises;
	size_t promise_count, promise_capacity;
};

/* All profiles of an image, each once, a required one before the one that requires it. */
struct profiles {
	struct profile *list;
	size_t count, capacity;
};
void profiles_free(struct profiles *p);
DEFINE_CLEANUP(profiles, struct profiles, profiles_free)

/* In a list of names: those that the machine and the target need besides (image/needs.h). No profile itself. */
#define PROFILES_AUTO "auto"

/* A site's own profiles are looked for here first. */
#define PROFILE_FOLDER_SITE "/etc/lifeboat/profiles"

/* Parses one profile's text; `file` is for messages. */
int profile_parse(const char *name, const char *file, const char *text, struct profile *ret, struct error *e);
void profile_free(struct profile *p);
DEFINE_CLEANUP(profile, struct profile, profile_free)

/* Reads the profiles `names` and all that they require. A name without a slash is NAME.conf in
 * PROFILE_FOLDER_SITE or `folder`; one with a slash is the path of a profile. */
int profiles_load(const char *folder, const struct strlist *names, struct profiles *ret, struct error *e);

/* The promise that the item is for, or NULL. */
const struct promise *profile_promise(const struct profile *p, const struct profile_item *item);
bool profile_promises(const struct profile *p, const char *promise);

/* Names of all profiles in PROFILE_FOLDER_SITE and `folder` that promise this; those that cannot be read are
 * passed over. */
void profiles_that_promise(const char *folder, const char *promise, struct strlist *ret);

/* "FILE:LINE: text" as -`code`: what the item asks for cannot be had. */
int profile_error(const struct profile *p, const struct profile_item *item, int code, struct error *e,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
