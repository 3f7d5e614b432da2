/* The machine's root folder that tools and files are taken from: "/" but in tests. Links inside
 * it are followed inside it, whatever they point to. */
#pragma once
#include "base/error.h"
#include "image/tree.h"

#include <sys/stat.h>

struct root {
	int fd;
	char *path; /* "" for "/", so that path + "/" + canonical is a path of this machine */
};
#define ROOT_NONE                      \
	{                              \
		.fd = -1, .path = NULL \
	}
int root_open(const char *path, struct root *ret, struct error *e);
void root_close(struct root *root);
DEFINE_CLEANUP(root, struct root, root_close)

/* Where a path of the root really leads, and the links that it goes through. */
struct walk {
	char *canonical; /* without leading slash */
	struct stat st; /* type, permissions and size of what is there */
	struct strlist links; /* pairs: canonical path of a link, its target */
};
void walk_free(struct walk *w);
DEFINE_CLEANUP(walk, struct walk, walk_free)

/* Follows `path`. What the tree has already (out of an overlay, or made by us) goes before the root's.
 * -ENOENT, -ENOTDIR and -ELOOP are filled into `e` as well. `tree` may be NULL; or `root`, for what is in the
 * tree alone. */
int root_walk(const struct root *root, const struct tree *tree, const char *path, struct walk *ret,
	      struct error *e);

/* Reads the regular file that `path` leads to in the same way. Returns 1; 0 when there is none of that name. The
 * caller frees. */
int root_read(const struct root *root, const struct tree *tree, const char *path, size_t max, char **ret,
	      size_t *ret_len, struct error *e);

/* The path on this machine of a canonical path; `root` may be NULL, for messages. The caller frees. */
char *root_host_path(const struct root *root, const char *canonical);

/* Adds what the walk met to the tree: its links and the file, or the folder itself without what is
 * in it. Anything but files and folders is refused. */
int tree_add_walk(struct tree *t, const struct root *root, const struct walk *w, const struct reason *why,
		  struct error *e);

/* Walk and add. `ret_canonical` may be NULL. */
int tree_add_from_root(struct tree *t, const struct root *root, const char *path, const struct reason *why,
		       char **ret_canonical, struct error *e);
