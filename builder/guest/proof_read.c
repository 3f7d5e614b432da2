#include "base/fs.h"
#include "guest/proof_private.h"
#include "guest/proof_text.h"

#include <fcntl.h>
#include <jansson.h>

/* What `lifeboat check` trusts: each member is there, is what it should be, and there are no others. Readers return
 * false for everything else and say what it was in `why`. */
struct reader {
	struct proof *p;
	char why[256];
};

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static bool wrong(struct reader *r, const char *what)
{
	(void)snprintf(r->why, sizeof(r->why), "%s", what);
	return false;
}

/* json_unpack_ex() with its complaint in `why`. */
#define UNPACK(r, json, ...)                                                                            \
	({                                                                                              \
		json_error_t unpack_error_;                                                             \
		bool unpacked_ = json_unpack_ex((json), &unpack_error_, JSON_STRICT, __VA_ARGS__) == 0; \
		unpacked_ || wrong((r), unpack_error_.text);                                            \
	})

/* `s` NULL: it was left out, as it may be. */
static bool take_name(struct reader *r, const char *s, char **ret)
{
	_cleanup_(free) char *copy = s ? xstrdup(s) : NULL;

	if (copy && !str_unquote(copy))
		return wrong(r, "a name with a bad escape");
	*ret = TAKE_PTR(copy);
	return true;
}

static bool take_hash(struct reader *r, const char *s, char ret[DIGEST_HEX_SIZE])
{
	size_t len = strlen(s);

	if (strspn(s, "0123456789abcdef") != len || (len != 0 && len != DIGEST_HEX_SIZE - 1))
		return wrong(r, "a hash that is no SHA-256");
	memcpy(ret, s, len + 1);
	return true;
}

static bool take_number(struct reader *r, json_int_t n, uint64_t *ret)
{
	if (n < 0)
		return wrong(r, "a negative number");
	*ret = (uint64_t)n;
	return true;
}

static bool take_unsigned(struct reader *r, json_int_t n, unsigned *ret)
{
	if (n < 0 || n > INT32_MAX)
		return wrong(r, "a number out of range");
	*ret = (unsigned)n;
	return true;
}

static bool take_word(struct reader *r, const char *s, const char *const names[], size_t count, size_t *ret)
{
	for (size_t i = 0; i < count; i++)
		if (streq(s, names[i])) {
			*ret = i;
			return true;
		}
	return wrong(r, "a word that it does not know");
}

/* ---- its parts ---- */

static bool read_reasons(struct reader *r, json_t *list)
{
	size_t i;
	json_t *one = NULL;

	if (!json_is_array(list))
		return wrong(r, "reasons that are no list");
	json_array_foreach(list, i, one)
	{
		char *text;

		if (!json_is_string(one) || !take_name(r, json_string_value(one), &text))
			return wrong(r, "a reason that is no text");
		strlist_take(&r->p->reasons, text);
	}
	return true;
}

/* Each of the lists below: its objects one by one into elements that the record owns at once. */
#define READ_LIST(r, list, array, count, capacity, read_one)                                              \
	({                                                                                                \
		size_t list_at_;                                                                          \
		json_t *list_one_;                                                                        \
		bool list_good_ = json_is_array(list) || wrong((r), "no list where there should be one"); \
		json_array_foreach((list), list_at_, list_one_)                                           \
		{                                                                                         \
			if (!list_good_)                                                                  \
				break;                                                                    \
			(array) = xgrow((array), (count) + 1, &(capacity), sizeof(*(array)));             \
			(array)[(count)] = (__typeof__(*(array))) { 0 };                                  \
			list_good_ = read_one((r), list_one_, &(array)[(count)++]);                       \
		}                                                                                         \
		list_good_;                                                                               \
	})

static bool read_disk(struct reader *r, json_t *json, struct proof_disk *d)
{
	const char *text = "", *old_serial = NULL, *new_serial = NULL;
	json_int_t bytes = 0, sector_size = 0;

	return UNPACK(r, json, "{s:s, s:I, s:I, s?s, s?s}", "name", &text, "bytes", &bytes, "sector_size",
		      &sector_size, "old_serial", &old_serial, "new_serial", &new_serial) &&
	       take_name(r, text, &d->name) && take_number(r, bytes, &d->bytes) &&
	       take_unsigned(r, sector_size, &d->sector_size) && take_name(r, old_serial, &d->old_serial) &&
	       take_name(r, new_serial, &d->new_serial);
}

static bool read_machine(struct reader *r, json_t *json)
{
	const char *host = NULL, *firmware = NULL;
	json_t *disks = NULL;

	return UNPACK(r, json, "{s?s, s?s, s:o}", "host", &host, "firmware", &firmware, "disks", &disks) &&
	       take_name(r, host, &r->p->machine.host) && take_name(r, firmware, &r->p->machine.firmware) &&
	       READ_LIST(r, disks, r->p->machine.disks, r->p->machine.disk_count, r->p->machine.disk_capacity,
			 read_disk);
}

static bool read_medium(struct reader *r, json_t *json)
{
	const char *path = NULL, *sha256 = "";
	json_int_t bytes = 0;

	return UNPACK(r, json, "{s?s, s:s, s:I}", "path", &path, "sha256", &sha256, "bytes", &bytes) &&
	       take_name(r, path, &r->p->medium.path) && take_hash(r, sha256, r->p->medium.sha256) &&
	       take_number(r, bytes, &r->p->medium.bytes);
}

static bool read_set(struct reader *r, json_t *json)
{
	const char *target = NULL, *set_name = NULL, *sha256 = "";
	json_int_t files = 0, bytes = 0;

	return UNPACK(r, json, "{s?s, s?s, s:s, s:I, s:I}", "target", &target, "name", &set_name, "sha256",
		      &sha256, "files", &files, "bytes", &bytes) &&
	       take_name(r, target, &r->p->set.target) && take_name(r, set_name, &r->p->set.name) &&
	       take_hash(r, sha256, r->p->set.sha256) && take_number(r, files, &r->p->set.files) &&
	       take_number(r, bytes, &r->p->set.bytes);
}

static bool read_sample(struct reader *r, json_t *json)
{
	const char *seed = "";

	if (!json)
		return true;
	r->p->sampled = true;
	return UNPACK(r, json, "{s:s, s:F}", "seed", &seed, "share", &r->p->share) &&
	       (parse_u64(seed, &r->p->seed) == 0 || wrong(r, "a seed that is no number"));
}

static bool read_counts(struct reader *r, json_t *json)
{
	json_t *kinds[PROOF_KIND_COUNT];

	if (!UNPACK(r, json, "{s:o, s:o, s:o}", proof_kind_names[0], &kinds[0], proof_kind_names[1],
		    &kinds[1], proof_kind_names[2], &kinds[2]))
		return false;
	for (size_t i = 0; i < PROOF_KIND_COUNT; i++) {
		uint64_t *n = r->p->counts[i];
		json_int_t v[PROOF_OUTCOME_COUNT];

		if (!UNPACK(r, kinds[i], "{s:I, s:I, s:I}", proof_outcome_names[0], &v[0],
			    proof_outcome_names[1], &v[1], proof_outcome_names[2], &v[2]) ||
		    !take_number(r, v[0], &n[0]) || !take_number(r, v[1], &n[1]) ||
		    !take_number(r, v[2], &n[2]))
			return false;
	}
	return true;
}

static bool read_difference(struct reader *r, json_t *json, struct proof_difference *d)
{
	const char *kind = "", *what = "", *attribute = "", *expected = NULL, *found = NULL, *reason = NULL;
	size_t number;

	if (!UNPACK(r, json, "{s:s, s:s, s:s, s?s, s?s, s?s}", "kind", &kind, "what", &what, "attribute",
		    &attribute, "expected", &expected, "found", &found, "reason", &reason) ||
	    !take_word(r, kind, proof_kind_names, PROOF_KIND_COUNT, &number))
		return false;
	d->kind = (enum proof_kind)number;
	return take_name(r, what, &d->what) && take_name(r, attribute, &d->attribute) &&
	       take_name(r, expected, &d->expected) && take_name(r, found, &d->found) &&
	       take_name(r, reason, &d->reason);
}

static bool read_check(struct reader *r, json_t *json, struct proof_check *c)
{
	const char *text = "", *said = NULL;
	int passed = 0;

	if (!UNPACK(r, json, "{s:s, s:b, s?s}", "name", &text, "passed", &passed, "said", &said) ||
	    !take_name(r, text, &c->name))
		return false;
	c->passed = passed;
	c->said = said ? xstrdup(said) : NULL;
	return true;
}

static bool read_phase(struct reader *r, json_t *json, struct proof_phase *phase)
{
	const char *text = "";
	int failed = 0;

	if (!UNPACK(r, json, "{s:s, s:F, s:F, s:b}", "name", &text, "begun", &phase->begun, "seconds",
		    &phase->seconds, "failed", &failed))
		return false;
	phase->failed = failed;
	return take_name(r, text, &phase->name);
}

static bool read_event(struct reader *r, json_t *json, struct proof_event *event)
{
	const char *text = "";

	return UNPACK(r, json, "{s:F, s:s}", "at", &event->at, "text", &text) &&
	       take_name(r, text, &event->text);
}

static bool read_screenshot(struct reader *r, json_t *json, struct proof_screenshot *s)
{
	const char *caption = "", *file = "", *sha256 = "";
	json_int_t bytes = 0;

	return UNPACK(r, json, "{s:F, s:s, s:s, s:s, s:I}", "at", &s->at, "caption", &caption, "file", &file,
		      "sha256", &sha256, "bytes", &bytes) &&
	       take_name(r, caption, &s->caption) && take_name(r, file, &s->file) &&
	       take_hash(r, sha256, s->sha256) && take_number(r, bytes, &s->bytes);
}

static bool read_log(struct reader *r, json_t *json, struct proof_log *l)
{
	const char *path = "", *sha256 = "", *tail = "";
	json_int_t bytes = 0;
	int cut = 0;

	if (!UNPACK(r, json, "{s:s, s:I, s:s, s:s, s:b}", "path", &path, "bytes", &bytes, "sha256", &sha256,
		    "tail", &tail, "cut", &cut))
		return false;
	l->tail = xstrdup(tail);
	l->cut = cut;
	return take_name(r, path, &l->path) && take_hash(r, sha256, l->sha256) &&
	       take_number(r, bytes, &l->bytes);
}

static bool read_resources(struct reader *r, json_t *json, struct proof_resources *ret)
{
	json_int_t memory = 0, disk = 0, processors = 0;

	return UNPACK(r, json, "{s:I, s:I, s:I}", "memory", &memory, "disk", &disk, "processors",
		      &processors) &&
	       take_number(r, memory, &ret->memory) && take_number(r, disk, &ret->disk) &&
	       take_unsigned(r, processors, &ret->processors);
}

/* ---- the whole ---- */

static bool read_all(struct reader *r, json_t *json)
{
	struct proof *p = r->p;
	const char *verdict = "", *version = NULL;
	json_int_t format = json_integer_value(json_object_get(json, "lifeboat_proof")), created, left_out;
	json_t *reasons = NULL, *machine = NULL, *medium = NULL, *set = NULL, *sample = NULL,
	       *compared = NULL, *differences = NULL, *checks = NULL, *phases = NULL;
	json_t *events = NULL, *screenshots = NULL, *logs = NULL, *planned = NULL, *used = NULL;
	size_t number;

	if (format != PROOF_FORMAT)
		return wrong(r, format ? "its format is not the one that this program reads"
				       : "it does not begin as one");
	if (!UNPACK(r, json,
		    "{s:I, s:s, s:o, s:I, s:F, s?s, s:o, s:o, s:o, s?o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, "
		    "s:o, s:{s:o, s:o}}",
		    "lifeboat_proof", &format, "verdict", &verdict, "reasons", &reasons, "created", &created,
		    "seconds", &p->seconds, "version", &version, "machine", &machine, "medium", &medium,
		    "set", &set, "sample", &sample, "compared", &compared, "differences", &differences,
		    "differences_left_out", &left_out, "checks", &checks, "phases", &phases, "events",
		    &events, "screenshots", &screenshots, "logs", &logs, "resources", "planned", &planned,
		    "used", &used) ||
	    !take_word(r, verdict, proof_verdict_names, PROOF_PROVEN + 1, &number))
		return false;
	p->verdict = (enum proof_verdict)number;
	p->created = (time_t)created;
	return take_name(r, version, &p->version) && take_number(r, left_out, &p->differences_left_out) &&
	       read_reasons(r, reasons) && read_machine(r, machine) && read_medium(r, medium) &&
	       read_set(r, set) && read_sample(r, sample) && read_counts(r, compared) &&
	       READ_LIST(r, differences, p->differences, p->difference_count, p->difference_capacity,
			 read_difference) &&
	       READ_LIST(r, checks, p->checks, p->check_count, p->check_capacity, read_check) &&
	       READ_LIST(r, phases, p->phases, p->phase_count, p->phase_capacity, read_phase) &&
	       READ_LIST(r, events, p->events, p->event_count, p->event_capacity, read_event) &&
	       READ_LIST(r, screenshots, p->screenshots, p->screenshot_count, p->screenshot_capacity,
			 read_screenshot) &&
	       READ_LIST(r, logs, p->logs, p->log_count, p->log_capacity, read_log) &&
	       read_resources(r, planned, &p->planned) && read_resources(r, used, &p->used);
}

/* A word that was changed does not make it proven. */
static bool is_consistent(struct reader *r)
{
	const struct proof *p = r->p;
	_cleanup_(strlist) struct strlist against = { 0 };

	if (p->verdict == PROOF_FAILED)
		return p->reasons.count > 0 || wrong(r, "failed without a reason");
	proof_judge(p, true, &against);
	if (p->reasons.count || against.count)
		return wrong(r, "its verdict is not what its content says");
	return p->sampled == (p->verdict == PROOF_SAMPLE) ||
	       wrong(r, "its verdict is not what its content says");
}

int proof_parse(const char *shown, const char *text, size_t len, struct proof *ret, struct error *e)
{
	_cleanup_(proof) struct proof p = { 0 };
	struct reader r = { .p = &p };
	json_error_t error;
	_cleanup_(json) json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		return error_text(e, EBADMSG, "%s:%d: no proof: %s", shown, error.line, error.text);
	if (!read_all(&r, json) || !is_consistent(&r))
		return error_text(e, EBADMSG, "%s: no proof: %s", shown, r.why);
	*ret = p;
	p = (struct proof) { 0 };
	return 0;
}

int proof_read(const char *path, struct proof *ret, struct error *e)
{
	enum { most = 32 << 20 };
	_cleanup_(free) char *text = NULL;
	size_t len;
	int r = read_file_at(AT_FDCWD, path, most, &text, &len, e);

	return r < 0 ? r : proof_parse(path, text, len, ret, e);
}
