#include "media/iso9660.h"

#include "base/fs.h"
#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>

enum { block = 2048, descriptor_block = 16, most_root = 64 * block };

/* Both-endian numbers: little-endian first, then the same big-endian. */
struct both32 {
	uint32_t little, big;
} __attribute__((packed));

struct record {
	uint8_t length; /* of the record; 0: none follows in this block */
	uint8_t attribute_length;
	struct both32 extent; /* block */
	struct both32 size; /* bytes */
	uint8_t when[7], flags, unit, gap;
	uint8_t sequence[4];
	uint8_t name_length;
	char name[]; /* "VMLINUZ.;1" */
} __attribute__((packed));

struct descriptor {
	uint8_t type; /* 1: primary volume */
	char id[5]; /* CD001 */
	uint8_t version, unused;
	char system[32], volume[32];
	uint8_t unused2[8];
	struct both32 blocks; /* of the volume */
	uint8_t others[68];
	struct record root;
} __attribute__((packed));
_Static_assert(offsetof(struct descriptor, root) == 156, "as ECMA-119 has it");

/* El Torito: the boot record names the catalog; its entries have 32 bytes: validation, first image,
 * heading of the next section, its image. */
struct boot_record {
	uint8_t type; /* 0 */
	char id[5]; /* CD001 */
	uint8_t version;
	char system[32]; /* EL TORITO SPECIFICATION */
	uint8_t unused[32];
	uint32_t catalog; /* block, little-endian */
} __attribute__((packed));

struct boot_entry {
	uint8_t indicator; /* 0x88: bootable; of a heading: 0x90, or 0x91 of the last one */
	uint8_t media; /* of a heading: the platform */
	uint16_t segment;
	uint8_t system, unused;
	uint16_t sectors; /* little-endian */
	uint32_t start; /* block */
	uint8_t criteria[20];
} __attribute__((packed));
_Static_assert(sizeof(struct boot_entry) == 32, "as El Torito has it");

static struct both32 both(uint64_t n)
{
	return (struct both32) { htole32((uint32_t)n), htobe32((uint32_t)n) };
}

static int read_descriptor(int fd, struct descriptor *ret, const char *shown, struct error *e)
{
	ssize_t n = pread_full(fd, ret, sizeof(*ret), descriptor_block * block);

	if (n != (ssize_t)sizeof(*ret))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", shown);
	if (ret->type != 1 || memcmp(ret->id, "CD001", sizeof(ret->id)) != 0)
		return error_text(e, EINVAL, "%s: no ISO 9660 volume", shown);
	return 0;
}

/* The identifier is NAME, an optional dot, and ";1". */
static bool is_named(const struct record *r, const char *name)
{
	size_t len = strlen(name);

	return r->name_length >= len && memcmp(r->name, name, len) == 0 &&
	       (r->name_length == len || r->name[len] == '.' || r->name[len] == ';');
}

int iso9660_point(int fd, const char *name, uint64_t offset, uint64_t size, const char *shown,
		  struct error *e)
{
	struct descriptor d;
	int r = read_descriptor(fd, &d, shown, e);

	if (r < 0)
		return r;
	uint64_t at = (uint64_t)le32toh(d.root.extent.little) * block;
	size_t len = le32toh(d.root.size.little);
	_cleanup_(free) char *folder = xmalloc(len <= most_root ? len : most_root);

	if (len > most_root || offset % block != 0 || size > UINT32_MAX || offset / block > UINT32_MAX)
		return error_text(e, EINVAL, "%s: no place for %s", shown, name);
	ssize_t n = pread_full(fd, folder, len, (off_t)at);

	if (n != (ssize_t)len)
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", shown);
	for (size_t i = 0; i + sizeof(struct record) < len;) {
		struct record *rec = (struct record *)(folder + i);

		if (rec->length == 0) {
			i = (i / block + 1) * block;
			continue;
		}
		if (i + rec->length > len || sizeof(*rec) + rec->name_length > rec->length)
			break;
		if (is_named(rec, name)) {
			rec->extent = both(offset / block);
			rec->size = both(size);
			r = pwrite_all(fd, rec, sizeof(*rec), (off_t)(at + i));
			return r < 0 ? error_errno(e, -r, "write %s", shown) : 0;
		}
		i += rec->length;
	}
	return error_text(e, ENOENT, "%s: no %s in its root folder", shown, name);
}

int iso9660_extend(int fd, uint64_t size, const char *shown, struct error *e)
{
	struct descriptor d;
	uint64_t blocks = (size + block - 1) / block;
	int r = read_descriptor(fd, &d, shown, e);

	if (r < 0 || le32toh(d.blocks.little) >= blocks)
		return r;
	d.blocks = both(blocks);
	r = pwrite_all(fd, &d.blocks, sizeof(d.blocks),
		       descriptor_block * block + (off_t)offsetof(struct descriptor, blocks));
	return r < 0 ? error_errno(e, -r, "write %s", shown) : 0;
}

int iso9660_second_boot_to_end(int fd, const char *shown, struct error *e)
{
	enum { record_block = descriptor_block + 1, bootable = 0x88, last_heading = 0x91 };
	struct boot_record record;
	struct boot_entry entries[4] = { 0 };
	ssize_t n = pread_full(fd, &record, sizeof(record), record_block * block);

	if (n == (ssize_t)sizeof(record))
		n = pread_full(fd, entries, sizeof(entries), (off_t)le32toh(record.catalog) * block);
	if (n != (ssize_t)sizeof(entries))
		return error_errno(e, n < 0 ? (int)-n : EIO, "read %s", shown);
	if (memcmp(record.system, "EL TORITO", 9) != 0 || entries[2].indicator != last_heading ||
	    entries[3].indicator != bootable)
		return error_text(e, EINVAL, "%s: its boot catalog has no second image", shown);
	entries[3].sectors = htole16(1);
	int r = pwrite_all(fd, &entries[3], sizeof(entries[3]),
			   (off_t)le32toh(record.catalog) * block + 3 * (off_t)sizeof(*entries));

	return r < 0 ? error_errno(e, -r, "write %s", shown) : 0;
}
