/* ld.so.cache, written and read: by us, and by glibc's own tool. */
#include "base/fs.h"
#include "base/proc.h"
#include "image/ldcache.h"
#include "tap.h"

static struct error e;

/* Out of order, with numbers that are not in the order of their characters. */
static struct ldcache_entry entries[] = {
	{ "libb.so.9", "/lib/libb.so.9", 0x303 },   { "libz.so.1", "/usr/lib/libz.so.1", 0x303 },
	{ "libb.so.10", "/lib/libb.so.10", 0x303 }, { "libz.so.1", "/lib32/libz.so.1", 3 },
	{ "liba.so.1", "/opt/liba.so.1", 0x303 },
};
enum { entry_count = sizeof(entries) / sizeof(*entries) };

static int read_text(const void *data, size_t size, struct ldcache *ret)
{
	_cleanup_(tree) struct tree t = { 0 };

	CHECK_OK(tree_add_data(&t, "etc/ld.so.cache", 0644, data, size, NULL, &e));
	return ldcache_read(NULL, &t, ret, &e);
}

TEST(what_is_written_can_be_read)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(ldcache) struct ldcache c = { 0 };
	size_t count;

	ldcache_format(entries, entry_count, &text);
	CHECK_INT(read_text(text.data, text.len, &c), 1);
	CHECK_INT(c.count, entry_count);
	const struct ldcache_entry *z = ldcache_find(&c, "libz.so.1", &count);

	CHECK_INT(count, 2);
	CHECK_STR(z[0].path, "/usr/lib/libz.so.1");
	CHECK_STR(z[1].path, "/lib32/libz.so.1");
	CHECK(!ldcache_find(&c, "libq.so", &count));
}

TEST(ldconfig_reads_the_same)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	_cleanup_(free) char *out = NULL;

	ldcache_format(entries, entry_count, &text);
	CHECK_OK(tempdir_make(&dir, &e));
	CHECK_OK(write_file_at(dir.fd, "cache", 0644, text.data, text.len, &e));
	_cleanup_(free) char *path = xasprintf("%s/cache", dir.path);

	CHECK_OK(proc_capture((const char *const[]) { "ldconfig", "-C", path, "-p", NULL }, NULL, &out, &e));
	CHECK(strstr(out, "5 libs found"));
	CHECK(strstr(out, "libb.so.10 (libc6,x86-64) => /lib/libb.so.10\n"
			  "\tlibb.so.9 (libc6,x86-64) => /lib/libb.so.9\n"));
	CHECK(strstr(out, "libz.so.1 (libc6) => /lib32/libz.so.1\n"));
}

TEST(a_cut_one_is_none)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	ldcache_format(entries, entry_count, &text);
	for (size_t len = 0; len < text.len; len++) {
		_cleanup_(ldcache) struct ldcache c = { 0 };
		int r = read_text(text.data, len, &c);

		if (r < 0 || (r == 1 && len < 48 + 24 * entry_count))
			TAP_FAIL("%zu bytes: %d", len, r);
	}
}

TAP_MAIN()
