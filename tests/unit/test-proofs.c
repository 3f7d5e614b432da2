/* What `lifeboat check` has against the proofs of a machine. */
#include "base/fs.h"
#include "cmd/proofs.h"
#include "proof-lab.h"
#include "tap.h"

#include <fcntl.h>
#include <unistd.h>

static struct error e;
static const time_t begun = 1769904000; /* 2026-02-01 00:00:00 UTC */

/* A folder with what was written by write_proof(), and what is asked of it. */
struct place {
	struct tempdir t;
	struct set_list sets;
	struct set_info infos[3];
	struct proofs_question q;
	char *medium;
};

static void place_free(struct place *p)
{
	tempdir_remove(&p->t);
	free(p->medium);
}
DEFINE_CLEANUP(place, struct place, place_free)

static void place_make(struct place *p)
{
	*p = (struct place) { .t = TEMPDIR_NONE };
	CHECK_OK(tempdir_make(&p->t, &e));
	p->medium = xasprintf("%s/stick.img", p->t.path);
	p->infos[0] = (struct set_info) { .host = (char *)"alpha",
					  .name = (char *)"20260131T021502Z-0",
					  .complete = true };
	p->infos[1] = (struct set_info) { .host = (char *)"alpha",
					  .name = (char *)"20260201T021502Z-1",
					  .complete = true };
	p->infos[2] = (struct set_info) { .host = (char *)"beta",
					  .name = (char *)"20260131T091502Z-1",
					  .complete = true };
	p->sets = (struct set_list) { .items = p->infos, .count = 3 };
	p->q = (struct proofs_question) { .folder = p->t.path,
					  .host = "alpha",
					  .every = 168,
					  .now = begun + 7200,
					  .medium = p->medium,
					  .medium_created = begun - 3600,
					  .sets = &p->sets };
}

/* By lab_proven() and the like, at `when`, of a medium at `path`. */
static void write_proof(const struct place *place, void (*fill)(struct proof *p), time_t when,
			const char *path)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(free) char *folder = NULL, *file = NULL;
	struct tm tm;
	char name[32];

	fill(&p);
	p.created = when;
	free(p.medium.path);
	p.medium.path = xstrdup(path);
	lab_conclude(&p);
	CHECK(gmtime_r(&when, &tm) && strftime(name, sizeof(name), "%Y%m%dT%H%M%SZ", &tm));
	folder = xasprintf("%s/proofs/%s", place->t.path, name);
	file = xasprintf("%s/proof.json", folder);
	CHECK_OK(mkdir_parents_at(AT_FDCWD, folder, 0700, &e));
	CHECK_OK(proof_write_json(&p, file, &e));
}

static const char *said(const struct place *p)
{
	static char *last;
	_cleanup_(strlist) struct strlist l = { 0 };

	CHECK_OK(proofs_check(&p->q, &l, &e));
	free(last);
	last = l.count ? strlist_join(&l, "\n") : xstrdup("");
	return last;
}

#define PLACE                                 \
	_cleanup_(place) struct place place_; \
	struct place *p = &place_;            \
	place_make(p)

TEST(a_young_proof_of_the_last_medium_is_all_right)
{
	PLACE;

	write_proof(p, lab_proven, begun, p->medium);
	CHECK_STR(said(p), "");
}

TEST(none_at_all)
{
	PLACE;
	_cleanup_(free) char *want =
		xasprintf("nothing is proven: no proof of alpha in %s/proofs", p->t.path);

	CHECK_STR(said(p), want);
	p->q.every = 0;
	CHECK_STR(said(p), "");
}

TEST(one_of_another_machine_or_a_sample_is_none)
{
	PLACE;
	_cleanup_(free) char *want = xasprintf("nothing is proven: no proof of alph in %s/proofs", p->t.path);

	write_proof(p, lab_proven, begun, p->medium);
	p->q.host = "alph";
	CHECK_STR(said(p), want);
	p->q.host = "alpha";
	CHECK_STR(said(p), "");
	write_proof(p, lab_sample, begun + 60, p->medium);
	CHECK_STR(said(p), "");
	p->q.now = begun + 168 * 3600 + 30;
	CHECK(strstr(said(p), "168 hours old"));
}

TEST(one_that_is_too_old)
{
	PLACE;

	write_proof(p, lab_proven, begun, p->medium);
	p->q.now = begun + 168 * 3600;
	CHECK_STR(said(p), "");
	p->q.now = begun + 170 * 3600;
	CHECK_STR(said(p), "the last proof is 170 hours old, more than prove-every = 168");
}

TEST(one_that_failed_until_there_is_a_better_one)
{
	PLACE;
	_cleanup_(free) char *want =
		xasprintf("the last proof failed: 3 of 27514 files differ, first /usr/bin/ping: capabilities "
			  "(%s/proofs/20260201T000100Z/proof.json)",
			  p->t.path);

	write_proof(p, lab_proven, begun, p->medium);
	write_proof(p, lab_failed, begun + 60, p->medium);
	CHECK_STR(said(p), want);
	p->q.every = 0;
	CHECK_STR(said(p), want);
	write_proof(p, lab_proven, begun + 120, p->medium);
	CHECK_STR(said(p), "");
}

TEST(one_of_another_medium)
{
	PLACE;
	_cleanup_(free) char *other = xasprintf("the last proof is of another medium than %s", p->medium);
	_cleanup_(free) char *later = xasprintf("%s was made after the last proof", p->medium);

	write_proof(p, lab_proven, begun, "/dev/sdz");
	CHECK_STR(said(p), other);
	write_proof(p, lab_proven, begun + 1, p->medium);
	CHECK_STR(said(p), "");
	p->q.medium_created = begun + 2;
	CHECK_STR(said(p), later);
	p->q.medium_created = begun;
	/* a file that is there is known by its content */
	CHECK_OK(write_file_at(AT_FDCWD, p->medium, 0600, "x", 1, &e));
	CHECK_STR(said(p), other);
}

TEST(one_of_a_backup_that_was_not_the_newest)
{
	PLACE;

	p->infos[0].name = (char *)"20260131T225959Z-1";
	write_proof(p, lab_proven, begun, p->medium);
	CHECK_STR(said(p),
		  "the last proof is of the backup 20260131T021502Z-0, though 20260131T225959Z-1 was there");
	p->infos[0].complete = false;
	CHECK_STR(said(p), "");
}

TEST(a_run_without_a_proof_and_a_spoilt_one)
{
	PLACE;
	_cleanup_(free) char *folder = xasprintf("%s/proofs/20260301T000000Z", p->t.path);
	_cleanup_(free) char *file = xasprintf("%s/proof.json", folder);
	_cleanup_(free) char *want = xasprintf("%s: no proof: it does not begin as one", file);
	_cleanup_(strlist) struct strlist l = { 0 };

	write_proof(p, lab_proven, begun, p->medium);
	CHECK_OK(mkdir_parents_at(AT_FDCWD, folder, 0700, &e));
	CHECK_STR(said(p), "");
	CHECK_OK(write_file_at(AT_FDCWD, file, 0600, "{}", 2, &e));
	CHECK_ERROR(proofs_check(&p->q, &l, &e), want);
}

TAP_MAIN()
