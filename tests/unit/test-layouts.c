/* Hundreds of generated machines with layers in any order (partitions, arrays, LUKS, volume groups on each other, btrfs on several of
 * them): what was surveyed, planned and carried out step by step gives the same machine again; nothing is made before what it lies on,
 * nothing twice, and nothing on a disk that is no target. */
#include "machine-lab.h"
#include "machine/layer.h"
#include "machine/plan.h"

#include <inttypes.h>

/* ---- a machine.conf, as a survey would write it ---- */

/* Devices that nothing lies on yet. */
struct loose {
	struct {
		char name[32];
		uint64_t size;
	} items[128];
	size_t count;
};

struct generator {
	struct strbuf text;
	struct loose loose;
	unsigned serial, disks, arrays, tables, crypts, groups, spreads, mounts; /* tables: of arrays */
	uint64_t sizes[8]; /* of the disks */
};

static void put_loose(struct generator *g, uint64_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put_loose(struct generator *g, uint64_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(g->loose.items[g->loose.count].name, sizeof(g->loose.items[0].name), fmt, ap);
	va_end(ap);
	g->loose.items[g->loose.count++].size = size;
}

/* Takes the one at `i` out; its place is the last one's. */
static void take_loose(struct generator *g, size_t i, char ret_name[static 32], uint64_t *ret_size)
{
	memcpy(ret_name, g->loose.items[i].name, 32);
	*ret_size = g->loose.items[i].size;
	g->loose.items[i] = g->loose.items[--g->loose.count];
}

static void put_uuid(struct generator *g)
{
	strbuf_printf(&g->text, "uuid = 00000000-0000-4000-8000-%012u\n", ++g->serial);
}

static void put_lvm_uuid(struct generator *g, const char *key)
{
	strbuf_printf(&g->text, "%s = abcdef-0000-0000-0000-0000-0000-%06u\n", key, ++g->serial);
}

static void generate_disk(struct generator *g)
{
	char letter = (char)('a' + (char)g->disks);
	unsigned partitions = (unsigned)random_below(4);
	uint64_t at = MIB, size = (20 + random_below(20)) * GIB;

	g->sizes[g->disks++] = size;
	strbuf_printf(&g->text,
		      "[disk sd%c]\npath = /dev/sd%c\nserial = S%c\nbus = sata\nsize = %" PRIu64
		      "\nsector-size = 512\ntable = %s\n",
		      letter, letter, letter, size, partitions ? "gpt" : "none");
	if (!partitions)
		put_loose(g, size, "sd%c", letter);
	for (unsigned n = 1; n <= partitions; n++) {
		uint64_t part = (1 + random_below(6 * 1024)) * MIB;

		strbuf_printf(&g->text,
			      "[partition sd%c%u]\ndisk = sd%c\nnumber = %u\nstart = %" PRIu64
			      "\nsize = %" PRIu64 "\ntype = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n",
			      letter, n, letter, n, at, part);
		put_uuid(g);
		put_loose(g, part, "sd%c%u", letter, n);
		at += part;
	}
}

/* The partitions of an array, or itself. */
static void generate_array_table(struct generator *g, uint64_t size)
{
	unsigned array = g->arrays++, partitions = (unsigned)random_below(4);
	uint64_t at = MIB;

	if (size < 16 * MIB || !partitions || !random_below(2)) {
		put_loose(g, size, "md%u", array);
		return;
	}
	g->tables++;
	strbuf_printf(&g->text, "table = gpt\n");
	for (unsigned n = 1; n <= partitions; n++) {
		uint64_t part = (1 + random_below((size - 2 * MIB) / partitions / MIB)) * MIB;

		if (at + part > size - MIB)
			break;
		strbuf_printf(&g->text,
			      "[partition md%up%u]\ndisk = md%u\nnumber = %u\nstart = %" PRIu64
			      "\nsize = %" PRIu64 "\ntype = 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n",
			      array, n, array, n, at, part);
		put_uuid(g);
		put_loose(g, part, "md%up%u", array, n);
		at += part;
	}
}

static void generate_array(struct generator *g)
{
	static const char *const levels[] = { "raid0", "raid1", "raid5", "raid6", "raid10" };
	static const unsigned least[] = { 2, 2, 3, 4, 2 };
	unsigned level = (unsigned)random_below(5);
	unsigned count = least[level] + (unsigned)random_below(2);
	uint64_t smallest = UINT64_MAX, offset = MIB * (1 + random_below(128));
	bool missing = level != 0 && !random_below(4);
	bool striped = level != 1;

	if (g->loose.count < count)
		return;
	strbuf_printf(&g->text, "[raid md%u]\ndevices = ", g->arrays);
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		uint64_t size;

		if (missing && i == 1) {
			strbuf_printf(&g->text, ", missing");
			continue;
		}
		take_loose(g, random_below(g->loose.count), name, &size);
		strbuf_printf(&g->text, "%s%s", i ? ", " : "", name);
		smallest = size < smallest ? size : smallest;
	}
	if (smallest < offset + 64 * MIB)
		offset = 4096;
	uint64_t component = (smallest - offset) / (512 * 1024) * (512 * 1024);

	strbuf_printf(&g->text,
		      "\nlevel = %s\nmetadata = 1.2\nuuid = 01234567:89abcdef:01234567:%08x\nname = box:%u\n"
		      "component-size = %" PRIu64 "\ndata-offset = %" PRIu64 "\n",
		      levels[level], ++g->serial, g->arrays, component, offset);
	if (striped)
		strbuf_printf(&g->text, "chunk = 524288\n%s",
			      level == 4   ? "layout = n2\n"
			      : level == 0 ? ""
					   : "layout = left-symmetric\n");
	uint64_t data = level == 0   ? count
			: level == 1 ? 1
			: level == 2 ? count - 1
			: level == 3 ? count - 2
				     : 0;

	generate_array_table(g, level == 4 ? component / 524288 * count / 2 * 524288 : component * data);
}

static void generate_crypt(struct generator *g)
{
	char name[32];
	uint64_t size, offset = 16 * MIB;

	if (g->loose.count == 0)
		return;
	take_loose(g, random_below(g->loose.count), name, &size);
	if (size <= 2 * offset)
		offset = 4096;
	strbuf_printf(&g->text, "[crypt secret%u]\ndevice = %s\ntype = luks%u\n", g->crypts, name,
		      1 + (unsigned)random_below(2));
	put_uuid(g);
	strbuf_printf(&g->text,
		      "cipher = aes-xts-plain64\nkey-bits = 512\noffset = %" PRIu64 "\nsector-size = 512\n",
		      offset);
	put_loose(g, size - offset, "secret%u", g->crypts++);
}

/* Devices of a group and their extents that no volume has taken. */
struct extents {
	char names[3][32];
	uint64_t free[3];
	unsigned count;
};

/* Returns how many extents the new volume has: on one of the devices, or on two. */
static uint64_t generate_place(struct generator *g, struct extents *x, uint64_t extent)
{
	unsigned first = (unsigned)random_below(x->count), second = (first + 1) % x->count;
	uint64_t on_first, on_second = 0;

	if (x->free[first] < 2)
		return 0;
	on_first = 1 + random_below(x->free[first]);
	strbuf_printf(&g->text, "on = %s", x->names[first]);
	x->free[first] -= on_first;
	if (second != first && x->free[second] > 1 && random_below(2)) {
		on_second = 1 + random_below(x->free[second]);
		strbuf_printf(&g->text, ":%" PRIu64 ", %s", on_first * extent, x->names[second]);
		x->free[second] -= on_second;
	}
	strbuf_printf(&g->text, "\n");
	return on_first + on_second;
}

static void generate_volumes(struct generator *g, unsigned group, struct extents *x, uint64_t extent)
{
	uint64_t free_extents = 0;
	bool places = random_below(2);

	for (unsigned i = 0; i < x->count; i++)
		free_extents += x->free[i];
	for (unsigned v = 0; v < 4 && free_extents > 1; v++) {
		uint64_t extents = 0;

		strbuf_printf(&g->text, "[volume vg%u/v%u]\ntype = linear\n", group, v);
		put_lvm_uuid(g, "uuid");
		if (places)
			extents = generate_place(g, x, extent);
		if (extents == 0) { /* wherever there is room: none is placed behind it */
			extents = 1 + random_below(free_extents);
			places = false;
		}
		strbuf_printf(&g->text, "size = %" PRIu64 "\n", extents * extent);
		put_loose(g, extents * extent, "vg%u/v%u", group, v);
		free_extents -= extents;
	}
}

static void generate_group(struct generator *g)
{
	_cleanup_(strbuf) struct strbuf names = { 0 }, uuids = { 0 }, starts = { 0 };
	unsigned count = 1 + (unsigned)random_below(3);
	uint64_t extent = MIB << random_below(4);
	struct extents x = { .count = count };

	if (g->loose.count < count)
		return;
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		uint64_t size;

		take_loose(g, random_below(g->loose.count), name, &size);
		strbuf_printf(&names, "%s%s", i ? ", " : "", name);
		strbuf_printf(&uuids, "%sabcdef-0000-0000-0000-0000-0000-%06u", i ? ", " : "", ++g->serial);
		uint64_t start = size > 524288 ? 524288 : 4096;

		strbuf_printf(&starts, "%s%" PRIu64, i ? ", " : "", start);
		x.free[i] = (size - start) / extent;
		memcpy(x.names[i], name, sizeof(name));
	}
	strbuf_printf(&g->text, "[group vg%u]\ndevices = %s\ndevice-uuids = %s\ndevice-starts = %s\n",
		      g->groups, names.data, uuids.data, starts.data);
	put_lvm_uuid(g, "uuid");
	strbuf_printf(&g->text, "extent-size = %" PRIu64 "\n", extent);
	generate_volumes(g, g->groups++, &x, extent);
}

/* A btrfs on two or three devices, or on more than it needs. */
static void generate_spread(struct generator *g)
{
	static const char *const profiles[] = { "single", "dup",   "raid0",   "raid1",
						"raid10", "raid5", "raid1c3", "raid6" };
	unsigned count = 2 + (unsigned)random_below(2), profile = (unsigned)random_below(count == 2 ? 6 : 8);
	uint64_t smallest = UINT64_MAX;

	if (g->loose.count < count)
		return;
	strbuf_printf(&g->text, "[btrfs pool%u]\ndevices = ", g->spreads);
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		uint64_t size;

		take_loose(g, random_below(g->loose.count), name, &size);
		strbuf_printf(&g->text, "%s%s", i ? ", " : "", name);
		smallest = size < smallest ? size : smallest;
	}
	strbuf_printf(&g->text, "\n[filesystem pool%u]\ntype = btrfs\n", g->spreads++);
	put_uuid(g);
	g->mounts++;
	strbuf_printf(&g->text,
		      "mountpoint = /b%u\nused = %" PRIu64
		      "\nstream = s%u\nmethod = archive\nfs.data = %s\nfs.metadata = raid1\n",
		      g->mounts, random_below(smallest / 2), g->mounts, profiles[profile]);
}

/* What is left gets a file system, swap, or nothing. */
static void generate_contents(struct generator *g)
{
	for (size_t i = 0; i < g->loose.count; i++) {
		const char *name = g->loose.items[i].name;
		uint64_t size = g->loose.items[i].size;

		if (size < 64 * MIB || !random_below(5))
			continue;
		bool swap = !random_below(5);

		strbuf_printf(&g->text, "[%s %s]\ntype = %s\n", swap ? "swap" : "filesystem", name,
			      swap ? "swap" : "ext4");
		put_uuid(g);
		if (swap)
			continue;
		strbuf_printf(&g->text, "mountpoint = /%s", g->mounts ? "" : "\n");
		if (g->mounts)
			strbuf_printf(&g->text, "m%u%s\n", g->mounts, random_below(2) ? "/below" : "");
		g->mounts++;
		strbuf_printf(&g->text,
			      "used = %" PRIu64
			      "\nstream = s%u\nmethod = dump\nfs.block-size = 4096\nfs.blocks = %" PRIu64
			      "\n",
			      random_below(size / 2), g->mounts, size / 4096);
	}
}

static void generate(struct generator *g, uint64_t seed)
{
	random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	strbuf_printf(&g->text, "[machine]\nfirmware = bios\n");
	for (uint64_t n = 1 + random_below(4); n > 0; n--)
		generate_disk(g);
	for (uint64_t n = random_below(6); n > 0; n--)
		switch (random_below(4)) {
		case 0:
			generate_array(g);
			break;
		case 1:
			generate_crypt(g);
			break;
		case 2:
			generate_spread(g);
			break;
		default:
			generate_group(g);
		}
	generate_contents(g);
}

static void generator_free(struct generator *g)
{
	strbuf_free(&g->text);
}
DEFINE_CLEANUP(generator, struct generator, generator_free)

/* ---- carrying it out, on paper ---- */

struct world {
	const struct plan *p;
	bool *there; /* for each device of the plan's machine */
};

static size_t index_of(const struct machine *m, const struct device *d)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i] == d)
			return i;
	TAP_FAIL("a step works on a device of another machine");
	return 0;
}

static bool is_there(const struct world *w, const struct device *d)
{
	return w->there[index_of(&w->p->machine, d)];
}

static void make(struct world *w, const struct step *s, const struct device *d)
{
	size_t i = index_of(&w->p->machine, d);

	if (w->there[i])
		TAP_FAIL("%s: %s is made twice", s->text, d->name);
	for (size_t k = 0; k < d->below_count; k++)
		if (d->below[k] && !is_there(w, d->below[k]))
			TAP_FAIL("%s: %s is not there yet", s->text, d->below[k]->name);
	w->there[i] = true;
}

static void carry_out(struct world *w, const struct step *s)
{
	const struct machine *m = &w->p->machine;

	switch (s->kind) {
	case STEP_WIPE:
		CHECK(plan_mapping(w->p, s->device) != NULL);
		make(w, s, s->device);
		break;
	case STEP_TABLE:
		CHECK(is_there(w, s->device));
		for (size_t i = 0; i < m->count; i++)
			if (m->devices[i]->kind == DEVICE_PARTITION && m->devices[i]->parent == s->device)
				make(w, s, m->devices[i]);
		break;
	case STEP_RAID:
	case STEP_CRYPT:
		make(w, s, s->device);
		break;
	case STEP_GROUP:
		make(w, s, s->device);
		for (size_t i = 0; i < m->count; i++)
			if (is_volume_of(m->devices[i], s->device))
				make(w, s, m->devices[i]);
		break;
	case STEP_MKFS:
		if (s->device->kind == DEVICE_BTRFS) {
			make(w, s, s->device);
			break;
		}
		/* fallthrough */
	case STEP_IMAGE:
	case STEP_SUBVOLUMES:
	case STEP_RECEIVE:
	case STEP_MKSWAP:
	case STEP_MOUNT:
	case STEP_RESTORE:
		if (!is_there(w, s->device))
			TAP_FAIL("%s: %s is not there yet", s->text, s->device->name);
		break;
	case STEP_MEND:
	case STEP_INITRAMFS:
	case STEP_BOOT_LOADER:
	case STEP_BOOT_FALLBACK:
	case STEP_BOOT_ENTRY:
	case STEP_UNMOUNT:
		break;
	}
}

static void carry_out_all(const struct plan *p)
{
	_cleanup_(free) bool *there = xcalloc(p->machine.count, sizeof(*there));
	struct world w = { .p = p, .there = there };

	for (size_t i = 0; i < p->step_count; i++)
		carry_out(&w, &p->steps[i]);
	for (size_t i = 0; i < p->machine.count; i++)
		if (!there[i])
			TAP_FAIL("%s is never made", p->machine.devices[i]->name);
}

/* Every file system is made once, mounted behind its parent folder's, and restored once. */
static void check_contents(const struct plan *p)
{
	for (size_t i = 0; i < p->machine.count; i++) {
		const struct device *d = p->machine.devices[i];
		unsigned made = 0, restored = 0;

		for (size_t k = 0; k < p->step_count; k++) {
			made += p->steps[k].device == d &&
				(p->steps[k].kind == STEP_MKFS || p->steps[k].kind == STEP_MKSWAP);
			restored += p->steps[k].device == d && p->steps[k].kind == STEP_RESTORE;
		}
		CHECK_INT(made, d->content.kind == CONTENT_FILESYSTEM || d->content.kind == CONTENT_SWAP);
		CHECK_INT(restored, d->content.stream && d->content.kind == CONTENT_FILESYSTEM);
	}
}

/* ---- the tests ---- */

static void format(const struct machine *m, struct strbuf *ret)
{
	CHECK_OK(machine_conf_format(m, ret, &e));
}

/* Plans the machine on disks as large as its own, in another order of names, and a strange one that is forbidden. */
TEST(a_machine_carried_out_on_its_own_disks_is_the_same_machine)
{
	unsigned layers = 0, tables = 0, spreads = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++) {
		_cleanup_(generator) struct generator g = { 0 };
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		_cleanup_(strbuf) struct strbuf before = { 0 }, after = { 0 };
		dev_t forbidden = 101;
		const struct plan_options o = { .forbidden = &forbidden,
						.forbidden_count = 1,
						.unattended = true };

		generate(&g, seed);
		printf("# seed %" PRIu64 "\n", seed);
		read_conf(g.text.data, &old);
		format(&old, &before);
		layers += g.arrays + g.crypts + g.groups;
		tables += g.tables;
		spreads += g.spreads;
		add_present(&present, "sda", 1024 * GIB); /* the backup's */
		for (unsigned i = g.disks; i-- > 0;) {
			char name[] = { 's', 'd', (char)('b' + (char)(g.disks - i)), '\0' },
			     serial[] = { 'S', (char)('a' + (char)i), '\0' };

			add_present(&present, name, g.sizes[i])->identity.serial = xstrdup(serial);
		}
		if (plan_make(&old, &present, &o, &p, &e) < 0)
			TAP_FAIL("%s for\n%s", e.text, before.data);
		carry_out_all(&p);
		check_contents(&p);
		for (size_t i = 0; i < p.mapping_count; i++)
			CHECK(p.mappings[i].to->now.devno != forbidden);
		format(&p.machine, &after);
		CHECK_STR(after.data, before.data);
	}
	CHECK(layers > 1000);
	CHECK(tables > 100);
	CHECK(spreads > 200);
}

/* On smaller disks the plan either says why not, or its machine is a good one that holds all the data. */
TEST(a_machine_fitted_to_smaller_disks_is_a_good_machine)
{
	unsigned made = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++) {
		_cleanup_(generator) struct generator g = { 0 };
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 }, again = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		_cleanup_(strbuf) struct strbuf after = { 0 };
		_cleanup_(strlist) struct strlist maps = { 0 };
		const struct plan_options o = { .map = &maps };

		generate(&g, seed);
		printf("# seed %" PRIu64 "\n", seed);
		read_conf(g.text.data, &old);
		for (unsigned i = 0; i < g.disks; i++) {
			char letter = (char)('a' + (char)i);
			_cleanup_(free) char *name = xasprintf("vd%c", letter);

			add_present(&present, name, g.sizes[i] / 100 * (60 + random_below(45)) / 512 * 512);
			strlist_addf(&maps, "sd%c=vd%c", letter, letter);
		}
		if (plan_make(&old, &present, &o, &p, &e) < 0) {
			CHECK(*e.text && !strchr(e.text, '\n'));
			continue;
		}
		made++;
		carry_out_all(&p);
		check_contents(&p);
		format(&p.machine, &after);
		read_conf(after.data, &again);
		for (size_t i = 0; i < p.machine.count; i++)
			CHECK(p.machine.devices[i]->content.used <= p.machine.devices[i]->size);
	}
	printf("# %u of 1000 could be planned\n", made);
	CHECK(made > 100);
}

/* On larger disks one of the devices grows, whatever lies between it and the disks; or the plan says why it cannot. */
TEST(a_machine_grown_on_larger_disks_is_a_good_machine)
{
	unsigned made = 0, larger = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++) {
		_cleanup_(generator) struct generator g = { 0 };
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 }, again = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		_cleanup_(strbuf) struct strbuf after = { 0 };
		_cleanup_(strlist) struct strlist maps = { 0 }, names = { 0 };
		const struct plan_options o = { .map = &maps, .grow = &names };

		generate(&g, seed);
		printf("# seed %" PRIu64 "\n", seed);
		read_conf(g.text.data, &old);
		const struct device *chosen = old.devices[random_below(old.count)];

		strlist_add(&names, chosen->name);
		for (unsigned i = 0; i < g.disks; i++) {
			char letter = (char)('a' + (char)i);
			_cleanup_(free) char *name = xasprintf("vd%c", letter);

			add_present(&present, name, g.sizes[i] + random_below(20) * GIB);
			strlist_addf(&maps, "sd%c=vd%c", letter, letter);
		}
		if (plan_make(&old, &present, &o, &p, &e) < 0) {
			CHECK(str_after(e.text, "--grow ") && !strchr(e.text, '\n'));
			continue;
		}
		made++;
		carry_out_all(&p);
		check_contents(&p);
		format(&p.machine, &after);
		read_conf(after.data, &again);
		for (size_t i = 0; i < p.machine.count; i++) {
			const struct device *d = p.machine.devices[i];

			CHECK(d->kind == DEVICE_DISK || d->size >= p.old_sizes[i]);
			larger += streq(d->name, names.items[0]) && d->size > p.old_sizes[i];
			if (d->kind == DEVICE_GROUP)
				CHECK(group_taken(&p.machine, d) <= d->size);
		}
	}
	printf("# %u of 1000 could be planned, %u grew\n", made, larger);
	CHECK(made > 300 && larger > 200);
}

/* Without one of its disks, which is here all the same and holds what it held: it is not touched, and nothing that was on
 * no other disk is lost silently. */
static bool has_stream(const struct machine *m, const char *stream)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->content.stream && streq(m->devices[i]->content.stream, stream))
			return true;
	return false;
}

TEST(a_machine_without_a_disk_lacks_no_data)
{
	unsigned made = 0;

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		_cleanup_(generator) struct generator g = { 0 };
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 }, again = { 0 }, whole = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		_cleanup_(strbuf) struct strbuf after = { 0 };
		_cleanup_(strlist) struct strlist maps = { 0 };
		const struct plan_options o = { .map = &maps, .unattended = true };

		generate(&g, seed);
		printf("# seed %" PRIu64 "\n", seed);
		read_conf(g.text.data, &old);
		read_conf(g.text.data, &whole);
		unsigned gone = (unsigned)random_below(g.disks);

		strlist_addf(&maps, "sd%c=none", 'a' + (int)gone);
		for (unsigned i = 0; i < g.disks; i++) {
			char name[] = { 's', 'd', (char)('b' + (char)(g.disks - i)), '\0' },
			     serial[] = { 'S', (char)('a' + (char)i), '\0' };

			add_present(&present, name, g.sizes[i])->identity.serial = xstrdup(serial);
		}
		if (plan_make(&old, &present, &o, &p, &e) < 0) {
			CHECK(*e.text && !strchr(e.text, '\n'));
			continue;
		}
		made++;
		carry_out_all(&p);
		check_contents(&p);
		CHECK_INT(p.mapping_count, g.disks - 1);
		for (size_t i = 0; i < p.mapping_count; i++)
			CHECK(p.mappings[i].to->identity.serial[1] != 'a' + (char)gone);
		for (size_t i = 0; i < whole.count; i++)
			if (whole.devices[i]->content.stream &&
			    whole.devices[i]->content.kind == CONTENT_FILESYSTEM)
				CHECK(has_stream(&p.machine, whole.devices[i]->content.stream));
		for (size_t i = 0; i < p.machine.count; i++)
			CHECK(p.machine.devices[i]->content.used <= p.machine.devices[i]->size);
		format(&p.machine, &after);
		read_conf(after.data, &again);
	}
	printf("# %u of 2000 could do without\n", made);
	CHECK(made > 50);
}

TAP_MAIN()
