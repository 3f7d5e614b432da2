/* The record of `lifeboat prove`: what was tried with which medium and set, what was compared, what came out. A JSON
 * file for programs and one page of HTML for people (lifeboat-proof(5)); both say the same.
 *
 * All strings are the record's own (free() takes them) and may hold any bytes: the writers make text of names and of
 * what a console said. Functions that add copy what they are given. Times are seconds since `created`, sizes bytes.
 *
 * The order of use: fill the members, proof_add_*() while it goes on, proof_conclude(), proof_write(). */
#pragma once
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum proof_verdict {
	PROOF_FAILED, /* also what nobody has concluded yet */
	PROOF_SAMPLE, /* nothing speaks against it, but only a random part of the files was compared */
	PROOF_PROVEN,
};

/* What is compared. */
enum proof_kind {
	PROOF_FILES, /* against the listing of the backup */
	PROOF_IDENTIFIERS, /* UUIDs, labels, partition tables and the like, against machine.conf */
	PROOF_CHECKS, /* what the site wants to be seen: proof_add_check() */
	PROOF_KIND_COUNT,
};

struct proof_disk {
	char *name; /* as machine.conf calls it */
	uint64_t bytes;
	unsigned sector_size;
	char *old_serial, *new_serial; /* of the machine's disk, and of the blank one; NULL: none */
};

enum proof_outcome {
	PROOF_EQUAL,
	PROOF_EXPLAINED, /* different, for a reason that is known: a log that grew while it booted */
	PROOF_DIFFERENT,
	PROOF_OUTCOME_COUNT,
};

struct proof_difference {
	enum proof_kind kind;
	char *what; /* the file's path, the device's name, the check's name */
	char *attribute; /* "mode", "sha256", "uuid" */
	char *expected, *found; /* NULL: there is none */
	char *reason; /* why that is right; NULL: it is not */
};

struct proof_check {
	char *name;
	bool passed;
	char *said; /* lines; NULL: nothing */
};

struct proof_phase {
	char *name;
	double begun, seconds; /* `seconds` < 0: it has not ended */
	bool failed;
	bool beside; /* it goes on while others begin and end; not in the file */
};

struct proof_event {
	double at;
	char *text;
};

struct proof_screenshot {
	double at;
	char *caption, *file; /* `file`: its name, for people */
	char sha256[DIGEST_HEX_SIZE];
	uint64_t bytes;
	unsigned char *png; /* NULL in a record that was read: only the page holds images */
};

struct proof_log {
	char *path;
	uint64_t bytes;
	char sha256[DIGEST_HEX_SIZE];
	char *tail; /* its last lines, as text */
	bool cut; /* there is more before them */
};

struct proof_resources {
	uint64_t memory, disk; /* of the guest; in the temporary folder, and beside the proof */
	unsigned processors;
};

struct proof {
	enum proof_verdict verdict; /* proof_conclude() decides */
	struct strlist reasons; /* why it failed; empty: it did not */
	time_t created; /* when it began */
	double seconds; /* how long it took */
	struct timespec begun; /* proof_now()'s clock; not in the file */
	char *version; /* Lifeboat's */
	struct {
		char *host, *firmware; /* "bios", "uefi" */
		struct proof_disk *disks;
		size_t disk_count, disk_capacity;
	} machine;
	struct {
		char *path;
		char sha256[DIGEST_HEX_SIZE]; /* "": not known, which is never proven */
		uint64_t bytes;
	} medium;
	struct {
		char *target, *name; /* as a person writes it; HOST/NAME */
		char sha256[DIGEST_HEX_SIZE]; /* of its SHA256SUMS */
		uint64_t files, bytes; /* in the listings; in the folder */
	} set;
	bool sampled;
	uint64_t seed; /* of the sample */
	double share; /* 0 to 1 */
	uint64_t counts[PROOF_KIND_COUNT][PROOF_OUTCOME_COUNT];
	struct proof_difference *differences;
	size_t difference_count, difference_capacity;
	uint64_t differences_left_out; /* beyond proof_difference_max */
	struct proof_check *checks;
	size_t check_count, check_capacity;
	struct proof_phase *phases;
	size_t phase_count, phase_capacity;
	struct proof_event *events;
	size_t event_count, event_capacity;
	struct proof_screenshot *screenshots;
	size_t screenshot_count, screenshot_capacity;
	struct proof_log *logs;
	size_t log_count, log_capacity;
	struct proof_resources planned, used;
};
void proof_free(struct proof *p);
DEFINE_CLEANUP(proof, struct proof, proof_free)

enum { proof_difference_max = 500 };

/* Now: `created` and the version of this program. The clock of all `at` and `begun` starts here. */
void proof_begin(struct proof *p);
/* Seconds since proof_begin(), for what has a time of its own to be given. */
double proof_now(const struct proof *p);

void proof_add_reason(struct proof *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Serials may be NULL. */
void proof_add_disk(struct proof *p, const char *name, uint64_t bytes, unsigned sector_size,
		    const char *old_serial, const char *new_serial);
/* So many more files or identifiers came out so; each counts once, however many attributes of it differ. */
void proof_count(struct proof *p, enum proof_kind kind, enum proof_outcome outcome, uint64_t count);
/* One attribute that differs, beside the count of what it belongs to. `expected`, `found` and `reason` may be NULL.
 * Where there are too many, those with a reason make room first. */
void proof_add_difference(struct proof *p, enum proof_kind kind, const char *what, const char *attribute,
			  const char *expected, const char *found, const char *reason);
/* A check of the site, counted too. `said` may be NULL. */
void proof_add_check(struct proof *p, const char *name, bool passed, const char *said);
/* Begins a phase and ends the one that is going on. Returns when it began. */
double proof_phase(struct proof *p, const char *name);
/* Ends the phase that is going on. */
void proof_phase_end(struct proof *p, bool failed);
/* Begins one that goes on beside the others, until it is closed. Returns its number. */
size_t proof_phase_beside(struct proof *p, const char *name);
void proof_phase_close(struct proof *p, size_t number, bool failed);
/* Happened now. */
void proof_add_event(struct proof *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A PNG file, which may go away afterwards. Taken `at`. -EFBIG above 4 MiB, -EBADMSG for what is no PNG. */
int proof_add_screenshot(struct proof *p, double at, const char *png_path, const char *caption,
			 struct error *e);
/* The log of a console, which is read to its end. Its tail is kept as text: no terminal's commands. */
int proof_add_log(struct proof *p, const char *path, struct error *e);

/* Ends the last phase and decides. Adds what speaks against it to the reasons: differences, failed checks, nothing
 * compared, fewer files compared than the set has, no hash of the medium or the set. Proven or a sample only when there is no reason. */
void proof_conclude(struct proof *p);

/* Appends it as text. */
int proof_format_json(const struct proof *p, struct strbuf *ret, struct error *e);
void proof_format_html(const struct proof *p, struct strbuf *ret);
/* The same into a file that appears whole or not at all, mode 0600: it says much about the machine. */
int proof_write_json(const struct proof *p, const char *path, struct error *e);
int proof_write_html(const struct proof *p, const char *path, struct error *e);

/* What proof_write_json() wrote. -EBADMSG for anything else, and for one that contradicts itself: proven with
 * differences. -ENOENT when there is none. */
int proof_read(const char *path, struct proof *ret, struct error *e);
/* The same of a text. `shown` names it in errors. */
int proof_parse(const char *shown, const char *text, size_t len, struct proof *ret, struct error *e);
