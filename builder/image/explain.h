/* Answers about an image that need no packing: why a file is in it, what it costs, what would go with
 * whom. Texts and entries in them belong to the draft. */
#pragma once
#include "image/image.h"
#include "image/reasons.h"

/* --- why --- */

/* The paths in the image that `what` stands for: a path, also one that leads through links; the name of
 * a file; the name of a kernel module. None: image_near() helps. */
void image_find(const struct image_draft *d, const char *what, struct strlist *ret);

/* What there is instead of what is not in the image, one phrase each: the same name elsewhere, a driver
 * that is built in, a file that a profile could take. */
void image_near(const struct image_draft *d, const char *what, struct strlist *ret);

struct image_why {
	const struct entry *entry;
	const struct entry *file; /* where a link leads in the end, NULL: nowhere; else the entry itself */
	struct chains chains; /* of both, the shortest first */
};
void image_why_free(struct image_why *w);
DEFINE_CLEANUP(image_why, struct image_why, image_why_free)
/* `path` is one of image_find()'s. */
void image_why(const struct image_draft *d, const char *path, struct image_why *ret);

/* --- list --- */

struct image_item {
	const struct entry *entry;
	double share; /* of the packed image, 0 … 1 */
};
struct image_items {
	struct image_item *list;
	size_t count;
};
void image_items_free(struct image_items *items);
DEFINE_CLEANUP(image_items, struct image_items, image_items_free)
/* Everything but folders, what takes the largest share first. */
int image_items(struct image_draft *d, struct image_items *ret, struct error *e);

enum image_by { BY_PROFILE, BY_TOOL, BY_MODULE, BY_COUNT };
extern const char *const image_by_names[BY_COUNT];

/* What a profile, tool or module brought in. A file counts once, for the first that asked for it; so the
 * sums add up to the image. */
struct image_sum {
	const char *name; /* NULL: what came in without any tool, or module */
	bool is_one; /* false: no profile of that name; it is what stands at the begin of the chain */
	size_t files;
	uint64_t size; /* bytes of content */
	double share;
	/* what would no longer be there if it were not asked for: nobody else wants it */
	size_t alone_files;
	uint64_t alone_size;
	double alone_share;
};
struct image_sums {
	struct image_sum *list;
	size_t count, capacity;
	struct strlist names; /* owns the sums' names */
};
void image_sums_free(struct image_sums *sums);
DEFINE_CLEANUP(image_sums, struct image_sums, image_sums_free)
int image_sums(struct image_draft *d, enum image_by by, struct image_sums *ret, struct error *e);

/* --- promises --- */

/* One thing that a promise needs, of what kind: "tools", "applets", "modules", "libraries", "files". */
struct image_need {
	const char *kind, *what;
};
/* What a profile says that the image can do. A draft keeps all of its promises; those that could not be looked at,
 * for a kernel without a folder of modules, are not `seen`. */
struct image_promise {
	const char *name, *profile;
	bool seen;
	struct image_need *needs;
	size_t count, capacity;
};
struct image_promises {
	struct image_promise *list;
	size_t count, capacity;
};
void image_promises_free(struct image_promises *p);
DEFINE_CLEANUP(image_promises, struct image_promises, image_promises_free)
/* In the order of the profiles. */
void image_promises(const struct image_draft *d, struct image_promises *ret);
