/* A dump is records of 1024 bytes: a header, then the data blocks that it counts. Types: 1 TS_TAPE the begin, 6 TS_CLRI
 * and 3 TS_BITS maps of inodes, 2 TS_INODE one inode and its first 512 blocks, 4 TS_ADDR 512 more of them, 5
 * TS_END. c_addr has a byte for each block: 0 is a hole, for which no block stands in the stream. Attributes are a TS_INODE
 * record of their own behind the file's, with DR_EXTATTRIBUTES. Numbers are those of the machine that dumped,
 * little-endian for us. Private to this room. */
#pragma once
#include "base/number.h"

#include <stdbool.h>

enum {
	DUMP_BLOCK = 1024,
	/* dump -b 1024: the whole is a multiple of it, which restore(8) reads at a time */
	DUMP_TAPE_BLOCK = 1024 * DUMP_BLOCK,
};
enum { ts_tape = 1, ts_inode, ts_bits, ts_addr, ts_end, ts_clri };
enum {
	magic = 60012,
	checksum = 84446,
	blocks_max = 512, /* of a header */
	flag_attributes = 0x8000, /* DR_EXTATTRIBUTES */
	flag_compressed = 0x80, /* DR_COMPRESSED */
	xattr_area = 3, /* EXT_XATTR */
	attributes_max = 64 << 10,
};
/* Offsets in a header; the inode (struct new_bsd_inode) is at 32. */
enum {
	at_type = 0,
	at_date = 4,
	at_since = 8,
	at_ino = 20,
	at_magic = 24,
	at_checksum = 28, /* makes the sum of all 32-bit words of the header what it has to be */
	at_mode = 32,
	at_nlink = 34,
	at_size = 40,
	at_mtime = 56,
	at_ctime = 64,
	/* The first block pointers: an old number as the kernel encodes it in the first, or a new one in the second; mended, in both. */
	at_device = 72,
	at_flags = 132,
	at_uid = 144,
	at_gid = 148,
	at_count = 160,
	at_map = 164,
	at_level = 692,
	at_record_flags = 888,
	at_area = 900,
};

/* Of the 32-bit words of DUMP_BLOCK bytes. */
static inline uint32_t dump_header_sum(const char *h)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < DUMP_BLOCK; i += 4)
		sum += le32_at(h + i);
	return sum;
}

/* Whether these are a header, with no more blocks than have room in it: maps of inodes may be larger, as their blocks have no
 * bytes in c_addr. */
static inline bool dump_is_header(const char *h)
{
	uint32_t type = le32_at(h + at_type);

	return le32_at(h + at_magic) == magic && dump_header_sum(h) == checksum &&
	       ((type != ts_inode && type != ts_addr) || le32_at(h + at_count) <= blocks_max);
}
