/* Encrypted sets, with age itself: what is saved comes back, whole and file by file; by hand, too; and what is wrong is one
 * line. */
#include "tap.h"

#include "backup/files.h"
#include "backup/set.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static struct error e;
static struct report quiet;

/* A place with from/, to/, a target, and two pairs of keys. */
struct place {
	struct tempdir dir;
	struct target target;
	char *from, *to;
	const char *state; /* a folder of the machine's own, or NULL */
	struct age_key key, other;
	struct strlist recipients;
};

static void place_remove(struct place *p)
{
	target_close(&p->target);
	tempdir_remove(&p->dir);
	age_key_free(&p->key);
	age_key_free(&p->other);
	strlist_free(&p->recipients);
	free(p->from);
	free(p->to);
}
DEFINE_CLEANUP(place, struct place, place_remove)

static void run(const struct place *p, const char *script)
{
	const char *argv[] = { "bash", "-c", script, NULL };
	const struct proc_options o = { .cwd = p->dir.path };

	CHECK_OK(proc_run(argv, &o, &e));
}

static void load_key(const struct place *p, const char *name, struct age_key *ret)
{
	_cleanup_(free) char *path = xasprintf("%s/%s", p->dir.path, name);

	CHECK_OK(age_key_load(path, ret, &e));
}

static void place_make(struct place *p)
{
	*p = (struct place) {
		.dir = TEMPDIR_NONE, .target = { .dirfd = -1 }, .key = AGE_KEY_NONE, .other = AGE_KEY_NONE
	};
	(void)signal(SIGPIPE, SIG_IGN); /* as the program does */
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&p->dir, &e));
	run(p, "mkdir -p from/folder to sets\n"
	       "for k in key other; do age-keygen -o $k 2>/dev/null && age-keygen -y $k >$k.pub || exit 1; "
	       "done\n"
	       "for i in 1 2 3 4; do head -c 700000 /dev/urandom >from/folder/$i; done\n"
	       "echo small >from/last");
	_cleanup_(free) char *url = xasprintf("file://%s/sets", p->dir.path);

	p->from = xasprintf("%s/from", p->dir.path);
	p->to = xasprintf("%s/to", p->dir.path);
	strlist_addf(&p->recipients, "%s/key.pub", p->dir.path);
	load_key(p, "key", &p->key);
	load_key(p, "other", &p->other);
	CHECK_OK(target_open(url, NULL, &p->target, &quiet, &e));
}

static int save_level(struct place *p, unsigned level, const struct age_key *key)
{
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *name = NULL;
	struct stat st;

	CHECK_INT(stat(p->from, &st), 0);
	CHECK_OK(set_begin(&p->target, "box", level, 1 << 20, &w, &quiet, &e));
	int r = set_writer_encrypt(w, &p->recipients, key, p->state, &e);

	if (r < 0)
		return r;
	CHECK_OK(set_add_file(w, "machine.conf", "x", 1, &e));
	const struct set_source source = { .folder = p->from, .device = st.st_dev };

	r = set_save_filesystem(w, "root", "archive", &source, &quiet, &e);
	return r < 0 ? r : set_commit(w, &name, &e);
}

static int open_set(struct place *p, const struct age_key *key, struct set **ret)
{
	int r = set_open(&p->target, "box", NULL, ret, &quiet, &e);

	CHECK_OK(r);
	set_use_key(*ret, key);
	return set_check_key(*ret, &quiet, &e);
}

TEST(what_is_encrypted_comes_back)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	CHECK_OK(open_set(&p, &p.key, &s));
	CHECK(set_encrypted(s));
	CHECK_OK(set_verify(s, &quiet, &e));
	CHECK_OK(set_check_listings(s, true, &quiet, &e));
	CHECK_OK(set_restore_stream(s, "root", "archive", p.to, &quiet, &e));
	run(&p, "diff -r from to");
	/* chunks of 1 MiB at most, though age adds to them, and nothing that could tell a name */
	run(&p,
	    "cd sets/box/* && ls root.archive.zst.001.age root.listing.zst.000.age root.index.zst.000.age &&"
	    " ! ls | grep -v 'age$' | grep -qvx 'SHA256SUMS\\|machine.conf\\|set.conf' &&"
	    " ! find . -size +1024k | grep -q . && ! grep -aq folder *");
}

TEST(by_hand)
{
	_cleanup_(place) struct place p;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	run(&p, "set -o pipefail; cd sets/box/* && sha256sum --quiet --strict -c SHA256SUMS &&"
		" for c in root.archive.zst.*.age; do age -d -i ../../../key $c || exit 1; done | zstd -d |"
		" (tar -xf - -C ../../../to && cat >/dev/null) && diff -r ../../../from ../../../to");
}

TEST(single_files)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;
	_cleanup_(set_files) struct set_files *f = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	CHECK_OK(open_set(&p, &p.key, &s));
	CHECK_OK(set_files_open(s, "root", "archive", &f, &e));
	const struct listing *l = set_files_listing(f);
	_cleanup_(free) bool *wanted = xcalloc(l->count, sizeof(*wanted));

	for (size_t i = 0; i < l->count; i++)
		wanted[i] = !str_ends(l->items[i].path, "/2") && !str_ends(l->items[i].path, "/3");
	CHECK_OK(set_files_restore(f, wanted, p.to, &quiet, &e));
	run(&p, "cmp from/last to/last && cmp from/folder/1 to/folder/1 && cmp from/folder/4 to/folder/4 &&"
		" [ ! -e to/folder/2 ]");
}

TEST(a_level_needs_the_key_of_what_it_goes_on_from)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	CHECK_INT(save_level(&p, 1, NULL), -ENOKEY);
	CHECK(strstr(e.text, "which is encrypted, and this machine has kept nothing of it: its listing takes "
			     "the key (--identity"));
	run(&p, "rm from/folder/1 && echo more >from/folder/more");
	CHECK_OK(save_level(&p, 1, &p.key));
	CHECK_OK(open_set(&p, &p.key, &s));
	CHECK_OK(set_check_listings(s, true, &quiet, &e));
	CHECK_OK(set_restore_stream(s, "root", "archive", p.to, &quiet, &e));
	run(&p, "diff -r from to");
}

TEST(a_level_needs_no_key_where_the_machine_kept_the_listing)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	_cleanup_(free) char *state = xasprintf("%s/state", p.dir.path);

	p.state = state;
	CHECK_OK(save_level(&p, 0, NULL));
	run(&p, "cd state/levels/*/0-* && [ $(stat -c %a .) = 700 ] && [ $(stat -c %a root.listing.zst) = "
		"600 ] &&"
		" zstd -dqc root.listing.zst | grep -q folder/3 && [ $(ls | wc -l) = 2 ]");
	for (unsigned level = 1; level <= 2; level++) {
		_cleanup_(free) char *script =
			xasprintf("rm from/folder/%u && echo %u >from/folder/more%u", level, level, level);

		run(&p, script);
		CHECK_OK(save_level(&p, level, NULL));
	}
	CHECK_OK(open_set(&p, &p.key, &s));
	CHECK_OK(set_verify(s, &quiet, &e));
	CHECK_OK(set_check_listings(s, true, &quiet, &e));
	CHECK_OK(set_restore_stream(s, "root", "archive", p.to, &quiet, &e));
	run(&p, "diff -r from to");
	/* what no later level goes on from goes */
	run(&p, "[ \"$(ls state/levels/* | cut -c 1-2 | xargs)\" = '0- 1- 2-' ]");
	CHECK_OK(save_level(&p, 1, NULL));
	run(&p, "[ \"$(ls state/levels/* | cut -c 1-2 | xargs)\" = '0- 1-' ]");
	CHECK_OK(save_level(&p, 0, NULL));
	run(&p, "[ \"$(ls state/levels/* | cut -c 1-2 | xargs)\" = 0- ]");
	/* damaged: an error, no smaller backup */
	run(&p, "printf X | dd of=$(echo state/levels/*/0-*/root.listing.zst) bs=1 seek=100 conv=notrunc "
		"status=none");
	CHECK(save_level(&p, 1, NULL) < 0);
	run(&p, "rm -r state/levels/*/0-*");
	CHECK_INT(save_level(&p, 1, NULL), -ENOKEY);
	/* one that cannot be kept does not fail the backup */
	run(&p, "rm -r state && touch state");
	CHECK_OK(save_level(&p, 0, NULL));
}

static void check_said(const char *want)
{
	if (!strstr(e.text, want) || strchr(e.text, '\n'))
		TAP_FAIL("'%s', expected '%s'", e.text, want);
}

TEST(what_is_wrong_is_one_line)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *none = NULL, *wrong = NULL, *right = NULL, *absent = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	CHECK_INT(open_set(&p, NULL, &none), -ENOKEY);
	check_said("is encrypted: --identity FILE names the key that opens it");
	CHECK(open_set(&p, &p.other, &wrong) < 0);
	check_said(".zst.000.age: age: no identity matched any of the recipients");
	CHECK_OK(open_set(&p, &p.key, &right));
	run(&p,
	    "echo '#!/nonexistent' >age && chmod +x age"); /* PATH is not the only place that is looked in */
	CHECK_INT(setenv("PATH", p.dir.path, 1), 0);
	CHECK_INT(open_set(&p, &p.key, &absent), -ENOENT);
	check_said("run age: ");
	CHECK_INT(age_check_recipients(&p.recipients, &e), -ENOENT);
}

/* Damage that SHA256SUMS agrees with, as a server that lies would make it: age itself finds it. */
static void check_damage(const char *script, const char *want)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	_cleanup_(free) char *damage =
		xasprintf("cd sets/box/* && f=root.archive.zst.001.age && { %s; } &&"
			  " sha256sum $(sed 's/.*  //' SHA256SUMS) >new && mv new SHA256SUMS",
			  script);

	run(&p, damage);
	CHECK_OK(open_set(&p, &p.key, &s));
	CHECK_OK(set_verify(s, &quiet, &e));
	CHECK(set_restore_stream(s, "root", "archive", p.to, &quiet, &e) < 0);
	check_said(want);
	CHECK(set_check_listings(s, true, &quiet, &e) < 0);
}

TEST(other_bytes_that_the_sums_agree_with)
{
	check_damage("printf '%064d' 0 | dd of=$f bs=1 seek=200000 conv=notrunc status=none",
		     "root.archive.zst.001.age: age: ");
}

TEST(a_truncated_file_that_the_sums_agree_with)
{
	check_damage("truncate -s 600000 $f", "root.archive.zst.001.age: age: ");
}

/* At a border of age's own pieces. */
TEST(a_file_truncated_at_a_border)
{
	check_damage("h=$(grep -abo -m1 '^--- ' $f | cut -d : -f 1) && "
		     "truncate -s $((h + 4 + 43 + 1 + 16 + 3 * (65536 + 16))) $f",
		     "root.archive.zst.001.age: age: ");
}

TEST(other_bytes_anywhere_are_found_by_their_sum)
{
	_cleanup_(place) struct place p;
	_cleanup_(set) struct set *s = NULL;

	place_make(&p);
	CHECK_OK(save_level(&p, 0, NULL));
	run(&p, "printf '%064d' 0 | dd of=$(echo sets/box/*/root.archive.zst.001.age) bs=1 seek=200000"
		" conv=notrunc status=none");
	CHECK_OK(open_set(&p, NULL, &s) == -ENOKEY ? 0 : -1); /* it takes no key to see it */
	CHECK(set_verify(s, &quiet, &e) < 0);
	check_said("root.archive.zst.001.age: damaged: its SHA-256 is");
	set_use_key(s, &p.key);
	CHECK(set_restore_stream(s, "root", "archive", p.to, &quiet, &e) < 0);
}

TEST(recipients_that_are_none)
{
	_cleanup_(place) struct place p;
	_cleanup_(strlist) struct strlist bad = { 0 }, missing = { 0 };

	place_make(&p);
	CHECK_OK(age_check_recipients(&p.recipients, &e));
	strlist_add(&bad, "age1qqqq");
	CHECK(age_check_recipients(&bad, &e) < 0);
	check_said("age: ");
	strlist_add(&missing, "/nonexistent/keys");
	CHECK(age_check_recipients(&missing, &e) < 0);
	check_said("/nonexistent/keys");
}

TAP_MAIN()
