/* A set in two places: written to both, and whole as long as each byte is good in one of them. */
#include "set-lab.h"

#include <errno.h>
#include <sys/mman.h>

/* The same set in two places; the second is the first's replica. */
struct pair {
	struct place a, b;
	char *name, *first, *second; /* the set, and its folders */
};

static void pair_remove(struct pair *p)
{
	place_remove(&p->a); /* closes the replica */
	p->b.target = (struct target) { .dirfd = -1 };
	place_remove(&p->b);
	free(p->name);
	free(p->first);
	free(p->second);
}
DEFINE_CLEANUP(pair, struct pair, pair_remove)

static void pair_make(struct pair *p, size_t len)
{
	*p = (struct pair) { 0 };
	place_make(&p->a, "", "");
	p->name = write_set(&p->a, len);
	place_make(&p->b, "", "");
	_cleanup_(free) char *copy = xasprintf("cp -a box %s/", p->b.dir.path);

	run_in(p->a.dir.path, copy);
	p->first = xasprintf("%s/box/%s", p->a.dir.path, p->name);
	p->second = xasprintf("%s/box/%s", p->b.dir.path, p->name);
	p->a.target.replica = xmalloc(sizeof(p->b.target));
	*p->a.target.replica = p->b.target;
}

/* What does harm to one place; the set is whole all the same. */
static const char *const harms[] = {
	"printf X | dd of=root.dump.zst.000 bs=1 seek=100 conv=notrunc status=none",
	"truncate -s -1 root.dump.zst.001",
	"truncate -s 0 home.dump.zst.000",
	"rm root.dump.zst.000",
	"mv root.dump.zst.000 x; mv root.dump.zst.001 root.dump.zst.000; mv x root.dump.zst.001",
	"echo x >> machine.conf",
	"rm machine.conf",
	"rm SHA256SUMS",
	"truncate -s -5 SHA256SUMS",
	"sed -i 's/^./f/' SHA256SUMS; echo x >> machine.conf",
	"touch foreign.dump.zst.000",
	"rm *",
	"cd ..; rm -r *",
};

TEST(what_is_bad_in_one_place_is_taken_from_another)
{
	for (size_t i = 0; i < 2 * sizeof(harms) / sizeof(*harms); i++) {
		/* of two lists of sums that differ, the first counts */
		if (strstr(harms[i / 2], "sed") && i % 2 == 0)
			continue;
		_cleanup_(pair) struct pair p;
		_cleanup_(fd) int want = sample(500000, 1);
		_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);
		_cleanup_(free) char *conf = NULL;
		_cleanup_(set) struct set *s = NULL;

		pair_make(&p, 500000);
		run_in(i % 2 ? p.second : p.first, harms[i / 2]);
		CHECK_OK(verify(&p.a));
		CHECK_OK(read_back(&p.a, "root", got)); /* not verified before */
		same_files(want, got);
		CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
		CHECK_OK(set_machine_conf(s, &conf, &quiet, &e));
		CHECK_STR(conf, "[machine]\n");
	}
}

/* Both places, empty. */
static void pair_make_empty(struct pair *p)
{
	*p = (struct pair) { 0 };
	place_make(&p->a, "", "");
	place_make(&p->b, "", "");
	p->a.target.replica = xmalloc(sizeof(p->b.target));
	*p->a.target.replica = p->b.target;
}

TEST(a_backup_is_written_to_each_place)
{
	_cleanup_(pair) struct pair p;

	pair_make_empty(&p);
	p.name = write_set(&p.a, 500000);
	_cleanup_(free) char *compare = xasprintf("diff -r . %s", p.b.dir.path);

	run_in(p.a.dir.path, "rm box/.lock");
	run_in(p.b.dir.path, "rm box/.lock");
	run_in(p.a.dir.path, compare);
	CHECK_OK(verify(&p.b));
}

/* What keeps a place from being written, before and while it is. */
static void write_with_harm(const char *before, const char *between, bool second)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(500000, 1);
	char *folder;

	pair_make_empty(&p);
	folder = second ? p.b.dir.path : p.a.dir.path;
	run_in(folder, before);
	CHECK_OK(set_begin(&p.a.target, "box", 0, chunk, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", "[machine]\n", 10, &e));
	run_in(folder, between);
	CHECK_OK(set_add_stream(w, "root", "dump", root, 0, &quiet, &e));
	CHECK_OK(set_commit(w, &p.name, &e));
	CHECK_INT(set_writer_failed(w), 1);
	CHECK_OK(verify(second ? &p.a : &p.b));
	CHECK_INT(verify(second ? &p.b : &p.a), second ? -ENOENT : 0); /* that of the first asks both */
	run_in(folder, "! ls -d box/2*");
}

TEST(a_place_that_fails_is_given_up_and_the_other_goes_on)
{
	for (int second = 0; second < 2; second++) {
		write_with_harm("touch box", "true", second); /* no folder there */
		write_with_harm("true", "rm -r box/*.partial", second);
	}
}

TEST(no_place_left_is_an_error)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(fd) int root = sample(500000, 1);

	pair_make_empty(&p);
	CHECK_OK(set_begin(&p.a.target, "box", 0, chunk, &w, &quiet, &e));
	run_in(p.a.dir.path, "rm -r box/*.partial");
	run_in(p.b.dir.path, "rm -r box/*.partial");
	CHECK_INT(set_add_stream(w, "root", "dump", root, 0, &quiet, &e), -ENOENT);
}

TEST(what_is_bad_in_both_places_is_damage)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	pair_make(&p, 500000);
	run_in(p.first, harms[0]);
	run_in(p.second, harms[3]);
	CHECK_INT(verify(&p.a), -EBADMSG);
	CHECK(strstr(e.text, "root.dump.zst.000: damaged"));
	CHECK_INT(read_back(&p.a, "root", got), -EBADMSG);
}

TEST(each_chunk_may_be_bad_in_another_place)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(fd) int want = sample(500000, 1);
	_cleanup_(fd) int got = memfd_create("got", MFD_CLOEXEC);

	pair_make(&p, 500000);
	run_in(p.first, "for f in *.zst.*[02468]; do echo x >>$f; done");
	run_in(p.second, "for f in *.zst.*[13579]; do rm $f; done");
	CHECK_OK(verify(&p.a));
	CHECK_OK(read_back(&p.a, "root", got));
	same_files(want, got);
}

TEST(the_newest_set_of_all_places_is_meant)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(set) struct set *s = NULL;

	pair_make(&p, 1000);
	run_in(p.b.dir.path, "cd box; cp -a * 20991231T000000Z-0");
	CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
	CHECK_STR(set_shown(s), "box/20991231T000000Z-0");
	CHECK_OK(set_verify(s, &quiet, &e));
}

TEST(sets_that_only_share_their_name_are_not_mixed)
{
	_cleanup_(pair) struct pair p;
	_cleanup_(set) struct set *s = NULL;

	pair_make(&p, 1000);
	run_in(p.second, "echo other >machine.conf; sha256sum m* *.zst.* >SHA256SUMS");
	run_in(p.first, "rm machine.conf");
	CHECK_OK(set_open(&p.a.target, NULL, NULL, &s, &quiet, &e));
	CHECK_INT(set_verify(s, &quiet, &e), -ENOENT);
}

TAP_MAIN()
