/* The running of a proof: blank disks, the medium in a guest that recovers the set on them and compares, the disks alone
 * in a second guest that has to come up. What happens goes into the record (guest/proof.h). Each part is a file:
 * proof_disks.c, proof_recover.c, proof_compare.c, proof_boot.c.
 *
 * Once it is recovered the disks are frozen: nobody writes to them any more. What the first guest writes while it compares (a RAID that is
 * started counts that) goes beside them, as all does that the second writes, so both can have them at once.
 *
 * A failure of the machine is a reason in the record, not an error here: an error is that it could not be tried. */
#pragma once
#include "base/fs.h"
#include "base/report.h"
#include "guest/keeper.h"
#include "guest/proof.h"

#include <stdbool.h>
#include <stdint.h>

struct proof_disk_wanted {
	const char *name; /* as machine.conf calls it */
	const char *bus, *serial; /* of the machine's own; may be NULL */
	uint64_t bytes, used; /* used: what will be written to it, about */
	unsigned sector_size;
};

struct proof_wanted {
	/* the caller's throughout */
	const char *medium;
	bool medium_is_cd, uefi;
	const struct proof_disk_wanted *disks;
	size_t disk_count;
	const char *set_image, *set_url; /* a disk with the set, and its URL in the guest: disk://UUID */
	const char *host, *set_name;
	const char *key_file; /* opens its LUKS devices, at its boot too; NULL: none */
	const char *
		identity; /* opens an encrypted set: age's identities, or an SSH key, in the clear; NULL: none */
	const struct strlist *left_out; /* "sdb=none": disks that the machine is made without; NULL: none */
	double share; /* of the files whose content is compared; 1: all */
	uint64_t seed;
	const struct strlist *ready; /* texts on its console that have to come; empty: a login */
	const struct strlist *ports; /* TCP ports of the machine that must answer */
	unsigned timeout; /* seconds for it to be ready; 0: 600 */
	unsigned recover_timeout; /* seconds; 0: no limit */
	unsigned memory_mib; /* 0: what the medium needs */
	const char *accel; /* NULL: kvm where it works */
	const char *logs; /* the folder for console logs and screenshots */
	int show_fd; /* consoles are copied here; 0: nowhere */
	bool in_turn; /* it is compared before the disks are started, not meanwhile */
};

struct proof_run {
	const struct proof_wanted *wanted;
	struct proof *proof;
	struct report *report;
	struct tempdir temp;
	struct keeper keeper; /* removes `temp` when this process is killed */
	struct strlist serials; /* of the blank disks */
	struct strlist
		failed; /* what the recovered machine's console said that failed: "Failed to start …" */
	unsigned screenshots;
	bool beside; /* there is memory for both guests: it is compared while the disks start */
	bool recovered; /* it is worth to boot it */
	bool booted; /* it was tried */
	struct timespec *frozen; /* of each disk: when it was last written to; NULL: they are not frozen */
};
void proof_run_end(struct proof_run *run);
DEFINE_CLEANUP(proof_run, struct proof_run, proof_run_end)

/* The temporary folder is there from here on (run->temp). The record was begun. */
int proof_run_begin(struct proof_run *run, const struct proof_wanted *wanted, struct proof *proof,
		    struct report *report, struct error *e);
/* -ENOSPC, -ENOMEM with the numbers when it would not fit. `set_bytes`: of the image with the set. */
int proof_check_resources(struct proof_run *run, const struct proof_disk_wanted *disks, size_t disk_count,
			  uint64_t set_bytes, uint64_t medium_bytes, struct error *e);
/* The rest, in this order. What speaks against the machine is added to the record. proof_boot() has nothing left to do where it was
 * done while proof_recover() compared. */
int proof_make_disks(struct proof_run *run, struct error *e);
int proof_recover(struct proof_run *run, struct error *e);
int proof_boot(struct proof_run *run, struct error *e);
/* Were the disks written to since they were frozen? That is a reason. */
void proof_check_frozen(struct proof_run *run);

/* ---- among the files of proof_*.c ---- */

struct guest_live;

/* What is written to the disks from here on by the guest that has them goes beside them; it has flushed what it wrote. */
int proof_freeze_disks(struct proof_run *run, const struct guest_live *guest, struct error *e);
/* The firmware's memory, of UEFI: as the first guest has it, and the second's copy. The caller frees. */
char *proof_variables(const struct proof_run *run, bool second);
/* Memory of the machine that is started from its disks. */
unsigned proof_machine_mib(const struct proof_wanted *wanted);
/* What the guest that has just ended took, for the record: the most so far. */
void proof_note_used(struct proof_run *run);
/* The guest's disk of number `i`, as an option (guest/disk.h); writable or a copy. The caller frees. */
char *proof_disk_option(const struct proof_run *run, size_t i, bool writable);
/* Its screen into the record. What fails is only told. */
void proof_screenshot(struct proof_run *run, const struct guest_live *guest, const char *caption);
/* The text on a screen in text mode, 25 lines; "" where it is in another mode. The caller frees. */
char *proof_screen_text(struct proof_run *run, const struct guest_live *guest);
/* Why a machine that has said this on its serial console and shows that on its screen will not come up, with the line that explains
 * it. The caller frees; NULL: nothing speaks against it. */
char *proof_symptom(const char *said, const char *screen);
/* Adds what systemd says that failed, once each: "Failed to start nginx.service - A web server." */
void proof_failed_units(const char *text, struct strlist *ret);
/* What a machine that starts has asked for already. */
struct proof_asked {
	size_t said; /* up to there on its console */
	char *screen; /* the question on its screen; NULL: none */
};
void proof_asked_free(struct proof_asked *a);
DEFINE_CLEANUP(proof_asked, struct proof_asked, proof_asked_free)
/* Types the passphrase when its console or its screen asks for one: 1, or 0 when nothing new was asked. -ENOKEY without a key
 * file, -EINVAL for a key that cannot be typed. */
int proof_unlock(struct proof_run *run, const struct guest_live *guest, const char *said, const char *screen,
		 struct proof_asked *asked, struct error *e);
/* What `lifeboat verify --disks --json` printed. -EPROTO for anything else. */
int proof_take_comparison(struct proof *p, const char *text, struct error *e);
