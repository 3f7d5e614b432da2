/* The image that the options -c, -p and -k stand for, before it is packed: what build, list and why
 * speak about. */
#pragma once
#include "cmd/cmd.h"

#include "image/image.h"

struct draft_arg {
	struct recovery_conf conf;
	struct image_request request;
	struct image_draft *draft;
};
void draft_arg_free(struct draft_arg *a);
DEFINE_CLEANUP(draft_arg, struct draft_arg, draft_arg_free)

/* `kernel` is -k's argument, or NULL. The draft points into `ret`, which must stay where it is. */
int draft_arg_make(struct cmd *c, const char *kernel, struct draft_arg *ret, struct error *e);
