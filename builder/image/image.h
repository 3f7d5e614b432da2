/* The door of this room: from recovery.conf and profiles to kernel + initrd.
 *
 *     select (profiles, recovery.conf, this machine) → resolve (ELF, modules, firmware, helpers)
 *     → tree (every file with its reason) → pack
 *
 * No root, no mount, no chroot, no staging folder; nothing that is packed is executed. */
#pragma once
#include "base/error.h"
#include "base/report.h"
#include "base/str.h"
#include "conf/recovery.h"

#include <stdint.h>
#include <time.h>

struct image_request {
	const struct recovery_conf *conf; /* caller's */
	const struct strlist *profiles; /* caller's; empty: conf->profiles */
	const char *kernel; /* -k: overrides conf->kernel; NULL: does not */
	const char *root; /* whose tools are packed: "/" but for tests */
	time_t created; /* what the rescue system is told; 0: now */
	const char *datadir; /* holds overlay/ and profiles/; NULL: found (image_find_datadir) */
};

struct image_phase {
	const char *name; /* "select", "resolve", "pack" … */
	double seconds;
};
struct image_result {
	char *kernel_version;
	uint64_t kernel_size, initrd_size, unpacked_size; /* bytes */
	uint64_t ram_needed; /* bytes of RAM a machine needs to boot it */
	size_t files;
	bool holds_secrets; /* the initrd was made with mode 0600 */
	struct strlist secrets; /* which files those are */
	struct strlist
		promises; /* of its profiles: "can mount nfs4"; all were looked at in the finished tree */
	struct image_phase phases[8];
	size_t phase_count;
};
void image_result_free(struct image_result *r);
DEFINE_CLEANUP(image_result, struct image_result, image_result_free)

/* An image before it is packed: its kernel, and its tree with the reason of every file. */
struct image_draft;
/* Selects and resolves. `request` and `report` must live as long as the draft. */
int image_draft(const struct image_request *request, struct image_draft **ret, struct report *report,
		struct error *e);
void image_draft_free(struct image_draft **draft);
DEFINE_CLEANUP(image_draft, struct image_draft *, image_draft_free)

/* Writes `vmlinuz`, `initrd.img` and `tree.list` into the folder `outdir` (made if missing): all
 * of them or none. What the result holds is taken out of the draft: pack it once. */
int image_pack(struct image_draft *draft, const char *outdir, struct image_result *ret, struct error *e);

/* What image_pack() would make: `ret` has the kernel's exact size and a guess at the initrd's
 * and at the RAM that follows from it. Like image_pack(), it fails when that is more than max-initrd allows. */
int image_guess(struct image_draft *draft, struct image_result *ret, struct error *e);

/* Draft and pack in one. */
int image_build(const struct image_request *request, const char *outdir, struct image_result *ret,
		struct report *report, struct error *e);

/* The RAM that the image in a folder needs, out of its files: bytes, or 0 when it has no tree.list to tell. */
int image_folder_ram(const char *dir, uint64_t *ret, struct error *e);

/* What the kernel's command line must have, besides whatever else it has, to start the image in the folder
 * `image_dir`: "" for most. The caller frees. */
int image_parameters(const char *image_dir, char **ret, struct error *e);

/* Where overlay/ and profiles/ are: $LIFEBOAT_DATADIR, beside the program's source checkout, or
 * the installed share folder. The caller frees; NULL when nowhere. */
char *image_find_datadir(void);
