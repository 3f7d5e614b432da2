/* A record of a proof as JSON and as a page, for the tests that look at it:
 *
 *     proof-page proven|sample|failed|empty|hostile FOLDER [SCREENSHOT.png|CONSOLE.log]...
 *
 * writes FOLDER/proof.json (not of `hostile`, whose times are no numbers) and FOLDER/proof.html. */
#include "../unit/proof-lab.h"

#include <stdio.h>

static const struct {
	const char *name;
	void (*fill)(struct proof *p);
} kinds[] = { { "proven", lab_proven },
	      { "sample", lab_sample },
	      { "failed", lab_failed },
	      { "empty", proof_begin },
	      { "hostile", lab_hostile } };

static int write_both(struct proof *p, const char *folder, struct error *e)
{
	_cleanup_(free) char *json = xasprintf("%s/proof.json", folder);
	_cleanup_(free) char *html = xasprintf("%s/proof.html", folder);
	int r = proof_write_html(p, html, e);

	for (size_t i = 0; i < p->phase_count; i++)
		if (!isfinite(p->phases[i].begun))
			return r;
	return r < 0 ? r : proof_write_json(p, json, e);
}

int main(int argc, char *argv[])
{
	_cleanup_(proof) struct proof p = { 0 };
	struct error e = { 0 };
	size_t kind = 0;
	int r = 0;

	while (argc > 2 && kind < sizeof(kinds) / sizeof(*kinds) && !streq(argv[1], kinds[kind].name))
		kind++;
	if (argc < 3 || kind == sizeof(kinds) / sizeof(*kinds)) {
		fprintf(stderr, "usage: proof-page KIND FOLDER [FILE...]\n");
		return 2;
	}
	kinds[kind].fill(&p);
	for (int i = 3; r == 0 && i < argc; i++)
		r = str_ends(argv[i], ".png") ? proof_add_screenshot(&p, 25.0 * i, argv[i], argv[i], &e)
					      : proof_add_log(&p, argv[i], &e);
	lab_conclude(&p);
	if (r == 0)
		r = write_both(&p, argv[2], &e);
	if (r < 0)
		fprintf(stderr, "proof-page: %s\n", e.text);
	return r < 0;
}
