/* Planning on hundreds of generated machines: no forbidden disk is ever touched, and what is scaled is a good machine. */
#include "machine-lab.h"
#include "machine/plan.h"
#include "machine/scale.h"

static struct device *generate_partition(struct machine *m, struct device *disk, unsigned number,
					 uint64_t *at, uint64_t grain)
{
	_cleanup_(free) char *name = partition_node(disk->name, number);
	struct device *d = machine_add(m, DEVICE_PARTITION, name);

	d->parent = disk;
	d->number = number;
	d->start = *at + random_below(3) * grain;
	d->size = (1 + random_below(4 * GIB / grain)) * grain;
	d->part_type = xstrdup(disk->table == TABLE_GPT ? "0FC63DAF-8483-4772-8E79-3D69D8477DE4" : "0x83");
	if (random_below(3)) {
		d->content.kind = CONTENT_FILESYSTEM;
		d->content.type = xstrdup("ext4");
		d->content.used = random_below(d->size);
		d->content.mountpoint = xasprintf("/%s", name);
		key_values_set(&d->content.parameters, "block-size", "1024");
	}
	*at = d->start + d->size;
	return d;
}

static void generate_disk(struct machine *m, unsigned index)
{
	_cleanup_(free) char *name = xasprintf("sd%c", 'a' + (char)index);
	struct device *disk = machine_add(m, DEVICE_DISK, name);
	uint64_t grain = random_below(2) ? MIB : 512 * (1 + random_below(200)),
		 at = grain < MIB ? MIB : grain;
	unsigned count = 1 + (unsigned)random_below(4);

	disk->sector_size = 512;
	disk->table = random_below(2) ? TABLE_GPT : TABLE_MBR;
	disk->identity.path = xasprintf("/dev/%s", name);
	if (random_below(2))
		disk->identity.serial = xasprintf("S%u", index);
	for (unsigned n = 1; n <= count; n++) {
		if (disk->table == TABLE_MBR && n == 3) {
			struct device *extended = generate_partition(m, disk, n, &at, grain);
			uint64_t inside = extended->start + grain;

			free(extended->content.type);
			free(extended->content.mountpoint);
			key_values_free(&extended->content.parameters);
			extended->content = (struct content) { .kind = CONTENT_EXTENDED };
			(void)generate_partition(m, disk, 5, &inside, grain);
			inside += grain; /* for the next one's description */
			(void)generate_partition(m, disk, 6, &inside, grain);
			extended->size = inside + random_below(5) * grain - extended->start;
			at = extended->start + extended->size;
			continue;
		}
		(void)generate_partition(m, disk, n, &at, grain);
	}
	disk->size = (at + random_below(GIB) + MIB) / 512 * 512;
}

static void generate_present(struct machine *m, const struct machine *old, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		_cleanup_(free) char *name = xasprintf("vd%c", 'a' + (char)i);
		const struct device *like = old->devices[0];
		uint64_t size = random_below(3) ? 1 + random_below(20 * GIB / 512) : like->size / 512;
		struct device *d = add_present(m, name, size * 512);

		d->now.holds = random_below(2) ? xstrdup("ext4") : NULL;
		if (!random_below(3) && like->identity.serial)
			d->identity.serial = xstrdup(like->identity.serial);
		d->identity.removable = !random_below(6);
		d->identity.read_only = !random_below(6);
		if (!random_below(6))
			d->now.in_use = xstrdup("in use");
		if (!random_below(8))
			d->content.label = xstrdup("LIFEBOAT");
	}
}

/* What no plan may ever do. */
static void check_plan(const struct plan *p, const struct plan_options *o)
{
	for (size_t i = 0; i < p->mapping_count; i++) {
		const struct device *to = p->mappings[i].to, *from = p->mappings[i].from;
		bool same = str_after(p->mappings[i].reason, "the same disk") != NULL;

		CHECK(to->now.devno != o->forbidden[0]);
		CHECK(!to->now.in_use && !to->identity.read_only);
		CHECK(!to->content.label);
		CHECK(!to->identity.removable || same);
		CHECK(!o->unattended || !to->now.holds || same);
		CHECK(!same || (streq(to->identity.serial, from->identity.serial)));
		for (size_t k = 0; k < i; k++)
			CHECK(p->mappings[k].to != to);
	}
	for (size_t i = 0; i < p->step_count; i++)
		if (p->steps[i].node) {
			bool mapped = false;

			for (size_t k = 0; k < p->mapping_count; k++)
				mapped |=
					str_after(p->steps[i].node, p->mappings[k].to->identity.path) != NULL;
			CHECK(mapped);
		}
}

/* A scaled machine is a good machine: what is written of it is accepted again. */
static void check_machine(const struct machine *m)
{
	_cleanup_(machine) struct machine again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	CHECK_OK(machine_conf_format(m, &text, &e));
	if (machine_conf_parse("scaled", text.data, &again, &e) < 0)
		TAP_FAIL("%s in\n%s", e.text, text.data);
	for (size_t i = 0; i < m->count; i++) {
		const struct content *c = &m->devices[i]->content;

		CHECK(!c->used || m->devices[i]->size > c->used);
	}
}

/* Every partition once on a larger disk: it takes the rest, the others keep their sizes and order. */
TEST(generated_growth)
{
	for (uint64_t seed = 1; seed <= 500; seed++) {
		_cleanup_(machine) struct machine first = { 0 };

		random_state = seed * UINT64_C(0x9E3779B97F4A7C15);
		generate_disk(&first, 0);
		for (size_t g = 1; g < first.count; g++) {
			_cleanup_(machine) struct machine m = { 0 };
			_cleanup_(free) uint64_t *sizes = xcalloc(first.count, sizeof(*sizes));

			random_state = seed * UINT64_C(0x9E3779B97F4A7C15);
			generate_disk(&m, 0);
			if (m.devices[g]->content.kind == CONTENT_EXTENDED)
				continue;
			for (size_t i = 0; i < m.count; i++)
				sizes[i] = m.devices[i]->size;
			CHECK_OK(scale_disk(&m, m.devices[0], m.devices[0]->size + 5 * GIB, 512, &e));
			scale_grow(&m, m.devices[g], sizes[g]);
			CHECK(m.devices[g]->size >= sizes[g] + 5 * GIB - 2 * MIB);
			for (size_t i = 1; i < m.count; i++) {
				const struct device *d = m.devices[i];
				bool around = d->content.kind == CONTENT_EXTENDED &&
					      device_is_logical(m.devices[g]);

				CHECK_INT(d->size,
					  sizes[i] + (i == g || around ? m.devices[g]->size - sizes[g] : 0));
			}
			check_machine(&m);
		}
	}
}

TEST(generated_machines)
{
	unsigned made = 0;

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		_cleanup_(machine) struct machine old = { 0 }, present = { 0 };
		_cleanup_(plan) struct plan p = { 0 };
		dev_t forbidden = 101 + seed % 3;
		const struct plan_options options = { .forbidden = &forbidden,
						      .forbidden_count = 1,
						      .unattended = seed % 2 };

		random_state = seed * UINT64_C(0x9E3779B97F4A7C15);
		unsigned count = 1 + (unsigned)random_below(2);

		for (unsigned i = 0; i < count; i++)
			generate_disk(&old, i);
		check_machine(&old);
		generate_present(&present, &old, 1 + (unsigned)random_below(5));
		printf("# seed %llu\n", (unsigned long long)seed);
		if (plan_make(&old, &present, &options, &p, &e) < 0)
			continue;
		made++;
		check_plan(&p, &options);
		check_machine(&p.machine);
	}
	printf("# %u of 2000 could be planned\n", made);
	CHECK(made > 200);
}

TAP_MAIN()
