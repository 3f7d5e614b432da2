/* What a set holds of a file system, as the stream NAME.listing: mtree(5) text, one line per path in the order of a
 * walk (a folder, then what it holds, by bytes), so that mtree(8) and bsdtar(1) read it too:
 *
 *     ./PATH type=file mode=0644 uid=0 gid=0 size=5 time=1700000000.000000001 nlink=2 inode=13 sha256=HEX xattrs=HEX
 *
 * PATH is "." for the root; bytes that are no printable ASCII, and # = \ * ? [ ], are \OOO. `time` is seconds and
 * nanoseconds as in struct timespec: the second part always counts upwards. Lines of one `inode` are one file.
 * Besides: link=TARGET, device=linux,MAJOR,MINOR, and `xattrs`, which is ours: the first half of the SHA-256 of
 * the extended attributes by name, each NAME NUL LENGTH (decimal) NUL VALUE. */
#pragma once
#include "base/digest.h"
#include "base/error.h"
#include "base/spill.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define LISTING_METHOD "listing"
#define LISTING_HEAD "#mtree v2.0\n"
enum { LISTING_SHA = 32, LISTING_XATTRS = 16 }; /* bytes */

struct listed {
	char *path; /* "." or "./..." */
	char *target; /* of a link, or NULL */
	uint64_t size, ino;
	struct timespec mtime;
	dev_t device; /* of a device's node */
	mode_t mode; /* with its type */
	uint32_t uid, gid, nlink;
	unsigned back; /* see `start` */
	bool has_sha, has_xattrs;
	unsigned char sha[LISTING_SHA], xattrs[LISTING_XATTRS];
	/* where it is: of the stream of the set that lies `back` links down the chain, bytes [start, end). In the index,
	 * not in the listing. */
	uint64_t start, end;
};
/* `f->path` and `f->target` of one that is in no listing. */
void listed_free(struct listed *f);
DEFINE_CLEANUP(listed, struct listed, listed_free)

struct listing {
	struct listed *items;
	size_t count;
	struct spill all, texts; /* where these, their paths and targets lie */
};
void listing_free(struct listing *l);
DEFINE_CLEANUP(listing, struct listing, listing_free)
/* Owns what is in `*f` from here on. Nothing is added to a listing that was made shorter. */
void listing_take(struct listing *l, struct listed *f);
/* Is what was read from it what was put there (base/spill.h)? */
int listing_sound(const struct listing *l, struct error *e);
void listing_sort(struct listing *l);
const struct listed *listing_find(const struct listing *l,
				  const char *path); /* it is sorted; NULL: not there */
/* As the listing is sorted: '/' before all other bytes. */
int listing_compare_paths(const char *a, const char *b);

/* Is it a type of file that a listing can name? */
bool listing_has_type(mode_t mode);

/* The bytes of `s` as they stand in a listing. */
void listing_quote(struct strbuf *b, const char *s);
/* Appends one line. */
void listing_format(struct strbuf *b, const struct listed *f);
/* One line without its newline; the text is changed. -EBADMSG for what listing_format() would not write. */
int listing_parse(char *line, struct listed *ret, struct error *e);
