/* Sources: mkfs.btrfs(8) on profiles and how many devices they need; fs/btrfs/volumes.c of Linux (btrfs_raid_array) on how
 * chunks are laid on devices: each on those with the most room. */
#include "machine/btrfs_profile.h"

#include "machine/fs.h"

#include <stdlib.h>

#include <linux/btrfs_tree.h>

static const struct btrfs_profile profiles[] = {
	{ "single", 0, 1, 0, 1, NULL },
	{ "dup", BTRFS_BLOCK_GROUP_DUP, 2, 0, 1, NULL },
	{ "raid0", BTRFS_BLOCK_GROUP_RAID0, 1, 0, 1, NULL },
	{ "raid1", BTRFS_BLOCK_GROUP_RAID1, 2, 0, 2, NULL },
	{ "raid1c3", BTRFS_BLOCK_GROUP_RAID1C3, 3, 0, 3, "raid1" },
	{ "raid1c4", BTRFS_BLOCK_GROUP_RAID1C4, 4, 0, 4, "raid1c3" },
	{ "raid10", BTRFS_BLOCK_GROUP_RAID10, 2, 0, 2, NULL },
	{ "raid5", BTRFS_BLOCK_GROUP_RAID5, 1, 1, 2, NULL },
	{ "raid6", BTRFS_BLOCK_GROUP_RAID6, 1, 2, 3, "raid1" },
};
enum { profile_count = sizeof(profiles) / sizeof(*profiles) };

const struct btrfs_profile *btrfs_profile_find(const char *name)
{
	for (size_t i = 0; i < profile_count; i++)
		if (streq(name, profiles[i].name))
			return &profiles[i];
	return NULL;
}

const struct btrfs_profile *btrfs_profile_of(uint64_t flags)
{
	for (size_t i = 0; i < profile_count; i++)
		if (flags & profiles[i].bit)
			return &profiles[i];
	return &profiles[0];
}

/* ---- how much fits ---- */

static int larger_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Each copy lies on another device: as much as fits on `copies` columns of that height, none of which takes of a device
 * more than there is. */
static uint64_t mirrored(const uint64_t sizes[], size_t count, unsigned copies)
{
	uint64_t low = 0, high = 0;

	for (size_t i = 0; i < count; i++)
		high += sizes[i];
	high /= copies;
	while (low < high) {
		uint64_t middle = high - (high - low) / 2;
		unsigned __int128 all = 0;

		for (size_t i = 0; i < count; i++)
			all += sizes[i] < middle ? sizes[i] : middle;
		if (all >= (unsigned __int128)middle * copies)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* On all devices until the smallest is full, then on all others, as long as there are enough. `sizes`: the larger first. */
static uint64_t striped(const uint64_t sizes[], size_t count, const struct btrfs_profile *p)
{
	uint64_t total = 0, height = 0;

	for (size_t n = count; n >= p->least && n > p->parity; n--) {
		total += (sizes[n - 1] - height) * (n - p->parity);
		height = sizes[n - 1];
	}
	return total;
}

uint64_t btrfs_capacity(const struct btrfs_profile *p, const uint64_t sizes[], size_t count)
{
	uint64_t *sorted = xcalloc(count + 1, sizeof(*sorted)), total = 0;

	memcpy(sorted, sizes, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), larger_first);
	if (p->bit == BTRFS_BLOCK_GROUP_DUP) /* both on one device */
		for (size_t i = 0; i < count; i++)
			total += sorted[i] / 2;
	else if (p->copies > 1)
		total = mirrored(sorted, count, p->copies);
	else
		total = striped(sorted, count, p);
	free(sorted);
	return total;
}

/* ---- one that is spread ---- */

static uint64_t round_down(const struct device *d, uint64_t size)
{
	return size / fs_btrfs.block_size(&d->content) * fs_btrfs.block_size(&d->content);
}

uint64_t btrfs_share(const struct device *d, size_t index)
{
	const struct device *below = d->below[index];
	uint64_t size = d->btrfs.devices[index].size, whole = below ? round_down(d, below->size) : 0;

	return size && size < whole ? size : whole;
}

/* What is nearest to the profile on so few devices. */
static const char *fallback(const char *name, size_t count, bool metadata)
{
	const struct btrfs_profile *p = btrfs_profile_find(name);

	while (p && p->least > count) {
		if (!p->fallback)
			return metadata ? "dup" : "single";
		p = btrfs_profile_find(p->fallback);
	}
	return p ? p->name : name;
}

/* How much fits when no device gives more than `most`. */
static uint64_t capacity_of(const struct device *d, uint64_t most)
{
	_cleanup_(free) uint64_t *sizes = xcalloc(d->below_count + 1, sizeof(*sizes));
	const char *data = key_values_get(&d->content.parameters, "data");
	size_t there = 0;

	for (size_t i = 0; i < d->below_count; i++)
		if (d->below[i]) {
			uint64_t share = btrfs_share(d, i);

			sizes[there++] = share < most ? share : most;
		}
	const struct btrfs_profile *p = btrfs_profile_find(data ? fallback(data, there, false) : "single");

	return btrfs_capacity(p ? p : &profiles[0], sizes, there);
}

uint64_t btrfs_spread_size(const struct device *d)
{
	return capacity_of(d, UINT64_MAX);
}

/* mkfs.btrfs wants 125 MiB of each device, and a chunk should not be half of it. */
enum { least_mib = 160, margin_mib = 256 };
static const uint64_t mib = 1 << 20;

uint64_t btrfs_spread_needed(const struct device *d)
{
	return d->content.used ? d->content.used + d->content.used / 10 + margin_mib * mib : 0;
}

/* The largest give first: what is found is the same whichever of them have become smaller already, as long as none is
 * smaller than that. */
uint64_t btrfs_member_minimum(const struct device *d, const struct device *member)
{
	uint64_t needed = btrfs_spread_needed(d), low = least_mib, high = least_mib;

	for (size_t i = 0; i < d->below_count; i++)
		if (btrfs_share(d, i) / mib >= high)
			high = btrfs_share(d, i) / mib + 1;
	if (!needed || needed > btrfs_spread_size(d))
		return member->size;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (capacity_of(d, middle * mib) >= needed)
			high = middle;
		else
			low = middle + 1;
	}
	return high * mib < member->size ? high * mib : member->size;
}

void btrfs_fit(struct device *d, bool grows)
{
	for (size_t i = 0; i < d->below_count; i++) {
		struct btrfs_device *own = &d->btrfs.devices[i];

		if (d->below[i] && own->size && (grows || own->size > d->below[i]->size))
			own->size = round_down(d, d->below[i]->size);
	}
}

/* ---- with fewer devices ---- */

const char *btrfs_profile_there(const struct device *d, const char *key)
{
	const char *name = key_values_get(&d->content.parameters, key);
	bool mixed = content_has_word(&d->content, "features", "mixed-bg"); /* both are one then */
	size_t there = d->kind != DEVICE_BTRFS;

	for (size_t i = 0; i < d->below_count; i++)
		there += d->below[i] != NULL;
	return name ? fallback(name, there, streq(key, "metadata") && !mixed) : NULL;
}

static void lower_profiles(struct device *d, struct strlist *ret_told)
{
	static const char *const keys[] = { "data", "metadata" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *was = key_values_get(&d->content.parameters, keys[i]);
		const char *now = btrfs_profile_there(d, keys[i]);

		if (!now || streq(now, was))
			continue;
		strlist_addf(ret_told,
			     "%s has %s = %s, had %s, which needs %u devices: once there are others again "
			     "(btrfs device add), btrfs balance start -%cconvert=%s makes it so",
			     d->name, keys[i], now, was, btrfs_profile_find(was)->least, keys[i][0], was);
		key_values_set(&d->content.parameters, keys[i], now);
	}
}

void btrfs_do_without(struct device *d, struct strlist *ret_told)
{
	size_t kept = 0, before = d->below_count;

	for (size_t i = 0; i < before; i++) {
		if (!d->below[i]) {
			free(d->btrfs.devices[i].uuid);
			continue;
		}
		d->below[kept] = d->below[i];
		d->btrfs.devices[kept++] = d->btrfs.devices[i];
	}
	if (kept == before)
		return;
	d->below_count = kept;
	strlist_addf(ret_told, "%s lies on %zu device%s, lay on %zu", d->name, kept, kept == 1 ? "" : "s",
		     before);
	lower_profiles(d, ret_told);
	d->size = btrfs_spread_size(d);
}
