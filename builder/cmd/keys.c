#include "cmd/keys.h"

#include "base/fs.h"
#include "machine/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int check_at_hand(const struct machine *m, const char *key_file, bool nobody, struct error *e)
{
	if (key_file)
		return access(key_file, R_OK) < 0 ? error_errno(e, errno, "read the key file %s", key_file)
						  : 0;
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_CRYPT && nobody)
			return error_text(
				e, ENOKEY,
				"%s is encrypted, and there is nobody to type its passphrase; nothing was "
				"written: --key-file names a file with it",
				m->devices[i]->name);
	return 0;
}

/* In memory: it is large, and nothing of it is to stay. */
static int take_out_header(struct set *set, const struct content *c, const struct tempdir *dir,
			   const char *path, struct report *report, struct error *e)
{
	int r = write_file_at(dir->fd, "header", 0600, "", 0, e);

	return r < 0 ? r : set_restore_stream(set, c->stream, c->method, path, report, e);
}

static int try_one(struct set *set, const struct device *crypt, const char *key_file, struct report *report,
		   struct error *e)
{
	const struct content *below = &crypt->below[0]->content;
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	int r = tempdir_make_in_memory(&dir, e);

	if (r < 0)
		return r;
	_cleanup_(free) char *path = xasprintf("%s/header", dir.path);

	r = take_out_header(set, below, &dir, path, report, e);
	if (r < 0)
		return r;
	report_info(report, "trying the %s of %s on its header in the set", key_file ? "key" : "passphrase",
		    crypt->name);
	r = crypt_try_key(crypt, path, key_file, e);
	if (r == 1) {
		report_warn(report, "whether %s can be opened is not known before it is made: %s",
			    crypt->name, e->text);
		return 0;
	}
	if (r < 0)
		error_prefix(e, "the header %s.%s of the set, so nothing was written", below->stream,
			     below->method);
	return r;
}

int keys_check(struct set *set, const struct machine *m, const char *key_file, bool nobody,
	       struct report *report, struct error *e)
{
	int r = check_at_hand(m, key_file, nobody, e);

	for (size_t i = 0; set && i < m->count && r == 0; i++) {
		const struct device *d = m->devices[i];

		if (d->kind == DEVICE_CRYPT && d->below[0]->content.stream)
			r = try_one(set, d, key_file, report, e);
	}
	return r;
}
