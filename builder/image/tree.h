/* The set of files that goes into an image, each with its reason. Nothing is copied to make it:
 * a regular file is the path of its source, or text made by us.
 *
 * Paths are those inside the image. They are given with or without a leading slash and may lead
 * through symbolic links of the tree (/bin/mount where /bin points to usr/bin); the tree keeps
 * each entry under its canonical path, without the slash. Missing folders are made (0755). What is
 * there already stays, and gets a further reason. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "image/map.h"

#include <stdint.h>
#include <sys/types.h>

/* Why something is there, and on whose behalf: a chain up to a profile. Owned by the tree. */
struct reason {
	const struct reason *because; /* NULL: the first of the chain */
	char *text; /* "profile smb", "tool mount.cifs" … */
	size_t id; /* its place in tree.reasons */
};

struct entry {
	char *path; /* canonical, without leading slash */
	mode_t mode; /* type and permissions */
	char *source; /* regular: read from this path of this machine; NULL: `data` is the content */
	bool packed; /* `source` is compressed, and goes in unpacked: content_open() */
	const struct spool *spool; /* NULL, or where it lies unpacked already; caller's */
	uint64_t spool_at;
	char *data; /* regular without source: content; symbolic link: where it points */
	uint64_t size; /* bytes of content or of the link's target */
	dev_t rdev; /* device nodes */
	size_t index; /* its place in a sorted tree */
	const struct entry *same_as; /* this later one carries the content of both; NULL: it has its own */
	unsigned links; /* of the one that carries the content: how many names it has; 0 is 1 */
	const struct reason *reason; /* the first that asked for it */
	const struct reason **further; /* those that asked later; none for a folder */
	size_t further_count, further_capacity;
};

struct tree {
	struct entry **entries; /* in the order they were added until tree_sort() */
	size_t count, capacity;
	struct map by_path;
	struct reason **reasons;
	size_t reason_count, reason_capacity;
	bool replace; /* what is added takes the place of what is there; else the first one stays */
};
void tree_free(struct tree *t);
DEFINE_CLEANUP(tree, struct tree, tree_free)

const struct reason *tree_reason(struct tree *t, const struct reason *because, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A further reason, of that text, for the file at this path, which is in the tree already. What it has
 * already is not taken twice. */
void tree_also(struct tree *t, const char *path, const struct reason *because, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "profile smb → tool mount.cifs → library libcap-ng.so.0". The caller frees. */
char *reason_text(const struct reason *reason);

/* The entry at exactly this canonical path, or NULL. */
struct entry *tree_find(const struct tree *t, const char *path);
/* The last part of its path. */
const char *entry_name(const struct entry *entry);
/* The folder that it is in, or NULL: that is the root. */
const struct entry *tree_parent(const struct tree *t, const struct entry *entry);
/* The canonical form of `path`: links in its folders are followed, its last part is not. */
int tree_canonical(const struct tree *t, const char *path, char **ret, struct error *e);

/* Each fails only where a path leads through something that is no folder, or where a folder would
 * have to take the place of a file or the other way round. */
int tree_add_folder(struct tree *t, const char *path, mode_t permissions, const struct reason *why,
		    struct error *e);
int tree_add_file(struct tree *t, const char *path, mode_t permissions, const char *source, uint64_t size,
		  const struct reason *why, struct error *e);
/* The same for a source that goes in unpacked; `size` is what it has then. */
int tree_add_packed(struct tree *t, const char *path, mode_t permissions, const char *source, uint64_t size,
		    const struct reason *why, struct error *e);
int tree_add_data(struct tree *t, const char *path, mode_t permissions, const void *data, size_t len,
		  const struct reason *why, struct error *e);
int tree_add_link(struct tree *t, const char *path, const char *target, const struct reason *why,
		  struct error *e);
/* `mode` holds the type: S_IFCHR or S_IFBLK. */
int tree_add_device(struct tree *t, const char *path, mode_t mode, dev_t rdev, const struct reason *why,
		    struct error *e);

/* By path, bytewise: every folder comes before what is in it. Numbers the entries. */
void tree_sort(struct tree *t);
/* One line per entry: path, type, octal mode, size, reason chain; separated by tabs. */
void tree_list(const struct tree *t, struct strbuf *ret);
