#include "media/mbr.h"

#include <endian.h>
#include <string.h>

struct mbr_partition {
	uint8_t status; /* 0x80: active */
	uint8_t first[3]; /* cylinder, head, sector */
	uint8_t type;
	uint8_t last[3];
	uint32_t start, count; /* sectors, little-endian */
} __attribute__((packed));

struct mbr {
	uint8_t code[MBR_CODE_SIZE];
	uint32_t signature; /* little-endian */
	uint16_t unknown;
	struct mbr_partition partitions[4];
	uint8_t magic[2]; /* 55 aa */
} __attribute__((packed));
_Static_assert(sizeof(struct mbr) == MBR_SIZE, "an MBR is one sector");

/* With 255 heads and 63 sectors, as BIOSes assume for USB disks; beyond 1024 cylinders all of them
 * want the largest tuple. */
static void put_chs(uint32_t lba, uint8_t ret[3])
{
	uint32_t cylinder = lba / (255 * 63), head = lba / 63 % 255, sector = lba % 63 + 1;

	if (cylinder > 1023) {
		cylinder = 1023;
		head = 254;
		sector = 63;
	}
	ret[0] = (uint8_t)head;
	ret[1] = (uint8_t)(sector | (cylinder >> 8 << 6));
	ret[2] = (uint8_t)cylinder;
}

void mbr_make(const uint8_t code[MBR_CODE_SIZE], uint32_t signature, uint8_t type, uint32_t start,
	      uint32_t count, uint8_t ret[MBR_SIZE])
{
	struct mbr m = { .signature = htole32(signature), .magic = { 0x55, 0xaa } };
	struct mbr_partition *p = &m.partitions[0];

	memcpy(m.code, code, MBR_CODE_SIZE);
	p->status = 0x80;
	p->type = type;
	p->start = htole32(start);
	p->count = htole32(count);
	put_chs(start, p->first);
	put_chs(start + count - 1, p->last);
	memcpy(ret, &m, sizeof(m));
}
