/* btrfs in plain files: made by hand with odd parameters, described, made again elsewhere by the description, and
 * equal in every field of the superblock that is not of the moment. */
#include "fs-lab.h"
#include "machine/btrfs.h"

static char *shown(const char *path)
{
	static const char *const own[] = {
		"superblock:", "csum\t", "generation", "root\t",        "chunk_root",
		"bytes_used",  "cache_", "uuid_tree",  "dev_item.uuid", "dev_item.bytes_used"
	};
	const char *argv[] = { "btrfs", "inspect-internal", "dump-super", path, NULL };

	return said(argv, own, sizeof(own) / sizeof(*own));
}

static void round_trip(const char *options, const char *label, uint64_t size)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .kind = CONTENT_FILESYSTEM,
						.type = (char *)"btrfs",
						.uuid = (char *)UUID,
						.label = (char *)label };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *a = xasprintf("%s/a", t.path), *b = xasprintf("%s/b", t.path);
	_cleanup_(free) char *make = xasprintf("mkfs.btrfs -q -f -U " UUID " %s%s %s %s", label ? "-L " : "",
					       label ? label : "", options, a);
	_cleanup_(free) char *check = xasprintf("btrfs check -q %s", b);

	report_init(&report, VERBOSITY_QUIET, false);
	make_file(a, size);
	run(make);
	CHECK_OK(fs_btrfs.describe(a, NULL, &c, &report, &e));
	CHECK(c.used > 0 && c.used < size);
	CHECK(fs_btrfs.size(&c) <= size);
	make_file(b, size);
	CHECK_OK(fs_btrfs.make(b, &c, &e));
	_cleanup_(free) char *before = shown(a), *after = shown(b);

	CHECK_STR(after, before);
	run(check);
	CHECK_OK(fs_btrfs.try(b, &c, &e));
}

TEST(as_it_comes)
{
	round_trip("", NULL, 300 << 20);
}

TEST(odd_parameters)
{
	round_trip("-n 4096 -M -s 4096 --csum xxhash -O ^no-holes", "mixed", 300 << 20);
	round_trip("-n 65536 --csum sha256 -O ^extref -R ^free-space-tree", "large-nodes", 400 << 20);
	round_trip("--csum blake2 -O ^skinny-metadata,^no-holes -b 200M", "old-style", 400 << 20);
}

TEST(shrunk)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"btrfs", .uuid = (char *)UUID }, now = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);
	_cleanup_(free) char *make = xasprintf("mkfs.btrfs -q -f -n 8192 %s", path);

	make_file(path, 1 << 30);
	run(make);
	CHECK_OK(fs_btrfs.describe(path, NULL, &c, &report, &e));
	CHECK(fs_btrfs.minimum(&c) > 256 << 20 && fs_btrfs.minimum(&c) < 300 << 20);
	fs_btrfs.resize(&c, 1 << 30, (300 << 20) + 512);
	make_file(path, 300 << 20);
	CHECK_OK(fs_btrfs.make(path, &c, &e));
	CHECK_OK(fs_btrfs.describe(path, NULL, &now, &report, &e));
	CHECK_INT(content_number(&now, "bytes"), 300 << 20);
	CHECK_INT(content_number(&now, "node-size"), 8192);
}

TEST(grown)
{
	_cleanup_(content) struct content c = { .type = (char *)"btrfs" };

	content_set_number(&c, "bytes", 300 << 20);
	fs_btrfs.resize(&c, 400 << 20, 400 << 20);
	CHECK_INT(content_number(&c, "bytes"), 300 << 20); /* it did not fill its device */
	fs_btrfs.resize(&c, 400 << 20, (500 << 20) + 512);
	CHECK_INT(content_number(&c, "bytes"), 500 << 20);
}

static void patch(const char *path, off_t at, size_t len, uint64_t value)
{
	_cleanup_(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && pwrite(fd, &value, len, at) == (ssize_t)len); /* little-endian, as this machine */
}

TEST(what_cannot_be_rebuilt_is_refused)
{
	static const struct {
		off_t at;
		size_t len;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ 188, 8, 0x1341, "btrfs with features that Lifeboat does not know cannot be rebuilt yet" },
		{ 180, 8, 0x7,
		  "btrfs with the feature verity, whose signatures cannot be carried over, cannot be rebuilt "
		  "yet" },
		{ 196, 2, 9, "btrfs with features that Lifeboat does not know cannot be rebuilt yet" },
		{ 148, 4, 5000, "broken btrfs superblock" },
		{ 64, 8, 0, "broken btrfs superblock" },
	};
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);
	_cleanup_(free) char *make = xasprintf("mkfs.btrfs -q -f %s", path);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(content) struct content c = { .type = (char *)"btrfs" };
		_cleanup_(free) char *want = xasprintf("%s: %s", path, cases[i].why);

		make_file(path, 300 << 20);
		run(make);
		patch(path, 65536 + cases[i].at, cases[i].len, cases[i].value);
		CHECK_ERROR(fs_btrfs.describe(path, NULL, &c, &report, &e), want);
	}
}

/* Each device says which one it is; what is common to all is what it was. */
TEST(on_several_devices)
{
	static const char *const profiles[] = { "-d raid1 -m raid1c3", "-d single -m raid1",
						"-d raid0 -m raid10", "-d raid1 -m raid1 -M" };

	for (size_t i = 0; i < sizeof(profiles) / sizeof(*profiles); i++) {
		_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
		_cleanup_(content) struct content c = { .type = (char *)"btrfs",
							.uuid = (char *)UUID,
							.label = (char *)"pool" },
						  now = { 0 };
		_cleanup_(strlist) struct strlist was = { 0 }, is = { 0 };

		CHECK_OK(tempdir_make(&t, &e));
		for (unsigned k = 0; k < 3; k++) {
			strlist_addf(&was, "%s/a%u", t.path, k);
			strlist_addf(&is, "%s/b%u", t.path, k);
			make_file(was.items[k], (uint64_t)(300 + 20 * k) << 20);
			make_file(is.items[k], (uint64_t)(300 + 20 * k) << 20);
		}
		_cleanup_(free) char *all = strlist_join(&was, " ");
		_cleanup_(free) char *make =
			xasprintf("mkfs.btrfs -q -f -U " UUID " -L pool %s %s", profiles[i], all);
		/* what only the kernel knows of a mounted one */
		_cleanup_(free) char *data = xstrndup(profiles[i] + 3, strcspn(profiles[i] + 3, " "));

		run(make);
		CHECK_OK(fs_btrfs.describe(was.items[1], NULL, &c, &report, &e));
		CHECK(!key_values_get(&c.parameters, "bytes"));
		CHECK(strstr(profiles[i], key_values_get(&c.parameters, "metadata")) != NULL);
		key_values_set(&c.parameters, "data", data);
		CHECK_OK(btrfs_try_on(&is, &c, &e));
		CHECK_OK(btrfs_make_on(&is, &c, &e));
		CHECK_OK(fs_btrfs.describe(is.items[2], NULL, &now, &report, &e));
		CHECK_STR(key_values_get(&now.parameters, "metadata"),
			  key_values_get(&c.parameters, "metadata"));
		CHECK_STR(key_values_get(&now.parameters, "features"),
			  key_values_get(&c.parameters, "features"));
		for (unsigned k = 0; k < 3; k++) {
			_cleanup_(free) char *uuid = blkid_value(is.items[k], "UUID");
			_cleanup_(free) char *own = blkid_value(is.items[k], "UUID_SUB");
			struct btrfs_superblock s;

			CHECK_STR(uuid, UUID);
			CHECK_OK(btrfs_read_device(is.items[k], &s, &e));
			CHECK_INT(s.devices, 3);
			CHECK_INT(s.id, k + 1);
			CHECK_INT(s.size, (uint64_t)(300 + 20 * k) << 20);
			CHECK_STR(s.uuid, own);
		}
	}
}

TEST(too_few_devices_are_an_error)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"btrfs" };
	_cleanup_(strlist) struct strlist one = { 0 };

	CHECK_OK(tempdir_make(&t, &e));
	strlist_addf(&one, "%s/a", t.path);
	make_file(one.items[0], 300 << 20);
	key_values_set(&c.parameters, "metadata", "raid1");
	CHECK(btrfs_try_on(&one, &c, &e) < 0);
	CHECK(strstr(e.text, "mkfs.btrfs") != NULL);
}

TEST(what_cannot_be_made_is_an_error)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(content) struct content c = { .type = (char *)"btrfs", .uuid = (char *)UUID };

	CHECK_OK(tempdir_make(&t, &e));
	_cleanup_(free) char *path = xasprintf("%s/a", t.path);

	make_file(path, 300 << 20);
	content_set_number(&c, "bytes", 1 << 30);
	CHECK(fs_btrfs.make(path, &c, &e) < 0);
	CHECK(strstr(e.text, "mkfs.btrfs") != NULL);
}

TAP_MAIN()
