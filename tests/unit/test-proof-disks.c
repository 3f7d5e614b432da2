/* The disks of a proof: frozen once the machine is recovered; one guest or two by the memory that there is. */
#include "guest/proof_run.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error e;

struct lab {
	struct report report;
	struct proof proof;
	struct proof_disk_wanted disks[2];
	struct proof_wanted wanted;
	struct proof_run run;
};

static void lab_open(struct lab *l)
{
	*l = (struct lab) { .report.verbosity = VERBOSITY_QUIET,
			    .disks = { { .name = "sda", .bytes = 1 << 20, .sector_size = 512 },
				       { .name = "sdb", .bytes = 1 << 20, .sector_size = 512 } },
			    .wanted = { .medium = "/dev/null", .disk_count = 2, .memory_mib = 1 } };
	l->wanted.disks = l->disks;
	proof_begin(&l->proof);
	CHECK_OK(proof_run_begin(&l->run, &l->wanted, &l->proof, &l->report, &e));
	CHECK_OK(proof_make_disks(&l->run, &e));
}

static void lab_close(struct lab *l)
{
	proof_run_end(&l->run);
	proof_free(&l->proof);
}

/* As proof_freeze_disks() leaves it, without a guest. */
static void freeze(struct lab *l)
{
	l->run.frozen = xcalloc(2, sizeof(*l->run.frozen));
	for (int i = 0; i < 2; i++) {
		const struct timespec past[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1700000000 } };
		_cleanup_(free) char *name = xasprintf("disk%d.img", i);

		CHECK(utimensat(l->run.temp.fd, name, past, 0) == 0);
		l->run.frozen[i] = past[1];
	}
}

TEST(disks_that_nobody_wrote_to)
{
	struct lab l;

	lab_open(&l);
	proof_check_frozen(&l.run);
	CHECK_INT(l.proof.reasons.count, 0); /* there was nothing to freeze */
	freeze(&l);
	proof_check_frozen(&l.run);
	CHECK_INT(l.proof.reasons.count, 0);
	lab_close(&l);
}

TEST(one_that_was_written_to_is_a_reason)
{
	struct lab l;

	lab_open(&l);
	freeze(&l);

	_cleanup_(fd) int fd = openat(l.run.temp.fd, "disk1.img", O_WRONLY | O_CLOEXEC);

	CHECK(pwrite(fd, "x", 1, 4096) == 1);
	proof_check_frozen(&l.run);
	CHECK_INT(l.proof.reasons.count, 1);
	CHECK(strstr(l.proof.reasons.items[0], "the disk sdb was written to after it was recovered") != NULL);
	proof_conclude(&l.proof);
	CHECK_INT(l.proof.verdict, PROOF_FAILED);
	lab_close(&l);
}

TEST(two_guests_where_there_is_memory_for_both)
{
	struct lab l;

	lab_open(&l);
	CHECK_OK(proof_check_resources(&l.run, l.disks, 2, 1, 1, &e));
	CHECK(l.run.beside);
	CHECK_INT(l.proof.planned.memory, 2 << 20);
	l.wanted.in_turn = true;
	CHECK_OK(proof_check_resources(&l.run, l.disks, 2, 1, 1, &e));
	CHECK(!l.run.beside);
	CHECK_INT(l.proof.planned.memory, 1 << 20);
	lab_close(&l);
}

TAP_MAIN()
