/* How a file system becomes a stream and comes back; one file each (method_NAME.c), one row each in method.c.
 * Private to this room. */
#pragma once
#include "backup/levels.h"
#include "backup/listing.h"
#include "backup/set.h"

/* One file system that is to be saved. */
struct save_job {
	struct set_writer *w;
	const char *name;
	const struct set_source *source; /* `shown` is set */
	/* The set whose stream of this name and method this one goes on from, and what is known of that; NULL: everything is
	 * saved. The method may still find that it cannot: then it leaves `record->since` 0, and saves everything. */
	struct set *base;
	const struct stream_record *base_record;
	struct stream_record *record; /* date, since and identity are the method's to fill */
	struct report *report;
};

struct method {
	const char *name; /* METHOD in NAME.METHOD.zst.NNN */
	bool by_file; /* can leave out single files */
	const char *type; /* of the file systems that it can be chosen for; "": any; NULL: none */
	bool no_levels; /* saves everything always */
	bool image; /* of a device: set_save_image() and raw_restore() instead of what follows; has no listing */
	/* Saves the file system as NAME.METHOD, and beside it its listing and whatever the method itself drops. */
	int (*save)(const struct save_job *job, struct error *e);
	/* Before restore(), when the method has it: makes what that goes on with. May be NULL. */
	int (*receive)(struct set *s, const char *name, const char *folder, struct report *report,
		       struct error *e);
	/* Restores the one stream of `s`; below it lies what the sets below have left. `last`: no other follows. */
	int (*restore)(struct set *s, const char *name, const char *folder, bool last, struct report *report,
		       struct error *e);
};
extern const struct method method_archive, method_dump, method_raw, method_send, method_xfsdump;

/* Writes the image NAME.raw onto the device node, which nothing else may use. */
int raw_restore(struct set *s, const char *name, const char *node, struct report *report, struct error *e);
