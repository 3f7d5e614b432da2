/* What the comparison in the rescue system found, from its JSON into the record. */
#include "guest/proof_run.h"

#include <errno.h>
#include <jansson.h>

static int bad(struct error *e)
{
	return error_text(e, EPROTO, "the comparison in the rescue system did not say what was expected");
}

static int take_counts(struct proof *p, enum proof_kind kind, const json_t *counts, struct error *e)
{
	static const char *const names[PROOF_OUTCOME_COUNT] = {
		[PROOF_EQUAL] = "equal", [PROOF_EXPLAINED] = "explained", [PROOF_DIFFERENT] = "different"
	};

	for (unsigned i = 0; i < PROOF_OUTCOME_COUNT; i++) {
		const json_t *n = json_object_get(counts, names[i]);

		if (!json_is_integer(n) || json_integer_value(n) < 0)
			return bad(e);
		proof_count(p, kind, (enum proof_outcome)i, (uint64_t)json_integer_value(n));
	}
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int take_difference(struct proof *p, const json_t *d, struct error *e)
{
	const char *kind = text_of(d, "kind"), *what = text_of(d, "what"),
		   *attribute = text_of(d, "attribute");

	if (!kind || !what || !attribute)
		return bad(e);
	proof_add_difference(p, streq(kind, "file") ? PROOF_FILES : PROOF_IDENTIFIERS, what, attribute,
			     text_of(d, "expected"), text_of(d, "found"), text_of(d, "reason"));
	return 0;
}

int proof_take_comparison(struct proof *p, const char *text, struct error *e)
{
	const char *begin = strchr(text, '{');
	json_t *all = begin ? json_loads(begin, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	const json_t *listed = json_object_get(all, "listed"), *left_out = json_object_get(all, "left-out"),
		     *differences = json_object_get(all, "differences");
	int r = all && json_is_integer(listed) && json_is_array(differences) ? 0 : bad(e);

	if (r == 0)
		r = take_counts(p, PROOF_FILES, json_object_get(all, "files"), e);
	if (r == 0)
		r = take_counts(p, PROOF_IDENTIFIERS, json_object_get(all, "identifiers"), e);
	for (size_t i = 0; r == 0 && i < json_array_size(differences); i++)
		r = take_difference(p, json_array_get(differences, i), e);
	if (r == 0) {
		p->set.files = (uint64_t)json_integer_value(listed);
		p->differences_left_out += (uint64_t)json_integer_value(left_out);
	}
	json_decref(all);
	return r;
}
