/* The table of methods. */
#include "backup/method.h"

#include "backup/set_private.h"

#include <errno.h>
#include <fcntl.h>

static const struct method *const methods[] = { &method_dump, &method_archive };

static const struct method *find(const char *name, struct error *e)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (streq(methods[i]->name, name))
			return methods[i];
	(void)error_text(e, EOPNOTSUPP, "backup method '%s' is unknown to this version", name);
	return NULL;
}

int set_save_filesystem(struct set_writer *w, const char *name, const char *method, const char *mountpoint,
			dev_t device, uint64_t total, struct report *report, struct error *e)
{
	const struct method *m = find(method, e);

	return m ? m->save(w, name, mountpoint, device, total, report, e) : -EOPNOTSUPP;
}

int set_check_stream(const struct set *s, const char *name, const char *method, struct error *e)
{
	_cleanup_(free) const struct sum **chunks = NULL;
	size_t count;

	return find(method, e) ? set_stream_chunks(s, name, method, &chunks, &count, e) : -EOPNOTSUPP;
}

/* What was restored is in memory for the most part: here the disk says whether it keeps it. */
static int flush(const char *folder, struct error *e)
{
	_cleanup_(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? error_errno(e, errno, "write %s", folder) : 0;
}

int set_restore_stream(struct set *s, const char *name, const char *method, const char *folder,
		       struct report *report, struct error *e)
{
	const struct method *m = find(method, e);

	if (!m)
		return -EOPNOTSUPP;
	int r = m->restore(s, name, folder, report, e);

	return r < 0 ? r : flush(folder, e);
}
