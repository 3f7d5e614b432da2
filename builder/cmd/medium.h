/* What `usb` and `iso` share: the image that goes onto the medium, and what is said at the end. */
#pragma once
#include "cmd/cmd.h"

#include "base/fs.h"
#include "image/image.h"
#include "media/media.h"

#include <jansson.h>

struct medium {
	struct recovery_conf conf;
	struct tempdir temp; /* the image, unless --image names one */
	struct image_result image;
	struct strbuf manifest; /* of the image that was built: image_manifest() */
	time_t created; /* what its rescue system is told */
	bool image_built;
	char *kernel_version, *hostname, *parameters;
	struct medium_request request; /* points into the above */
	json_t *phases; /* [{"name":, "seconds":}] */
	double begun; /* monotonic seconds */
};
void medium_free(struct medium *m);
DEFINE_CLEANUP(medium, struct medium, medium_free)

/* Reads recovery.conf and builds the image (or takes the one in `image_dir`). `kernel` is -k. */
int medium_prepare(struct cmd *c, const char *image_dir, const char *kernel, struct medium *ret,
		   struct error *e);

/* Monotonic seconds; what is measured becomes a phase by medium_phase(). */
double medium_clock(void);
void medium_phase(struct medium *m, const char *name, double seconds);

/* Prints what was made: `path` with `size` bytes, a stick or a CD image as `kind` says. With --json
 * as an object on stdout, that holds the SHA-256 of `file` (the path, or the stick file that went
 * onto a device). */
int medium_print(struct cmd *c, const struct medium *m, const char *kind, const char *path, const char *file,
		 uint64_t size, struct error *e);
