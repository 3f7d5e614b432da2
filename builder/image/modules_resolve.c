#include "image/modules_private.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	threads_max = 8,
	few = 16, /* so many modules are not worth a thread */
	max_modinfo = 64 << 20,
};

/* --- reading --- */

/* Modules that were taken and not yet read. */
struct batch {
	struct modules *m;
	atomic_size_t next;
	size_t end;
	pthread_mutex_t lock; /* of what follows */
	size_t failed_at; /* the first that cannot be read; `end`: none */
	int failed;
	struct error error;
};

static void note_failure(struct batch *b, size_t at, int r, const struct error *e)
{
	(void)pthread_mutex_lock(&b->lock); /* a plain mutex that we do not hold */
	if (at < b->failed_at) {
		b->failed_at = at;
		b->failed = r;
		b->error = *e;
	}
	(void)pthread_mutex_unlock(&b->lock);
}

static void *read_some(void *user)
{
	struct batch *b = user;
	struct error e;
	size_t at;

	while ((at = atomic_fetch_add(&b->next, 1)) < b->end) {
		uint32_t place = b->m->taken[at];
		struct modinfo *info = &b->m->all[place].info;
		_cleanup_(free) char *path =
			xasprintf("%s/%s", b->m->kernel->modules, b->m->dep.list[place].path);
		int r = modinfo_read(path, b->m->spool, info, &e);

		if (r < 0)
			note_failure(b, at, r, &e);
	}
	return NULL;
}

static int read_batch(struct modules *m, struct error *e)
{
	struct batch b = { .m = m,
			   .next = m->read_count,
			   .end = m->taken_count,
			   .failed_at = m->taken_count,
			   .lock = PTHREAD_MUTEX_INITIALIZER };
	size_t wanted = (m->taken_count - m->read_count) / few, count = 0;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[threads_max];

	modinfo_prepare();
	/* This one reads as well; without others it reads all. */
	while (count < wanted && count < threads_max && (long)count + 1 < cores &&
	       pthread_create(&threads[count], NULL, read_some, &b) == 0)
		count++;
	(void)read_some(&b);
	while (count > 0)
		(void)pthread_join(threads[--count], NULL); /* it was created, and nobody else joins it */
	if (b.failed < 0 && e)
		*e = b.error;
	return b.failed;
}

/* --- looking through --- */

/* As the kernel compares (Linux: kernel/module/version.c, same_magic): with versions of symbols on both sides
 * the kernel's own version does not matter. */
static int check_vermagic(const struct modules *m, const char *path, const char *vermagic, struct error *e)
{
	const char *version = m->kernel->version;
	size_t len = vermagic ? strcspn(vermagic, " ") : 0;

	if (!vermagic)
		return error_text(e, ENOEXEC, "pack module %s: it has no vermagic, so no kernel loads it",
				  path);
	if (len == strlen(version) && strncmp(vermagic, version, len) == 0)
		return 0;
	if (strstr(vermagic + len, " modversions") &&
	    kernel_config_get(&m->kernel->config, "CONFIG_MODVERSIONS") == KERNEL_OPTION_YES)
		return 0;
	return error_text(
		e, ENOEXEC,
		"pack module %s: it is for kernel %.*s, not %s; install the right one or remove it, "
		"then run: depmod %s",
		path, (int)len, vermagic, version, version);
}

/* Its entry in the tree: how big it is, and what is in it if that is known already. */
static void fill_entry(const struct modules *m, const struct moddep_module *dep, struct modinfo *info)
{
	_cleanup_(free) char *path = modules_tree_path(m, dep);
	struct entry *entry = tree_find(m->tree, path);

	if (!entry || !entry->source)
		return; /* a profile has put something else in its place */
	entry->size = info->size;
	entry->packed = info->packed;
	entry->spool = info->spooled ? m->spool : NULL;
	entry->spool_at = info->spool_at;
}

static int add_firmware(struct modules *m, const char *name, const char *module, const struct reason *why,
			struct error *e)
{
	int r = firmware_add(&m->firmware, name, why, e);

	if (r == 0) {
		report_debug(m->report, "firmware %s, which module %s names, is not in /lib/firmware", name,
			     module);
		strlist_add_once(&m->missing_firmware, name);
	}
	return r;
}

static int look_through(struct modules *m, uint32_t place, struct error *e)
{
	const struct moddep_module *dep = &m->dep.list[place];
	struct module *module = &m->all[place];
	struct modinfo *info = &module->info;
	_cleanup_(free) char *path = xasprintf("%s/%s", m->kernel->modules, dep->path);
	int r = check_vermagic(m, path, info->vermagic, e);

	if (r == 0)
		fill_entry(m, dep, info);
	for (size_t i = 0; r >= 0 && i < dep->need_count; i++) {
		const struct moddep_module *needed = &m->dep.list[dep->needs[i]];

		r = modules_take(m, needed, needed->name, module->why, e);
	}
	/* What is not there is no matter: these are the soft ones. */
	for (size_t i = 0; r >= 0 && i < info->wanted.count; i++)
		r = modules_add(
			m, info->wanted.items[i],
			tree_reason(m->tree, module->why, "soft dependency %s", info->wanted.items[i]), e);
	for (size_t i = 0; r >= 0 && i < info->firmware.count; i++)
		r = add_firmware(m, info->firmware.items[i], dep->name, module->why, e);
	modinfo_free(info);
	return r < 0 ? r : 0;
}

/* Drivers in the kernel itself name firmware too: modules.builtin.modinfo has "MODULE.KEY=VALUE" of them all. */
static int add_built_in_firmware(struct modules *m, struct error *e)
{
	_cleanup_(free) char *path = xasprintf("%s/modules.builtin.modinfo", m->kernel->modules);
	_cleanup_(free) char *text = NULL;
	size_t len;
	int r = access(path, F_OK) < 0 ? -ENOENT : read_file_at(AT_FDCWD, path, max_modinfo, &text, &len, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* kernels before 5.2 have none */
	for (const char *p = text; r >= 0 && p < text + len; p += strlen(p) + 1) {
		const char *dot = strchr(p, '.');
		const char *name = dot ? str_after(dot, ".firmware=") : NULL;

		if (!name)
			continue;
		_cleanup_(free) char *module = xstrndup(p, (size_t)(dot - p));

		r = add_firmware(m, name, module,
				 tree_reason(m->tree, NULL, "driver %s of the kernel", module), e);
	}
	return r < 0 ? r : 0;
}

int modules_resolve(struct modules *m, struct error *e)
{
	int r = 0;

	while (r == 0 && m->read_count < m->taken_count) {
		size_t end = m->taken_count;

		r = read_batch(m, e);
		while (r == 0 && m->read_count < end)
			r = look_through(m, m->taken[m->read_count++], e);
	}
	return r < 0 ? r : add_built_in_firmware(m, e);
}
