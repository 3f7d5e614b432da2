/* What runs on a disk, found in a sysfs of our own. */
#include "base/fs.h"
#include "machine/stack.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct error e;
static struct tempdir sys = TEMPDIR_NONE;

/* FILE of the block device `name`. */
static void put(const char *text, const char *name, const char *file)
{
	_cleanup_(free) char *path = xasprintf("class/block/%s/%s", name, file);
	_cleanup_(free) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	CHECK_OK(mkdir_parents_at(sys.fd, folder, 0755, &e));
	CHECK_OK(write_file_at(sys.fd, path, 0644, text, strlen(text), &e));
}

/* `above` is made of `below`. */
static void put_on(const char *above, const char *below)
{
	_cleanup_(free) char *slave = xasprintf("slaves/%s", below), *holder = xasprintf("holders/%s", above);

	put("", above, slave);
	put("", below, holder);
}

/* sda1 and sdb1 are the array md127; the volumes dm-0 and dm-1 lie on it, LUKS dm-2 on dm-1; md127 has a partition
 * too. sdc1 is a part of bcache0. */
static void make_sysfs(void)
{
	CHECK_OK(tempdir_make(&sys, &e));
	put("raid1\n", "md127", "md/level");
	put_on("md127", "sda1");
	put_on("md127", "sdb1");
	put("LVM-xyz\n", "dm-0", "dm/uuid");
	put("vg-root\n", "dm-0", "dm/name");
	put_on("dm-0", "md127");
	put("LVM-abc\n", "dm-1", "dm/uuid");
	put("vg-safe\n", "dm-1", "dm/name");
	put_on("dm-1", "md127");
	put("CRYPT-LUKS2-1\n", "dm-2", "dm/uuid");
	put("safe\n", "dm-2", "dm/name");
	put_on("dm-2", "dm-1");
	put("1\n", "md127p1", "partition");
	put("1\n", "md127", "md127p1/partition");
	put("mpath-1\n", "dm-9", "dm/uuid");
	put_on("dm-9", "sdd");
	put("", "bcache0", "bcache/state");
	put_on("bcache0", "sdc1");
}

static char *use(const void *user, const char *name)
{
	return user && streq(user, name) ? xasprintf("%s is mounted at /x", name) : NULL;
}

static void done(struct presence *p)
{
	strlist_free(&p->stop);
	strlist_free(&p->stop_shown);
}
DEFINE_CLEANUP(presence, struct presence, done)

TEST(the_uppermost_is_stopped_first)
{
	_cleanup_(presence) struct presence p = { 0 };

	make_sysfs();
	CHECK(!stack_find(sys.path, "sda1", use, NULL, &p));
	_cleanup_(free) char *all = strlist_join(&p.stop, " ");

	CHECK_STR(all, "dm-0 dm-2 dm-1 md127");
	CHECK_STR(p.stop_shown.items[1], "safe (dm-2) of dm-1");
	CHECK_STR(p.stop_shown.items[3], "md127 of sda1 and sdb1");
	/* once, whichever way leads there */
	CHECK(!stack_find(sys.path, "sdb1", use, NULL, &p));
	CHECK_INT(p.stop.count, 4);
	tempdir_remove(&sys);
}

TEST(nothing_on_it_nothing_to_stop)
{
	_cleanup_(presence) struct presence p = { 0 };

	make_sysfs();
	CHECK(!stack_find(sys.path, "sde", use, NULL, &p));
	CHECK_INT(p.stop.count, 0);
	tempdir_remove(&sys);
}

TEST(what_is_used_anywhere_above_is_not_stopped)
{
	static const char *const used[] = { "dm-0", "dm-1", "dm-2", "md127", "md127p1" };

	make_sysfs();
	for (size_t i = 0; i < sizeof(used) / sizeof(*used); i++) {
		_cleanup_(presence) struct presence p = { 0 };
		_cleanup_(free) char *why = stack_find(sys.path, "sda1", use, used[i], &p);
		_cleanup_(free) char *wanted = xasprintf("%s is mounted at /x", used[i]);

		CHECK(why);
		CHECK_STR(why, wanted);
	}
	tempdir_remove(&sys);
}

TEST(what_is_not_known_is_not_stopped)
{
	_cleanup_(presence) struct presence p = { 0 };

	make_sysfs();
	_cleanup_(free) char *cache = stack_find(sys.path, "sdc1", use, NULL, &p);
	_cleanup_(free) char *paths = stack_find(sys.path, "sdd", use, NULL, &p);

	CHECK(cache && paths);
	CHECK_STR(cache, "sdc1 is a part of bcache0");
	CHECK_STR(paths, "sdd is a part of dm-9");
	tempdir_remove(&sys);
}

TAP_MAIN()
