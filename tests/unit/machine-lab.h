/* Described machines, for tests. */
#pragma once
#include "machine/machine_conf.h"
#include "tap.h"

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)

static struct error e;

static inline void read_conf(const char *text, struct machine *ret)
{
	if (machine_conf_parse("machine.conf", text, ret, &e) < 0)
		TAP_FAIL("%s in\n%s", e.text, text);
}

static inline struct device *find(const struct machine *m, const char *name)
{
	struct device *d = machine_find(m, name);

	if (!d)
		TAP_FAIL("%s is not there", name);
	return d;
}

/* The caller frees. */
static inline char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (!at)
		TAP_FAIL("'%s' is not there", from);
	return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* A disk that is here now, blank and without a serial number. */
static inline struct device *add_present(struct machine *m, const char *name, uint64_t size)
{
	struct device *d = machine_add(m, DEVICE_DISK, name);

	d->size = size;
	d->sector_size = 512;
	d->identity.path = xasprintf("/dev/%s", name);
	d->identity.bus = xstrdup("sata");
	d->now.devno = (dev_t)(m->count + 100);
	return d;
}

/* Whatever was changed is a machine that makes sense: its description is read again. */
static inline void check_again(const struct machine *m)
{
	_cleanup_(machine) struct machine again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	CHECK_OK(machine_conf_format(m, &text, &e));
	read_conf(text.data, &again);
}

/* What was read is written so that it is read again, and then written the same. */
static inline void write_twice(const struct machine *m, struct strbuf *ret, struct machine *ret_again)
{
	_cleanup_(strbuf) struct strbuf second = { 0 };

	CHECK_OK(machine_conf_format(m, ret, &e));
	read_conf(ret->data, ret_again);
	CHECK_OK(machine_conf_format(ret_again, &second, &e));
	CHECK_STR(second.data, ret->data);
}

/* For generated machines: the same numbers for the same state, which must not be 0. */
static uint64_t random_state;

static inline uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}
