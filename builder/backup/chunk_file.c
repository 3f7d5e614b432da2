#include "backup/chunk_file.h"

#include <errno.h>

int chunk_file_open(struct set *s, const struct sum *sum, char *buffer, size_t size, struct chunk_file *ret,
		    struct report *report, struct error *e)
{
	struct chunk_file f = { .report = report, .sum = sum, .file = SET_FILE_NONE };
	int r = 0;

	if (s->copy_count > 1 && !s->whole[sum - s->sums.items])
		r = set_find_whole(s, sum, buffer, size, NULL, report, e);
	if (r == 0)
		r = set_file_open(s, set_copy_of(s, sum), sum->name, 0, &f.file, report, e);
	if (r < 0)
		return r;
	f.digest = digest_new();
	*ret = f;
	return 0;
}

/* Another copy, when the one that it was in is gone: goes on where the file was. */
static int change_copy(struct chunk_file *f, struct error *e)
{
	struct set *s = f->file.s;
	int copy = set_copy_after(s, f->file.copy, &f->tried);
	struct error why = *e;

	if (copy < 0)
		return -why.code;
	int r = set_file_open(s, (size_t)copy, f->file.name, f->file.offset, &f->file, f->report, e);

	if (r == 0)
		report_warn(f->report, "%s: going on with %s", why.text, s->copies[copy].target->shown);
	return r;
}

static int check_sum(struct chunk_file *f, struct error *e)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(f->digest, hex);
	if (streq(hex, f->sum->hex))
		return 0;
	return error_text(e, EBADMSG, "%s/%s: damaged: its SHA-256 is %.16s..., not %.16s...",
			  f->file.s->shown, f->sum->name, hex, f->sum->hex);
}

ssize_t chunk_file_read(struct chunk_file *f, char *data, size_t len, struct error *e)
{
	struct error why;
	ssize_t n;

	while ((n = set_file_read(&f->file, data, len, f->report, &why)) < 0) {
		set_file_close(&f->file);
		int r = change_copy(f, &why);

		if (r < 0) {
			*e = why;
			return r;
		}
	}
	digest_add(f->digest, data, (size_t)n);
	if ((size_t)n < len) {
		int r = check_sum(f, e);

		if (r < 0)
			return r;
	}
	return n;
}

void chunk_file_close(struct chunk_file *f)
{
	set_file_close(&f->file);
	digest_free(f->digest);
	f->digest = NULL;
}
