#include "cmd/draft_arg.h"

void draft_arg_free(struct draft_arg *a)
{
	image_draft_free(&a->draft);
	recovery_conf_free(&a->conf);
}

int draft_arg_make(struct cmd *c, const char *kernel, struct draft_arg *ret, struct error *e)
{
	int r = recovery_conf_load(c->conf_path, &ret->conf, e);

	if (r < 0)
		return r;
	ret->request = (struct image_request) {
		.conf = &ret->conf, .profiles = &c->profiles, .kernel = kernel, .root = "/"
	};
	return image_draft(&ret->request, &ret->draft, &c->report, e);
}
