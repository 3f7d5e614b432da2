/* Reading what dump(8) writes (the "new" format of 4.4BSD, as the dump package's dumprestore.h documents it; fields and
 * offsets in dump_format.h): inode by inode, as it goes by. Private to this room. */
#pragma once
#include "backup/pull.h"

#include <stdint.h>
#include <time.h>

struct dump_inode {
	uint32_t ino;
	mode_t mode;
	uint32_t nlink, uid, gid, flags; /* FS_*_FL of chattr(1) */
	uint64_t size;
	int64_t mtime, ctime; /* seconds */
	dev_t device;
	uint64_t start; /* of its header, bytes from the stream's begin */
};

struct dump_dates {
	int64_t date, since; /* seconds: of this dump, and of the one below; 0: none */
	unsigned level;
};

/* What is called for each inode in turn; all but `begin` may be NULL. Each returns 0 or a negative errno, which ends the
 * reading. */
struct dump_calls {
	int (*begin)(void *user, const struct dump_inode *inode, struct error *e);
	/* The content, in order. `data` NULL: `len` bytes of a hole. */
	int (*data)(void *user, const char *data, size_t len, struct error *e);
	/* An attribute area of the inode that was last: an ext4 in-inode area or attribute block, whole. */
	int (*xattrs)(void *user, const char *area, size_t len, struct error *e);
	/* Its last byte was given; `end` is where the next header stands, behind attributes. */
	int (*end)(void *user, const struct dump_inode *inode, uint64_t end, struct error *e);
	void *user;
};

/* Reads to the stream's end. -EBADMSG, with the offset, for what is no dump or ends too early. `ret_dates` may be
 * NULL. */
int dump_read(const struct pull *in, const struct dump_calls *calls, struct dump_dates *ret_dates,
	      struct error *e);
/* The same for a piece that begins with the header of an inode and holds nothing but its records: --files. */
int dump_read_piece(const struct pull *in, const struct dump_calls *calls, struct error *e);
