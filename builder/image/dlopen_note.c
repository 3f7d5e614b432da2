#include "image/dlopen_note.h"

#include <jansson.h>

static void note_free(struct dlopen_note *n)
{
	strlist_free(&n->sonames);
	free(n->what);
}
DEFINE_CLEANUP(note, struct dlopen_note, note_free)

void dlopen_notes_free(struct dlopen_notes *n)
{
	for (size_t i = 0; i < n->count; i++)
		note_free(&n->list[i]);
	free(n->list);
	*n = (struct dlopen_notes) { 0 };
}

static void json_free(json_t **json)
{
	json_decref(*json);
}
DEFINE_CLEANUP(json, json_t *, json_free)

static enum dlopen_priority priority_of(const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "priority"));

	if (text && streq(text, "required"))
		return DLOPEN_REQUIRED;
	return text && streq(text, "suggested") ? DLOPEN_SUGGESTED : DLOPEN_RECOMMENDED;
}

/* "soname" is a list of alternatives; the first releases of the format had a single one. */
static bool take_sonames(const json_t *sonames, struct strlist *ret)
{
	size_t i;
	json_t *one;

	if (json_is_string(sonames))
		strlist_add(ret, json_string_value(sonames));
	json_array_foreach(sonames, i, one)
	{
		if (!json_is_string(one))
			return false;
		strlist_add(ret, json_string_value(one));
	}
	return ret->count > 0;
}

static bool take_note(const json_t *object, struct dlopen_notes *ret)
{
	_cleanup_(note) struct dlopen_note note = { .priority = priority_of(object) };
	const char *feature = json_string_value(json_object_get(object, "feature"));
	const char *description = json_string_value(json_object_get(object, "description"));

	if (!take_sonames(json_object_get(object, "soname"), &note.sonames))
		return false;
	note.what = xstrdup(description ? description : feature ? feature : "not said");
	ret->list = xgrow(ret->list, ret->count + 1, &ret->capacity, sizeof(*ret->list));
	ret->list[ret->count++] = note;
	note = (struct dlopen_note) { 0 };
	return true;
}

bool dlopen_notes_parse(const char *text, struct dlopen_notes *ret)
{
	_cleanup_(json) json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	size_t i;
	json_t *one;

	if (json_is_object(json))
		return take_note(json, ret);
	if (!json_is_array(json))
		return false;
	json_array_foreach(json, i, one) if (!take_note(one, ret)) return false;
	return true;
}
