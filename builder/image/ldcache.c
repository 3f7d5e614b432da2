#include "image/ldcache.h"

#include <elf.h>
#include <errno.h>

enum { max_cache = 64 << 20 };

#define OLD_MAGIC "ld.so-1.7.0"
#define NEW_MAGIC "glibc-ld.so.cache1.1"

/* All numbers are in the machine's byte order. */
struct old_header {
	char magic[sizeof(OLD_MAGIC) - 1];
	uint32_t count;
};
enum { old_entry_size = 12 };
struct new_header {
	char magic[sizeof(NEW_MAGIC) - 1];
	uint32_t count, strings_size;
	uint8_t byte_order; /* 0: not said; else as below */
	uint8_t padding[3];
	uint32_t extension_offset;
	uint32_t unused[3];
};
struct new_entry {
	uint32_t flags, name, path; /* offsets from the new header on */
	uint32_t os_version;
	uint64_t hwcap; /* of the processor; 0: any */
};
_Static_assert(sizeof(struct old_header) == 16, "as in the file");
_Static_assert(sizeof(struct new_header) == 48, "as in the file");
_Static_assert(sizeof(struct new_entry) == 24, "as in the file");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { our_byte_order = 2 };
#else
enum { our_byte_order = 3 };
#endif

/* Where the new format begins. Behind an old one it is aligned as its entries are: by 8, or by 4 on
 * some 32-bit machines. Returns 1 or 0. */
static int find_new(const char *data, size_t size, size_t *ret)
{
	static const size_t alignments[] = { 8, 4 };
	const struct old_header *old = (const struct old_header *)data;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(alignments) / sizeof(*alignments); i++) {
		if (size >= sizeof(*old) && memcmp(data, OLD_MAGIC, sizeof(old->magic)) == 0) {
			at = sizeof(*old) + (size_t)old->count * old_entry_size;
			at = (at + alignments[i] - 1) / alignments[i] * alignments[i];
		}
		if (at <= size && size - at >= sizeof(struct new_header) &&
		    memcmp(data + at, NEW_MAGIC, sizeof(NEW_MAGIC) - 1) == 0) {
			*ret = at;
			return 1;
		}
	}
	return 0;
}

/* Takes the entries out of c->data. 1, or 0 when it is damaged. */
static int parse(struct ldcache *c, size_t size)
{
	size_t begin;

	if (!find_new(c->data, size, &begin))
		return 0;
	const char *base = c->data + begin;
	const struct new_header *h = (const struct new_header *)base;
	const char *raw = base + sizeof(*h);

	size -= begin;
	if ((h->byte_order && h->byte_order != our_byte_order) ||
	    h->count > (size - sizeof(*h)) / sizeof(struct new_entry))
		return 0;
	c->entries = xcalloc(h->count + 1, sizeof(*c->entries));
	for (size_t i = 0; i < h->count; i++) {
		struct new_entry entry;

		memcpy(&entry, raw + i * sizeof(entry), sizeof(entry));
		if (entry.name >= size || entry.path >= size)
			return 0;
		/* read_file_at() ends what it reads with a NUL */
		if (entry.hwcap == 0)
			c->entries[c->count++] =
				(struct ldcache_entry) { base + entry.name, base + entry.path, entry.flags };
	}
	for (size_t i = 0; i < c->count; i++)
		if (!map_get(&c->by_name, c->entries[i].name))
			map_put(&c->by_name, c->entries[i].name, &c->entries[i]);
	return 1;
}

int ldcache_read(const struct root *root, const struct tree *tree, struct ldcache *ret, struct error *e)
{
	_cleanup_(ldcache) struct ldcache c = { 0 };
	size_t size;

	*ret = (struct ldcache) { 0 };
	int r = root_read(root, tree, "/etc/ld.so.cache", max_cache, &c.data, &size, e);

	if (r <= 0)
		return r;
	if (!parse(&c, size))
		return 0;
	*ret = c;
	c = (struct ldcache) { 0 };
	return 1;
}

void ldcache_free(struct ldcache *c)
{
	free(c->data);
	free(c->entries);
	map_free(&c->by_name);
	*c = (struct ldcache) { 0 };
}

const struct ldcache_entry *ldcache_find(const struct ldcache *c, const char *name, size_t *ret_count)
{
	const struct ldcache_entry *first = map_get(&c->by_name, name);
	size_t count = 0;

	while (first && first + count < c->entries + c->count && streq(first[count].name, name))
		count++;
	*ret_count = count;
	return first;
}

int ldcache_flags(const struct elf_info *info, uint32_t *ret)
{
	enum { elf_libc6 = 3, hard_float = 0x0400 /* e_flags: EF_ARM_ABI_FLOAT_HARD */ };
	uint32_t machine;

	switch (info->machine) {
	case EM_X86_64:
		machine = info->class == ELFCLASS64 ? 0x0300 : 0x0800;
		break;
	case EM_386:
		machine = 0;
		break;
	case EM_AARCH64:
		machine = 0x0a00;
		break;
	case EM_ARM:
		machine = info->flags & hard_float ? 0x0900 : 0x0b00;
		break;
	default:
		return 0;
	}
	*ret = elf_libc6 | machine;
	return 1;
}

/* --- writing --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The loader's order of names: numbers in them count as numbers. It searches by halves, from the
 * greatest name to the least. */
static int compare_names(const char *a, const char *b)
{
	while (*a) {
		if (is_digit(*a) != is_digit(*b))
			return is_digit(*a) ? 1 : -1;
		if (is_digit(*a)) {
			uint32_t x = 0, y = 0;

			while (is_digit(*a))
				x = x * 10 + (uint32_t)(*a++ - '0');
			while (is_digit(*b))
				y = y * 10 + (uint32_t)(*b++ - '0');
			if (x != y)
				return (int32_t)x > (int32_t)y ? 1 : -1; /* as the loader's int */
		} else {
			if (*a != *b)
				return (unsigned char)*a - (unsigned char)*b;
			a++;
			b++;
		}
	}
	return -(int)(unsigned char)*b;
}

static int compare_entries(const void *a, const void *b)
{
	const struct ldcache_entry *x = a, *y = b;
	int r = compare_names(y->name, x->name);

	if (r == 0 && x->flags != y->flags)
		r = x->flags < y->flags ? 1 : -1;
	return r != 0 ? r : strcmp(x->path, y->path);
}

void ldcache_format(struct ldcache_entry *entries, size_t count, struct strbuf *ret)
{
	struct new_header header = { .count = (uint32_t)count, .byte_order = our_byte_order };
	_cleanup_(strbuf) struct strbuf strings = { 0 };
	size_t strings_at = sizeof(header) + count * sizeof(struct new_entry);

	memcpy(header.magic, NEW_MAGIC, sizeof(header.magic));
	if (count)
		qsort(entries, count, sizeof(*entries), compare_entries);
	for (size_t i = 0; i < count; i++) {
		strbuf_add(&strings, entries[i].name, strlen(entries[i].name) + 1);
		strbuf_add(&strings, entries[i].path, strlen(entries[i].path) + 1);
	}
	header.strings_size = (uint32_t)strings.len;
	strbuf_add(ret, &header, sizeof(header));
	for (size_t i = 0; i < count; i++) {
		struct new_entry entry = { .flags = entries[i].flags, .name = (uint32_t)strings_at };

		strings_at += strlen(entries[i].name) + 1;
		entry.path = (uint32_t)strings_at;
		strings_at += strlen(entries[i].path) + 1;
		strbuf_add(ret, &entry, sizeof(entry));
	}
	strbuf_add(ret, strings.data, strings.len);
}
