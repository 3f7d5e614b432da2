#include "image/kmod_index.h"

#include <stdlib.h>

enum {
	magic = 0xb007f457,
	version = 0x00020001,
	has_prefix = 0x80000000,
	has_values = 0x40000000,
	has_children = 0x20000000,
	characters = 128,
	longest_key = 2048, /* what the kernel itself can ask for: UEVENT_BUFFER_SIZE */
};

void kmod_index_free(struct kmod_index *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->entries[i].key);
	free(x->entries);
	*x = (struct kmod_index) { 0 };
}

void kmod_index_add(struct kmod_index *x, char *key, const char *value, uint32_t priority)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)key[i] >= characters)
			len = longest_key;
	if (len >= longest_key) {
		free(key);
		return;
	}
	x->entries = xgrow(x->entries, x->count + 1, &x->capacity, sizeof(*x->entries));
	x->entries[x->count++] = (struct kmod_index_entry) { key, value, priority };
}

static int compare(const void *a, const void *b)
{
	const struct kmod_index_entry *one = a, *two = b;
	int order = strcmp(one->key, two->key);

	return order ? order : (one->priority > two->priority) - (one->priority < two->priority);
}

/* Big endian, as all numbers there. */
static void add_u32(struct strbuf *to, uint32_t value)
{
	const unsigned char bytes[] = { (unsigned char)(value >> 24), (unsigned char)(value >> 16),
					(unsigned char)(value >> 8), (unsigned char)value };

	strbuf_add(to, bytes, sizeof(bytes));
}

/* What the sorted keys from `first` to `last` have in common behind `depth`. */
static size_t common_len(const struct kmod_index_entry *first, const struct kmod_index_entry *last,
			 size_t depth)
{
	size_t n = 0;

	while (first->key[depth + n] && first->key[depth + n] == last->key[depth + n])
		n++;
	return n;
}

static void write_values(const struct kmod_index_entry *entry, size_t count, struct strbuf *to)
{
	add_u32(to, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		add_u32(to, entry[i].priority);
		strbuf_add(to, entry[i].value, strlen(entry[i].value) + 1);
	}
}

/* The node of the keys that have `depth` bytes and `prefix` more in common; its children before it.
 * Returns what its parent knows it by. */
static uint32_t write_node(const struct kmod_index_entry *entry, size_t count, size_t depth, size_t prefix,
			   struct strbuf *to)
{
	uint32_t child[characters] = { 0 };
	size_t at = depth + prefix, values = 0;

	while (values < count && !entry[values].key[at])
		values++;
	for (size_t i = values, n; i < count; i += n) {
		char c = entry[i].key[at];

		for (n = 1; i + n < count && entry[i + n].key[at] == c; n++)
			;
		child[(unsigned char)c] = write_node(entry + i, n, at + 1,
						     common_len(entry + i, entry + i + n - 1, at + 1), to);
	}
	uint32_t offset = (uint32_t)to->len;

	if (prefix) {
		strbuf_add(to, entry->key + depth, prefix);
		strbuf_add(to, "", 1);
		offset |= has_prefix;
	}
	if (values < count) {
		const char range[] = { entry[values].key[at], entry[count - 1].key[at] };

		strbuf_add(to, range, 2);
		for (unsigned c = (unsigned char)range[0]; c <= (unsigned char)range[1]; c++)
			add_u32(to, child[c]);
		offset |= has_children;
	}
	if (values) {
		write_values(entry, values, to);
		offset |= has_values;
	}
	return offset;
}

void kmod_index_write(struct kmod_index *x, struct strbuf *ret)
{
	_cleanup_(strbuf) struct strbuf file = { 0 };

	if (x->count)
		qsort(x->entries, x->count, sizeof(*x->entries), compare);
	add_u32(&file, magic);
	add_u32(&file, version);
	add_u32(&file, 0);
	uint32_t root = write_node(x->entries, x->count, 0, 0, &file);

	for (int i = 0; i < 4; i++)
		file.data[8 + i] = (char)(root >> (24 - 8 * i));
	strbuf_add(ret, file.data, file.len);
}
