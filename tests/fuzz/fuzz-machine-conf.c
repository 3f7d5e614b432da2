/* machine.conf, which people edit and shares may damage: whatever the bytes, reading ends with a machine or an
 * error; a machine can be written and read again to the same; and a plan for it keeps every partition on its
 * disk. */
#include "machine/machine_conf.h"
#include "machine/plan.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_layout(const struct machine *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (d->kind == DEVICE_PARTITION &&
		    (d->size > d->parent->size || d->start > d->parent->size - d->size))
			abort();
	}
}

static void check_plan(struct machine *m, uint64_t disk_size)
{
	_cleanup_(machine) struct machine present = { 0 };
	_cleanup_(plan) struct plan plan = { 0 };
	const struct plan_options options = { 0 };
	struct error e;

	for (size_t i = 0; i < m->count; i++) {
		if (m->devices[i]->kind != DEVICE_DISK)
			continue;
		_cleanup_(free) char *name = xasprintf("vd%zu-", i);
		struct device *d = machine_add(&present, DEVICE_DISK, name);

		d->size = disk_size;
		d->sector_size = 512;
		d->identity.path = xasprintf("/dev/%s", name);
		d->identity.serial =
			m->devices[i]->identity.serial ? xstrdup(m->devices[i]->identity.serial) : NULL;
	}
	if (plan_make(m, &present, &options, &plan, &e) == 0)
		check_layout(&plan.machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free) char *text = xstrndup((const char *)data, size);
	_cleanup_(machine) struct machine m = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf written = { 0 }, rewritten = { 0 };
	struct error e;

	if (machine_conf_parse("fuzz", text, &m, &e) < 0)
		return 0;
	check_layout(&m);
	if (machine_conf_format(&m, &written, &e) < 0)
		return 0;
	if (machine_conf_parse("again", written.data, &again, &e) < 0)
		abort(); /* wrote what it cannot read */
	if (machine_conf_format(&again, &rewritten, &e) < 0 || !streq(written.data, rewritten.data))
		abort(); /* the second reading differs */
	check_plan(&m, m.devices[0]->size);
	check_plan(&again, again.devices[0]->size / 4 * 3);
	return 0;
}
