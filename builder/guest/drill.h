/* Drills: a machine, what breaks it, the exercise, the cure and the check, as text (lifeboat-drill(5)). */
#pragma once
#include "base/report.h"
#include "base/str.h"
#include "guest/script.h"

#include <stdbool.h>

enum drill_boot {
	DRILL_BOOT_NOTHING, /* no guest: only for a cure that is a clean disk */
	DRILL_BOOT_MACHINE, /* the machine's own system */
	DRILL_BOOT_RESCUE, /* the rescue image, with the machine's disks */
};

struct drill_phase {
	enum drill_boot boot;
	bool clean; /* the disks are as at first again, before it starts */
	char *append; /* words for the kernel's command line, or NULL */
	struct script script;
};

struct drill {
	char *name, *file;
	char *title, *machine;
	struct strlist disks; /* sizes of further, blank disks: parse_size() takes them */
	struct strlist symptoms; /* what the console shows while the machine is broken */
	struct strlist exercise, hints; /* paragraphs */
	bool uefi; /* machines of qemu: its firmware; for `this` its own */
	struct drill_phase breaking, cure, check;
};
void drill_free(struct drill *d);
DEFINE_CLEANUP(drill, struct drill, drill_free)

/* A site's own drills and machines are looked for here first. */
#define DRILL_FOLDER_SITE "/etc/lifeboat/drills"

/* Reads NAME.conf in the site's folder or in `folder`; a name with a slash is a path. */
int drill_load(const char *folder, const char *name, struct drill *ret, struct error *e);
/* The names of all drills there are, sorted. */
void drill_names(const char *folder, struct strlist *ret);

/* A machine is a folder: its disks and, as short files, what is known of it (lifeboat-drill(5)). */
struct drill_machine {
	char *folder; /* of its disks, which nobody writes to */
	struct strlist
		disks; /* the files there, each with the options of guest/disk.h for what it is plugged into */
	bool qemu; /* a guest with firmware; else User-Mode Linux */
	bool uefi; /* its own firmware */
	char *about; /* what a person has to know of it, such as its users; NULL: nothing is said */
	char *kernel; /* of the rescue system that starts in such a guest, as kernel_find() takes it; NULL: this machine's */
};
void drill_machine_free(struct drill_machine *m);
DEFINE_CLEANUP(drill_machine, struct drill_machine, drill_machine_free)

/* Who makes a machine: puts its files into the empty folder. */
struct drill_maker {
	const char *shown; /* what it is called in messages */
	int (*make)(void *user, const char *folder, struct error *e);
	void *user;
};

/* The machine that is kept in the cache as `key`, made when it is not there: once, also by several at a time. */
int drill_machine_kept(const char *key, const struct drill_maker *maker, struct drill_machine *ret,
		       struct report *report, struct error *e);
/* The machine "NAME" that the program machine-NAME of the drills' folders makes. */
int drill_machine(const char *folder, const char *name, struct drill_machine *ret, struct report *report,
		  struct error *e);
/* Its name in a drill: this machine, as its last backup has it. */
#define DRILL_THIS "this"
/* Are its disks what they were when they were made? */
int drill_machine_check(const struct drill_machine *machine, struct error *e);

/* A drill that is going on: its disks are copy-on-write files in a temporary folder. */
struct drill_run;
struct drill_setup {
	const struct drill_machine *machine;
	const char *rescue; /* the rescue image's folder */
	const char *logs; /* a folder for the consoles' logs; NULL: none are kept */
	int show_fd; /* the consoles are copied here; 0: nowhere */
};
int drill_begin(const struct drill *d, const struct drill_setup *setup, struct drill_run **ret,
		struct error *e);
void drill_end(struct drill_run **run);
DEFINE_CLEANUP(drill_run, struct drill_run *, drill_end)

/* Breaks the machine, and sees to it that its check fails then by one of the symptoms. */
int drill_break(struct drill_run *run, struct report *report, struct error *e);
/* Does what cures it. */
int drill_cure(struct drill_run *run, struct report *report, struct error *e);
/* Is it cured? */
int drill_check(struct drill_run *run, struct report *report, struct error *e);
/* The machine, or the rescue system with its disks, on this terminal, until it ends or is left. */
int drill_hand_over(struct drill_run *run, enum drill_boot boot, struct report *report, struct error *e);
/* All disks are as the machine's were at first. */
int drill_clean(struct drill_run *run, struct error *e);
