#include "guest/proof.h"

#include "base/fs.h"
#include "guest/proof_private.h"
#include "guest/proof_text.h"

#include <fcntl.h>
#include <stdarg.h>

#ifndef LIFEBOAT_VERSION
#define LIFEBOAT_VERSION "unknown"
#endif

/* ---- memory ---- */

static void difference_free(struct proof_difference *d)
{
	free(d->what);
	free(d->attribute);
	free(d->expected);
	free(d->found);
	free(d->reason);
}

static void free_lists(struct proof *p)
{
	for (size_t i = 0; i < p->machine.disk_count; i++) {
		free(p->machine.disks[i].name);
		free(p->machine.disks[i].old_serial);
		free(p->machine.disks[i].new_serial);
	}
	for (size_t i = 0; i < p->difference_count; i++)
		difference_free(&p->differences[i]);
	for (size_t i = 0; i < p->check_count; i++) {
		free(p->checks[i].name);
		free(p->checks[i].said);
	}
	for (size_t i = 0; i < p->phase_count; i++)
		free(p->phases[i].name);
	for (size_t i = 0; i < p->event_count; i++)
		free(p->events[i].text);
	for (size_t i = 0; i < p->screenshot_count; i++) {
		free(p->screenshots[i].caption);
		free(p->screenshots[i].file);
		free(p->screenshots[i].png);
	}
	for (size_t i = 0; i < p->log_count; i++) {
		free(p->logs[i].path);
		free(p->logs[i].tail);
	}
}

void proof_free(struct proof *p)
{
	free_lists(p);
	free(p->machine.disks);
	free(p->differences);
	free(p->checks);
	free(p->phases);
	free(p->events);
	free(p->screenshots);
	free(p->logs);
	strlist_free(&p->reasons);
	free(p->version);
	free(p->machine.host);
	free(p->machine.firmware);
	free(p->medium.path);
	free(p->set.target);
	free(p->set.name);
	*p = (struct proof) { 0 };
}

/* ---- what happened ---- */

void proof_begin(struct proof *p)
{
	p->created = time(NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &p->begun); /* cannot fail with a valid clock */
	free(p->version);
	p->version = xstrdup(LIFEBOAT_VERSION);
}

double proof_now(const struct proof *p)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* as above */
	return (double)(now.tv_sec - p->begun.tv_sec) + (double)(now.tv_nsec - p->begun.tv_nsec) / 1e9;
}

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		abort(); /* memory, as in str.h */
	return text;
}

void proof_add_reason(struct proof *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strlist_take(&p->reasons, format(fmt, ap));
	va_end(ap);
}

void proof_add_event(struct proof *p, const char *fmt, ...)
{
	va_list ap;

	p->events = xgrow(p->events, p->event_count + 1, &p->event_capacity, sizeof(*p->events));
	va_start(ap, fmt);
	p->events[p->event_count++] = (struct proof_event) { .at = proof_now(p), .text = format(fmt, ap) };
	va_end(ap);
}

static struct proof_phase *add_phase(struct proof *p, const char *name)
{
	p->phases = xgrow(p->phases, p->phase_count + 1, &p->phase_capacity, sizeof(*p->phases));

	struct proof_phase *phase = &p->phases[p->phase_count++];

	*phase = (struct proof_phase) { .name = xstrdup(name), .begun = proof_now(p), .seconds = -1 };
	return phase;
}

static void end_phase(const struct proof *p, struct proof_phase *phase, bool failed)
{
	if (phase->seconds >= 0)
		return;
	phase->seconds = proof_now(p) - phase->begun;
	phase->failed = failed;
}

double proof_phase(struct proof *p, const char *name)
{
	proof_phase_end(p, false);
	return add_phase(p, name)->begun;
}

void proof_phase_end(struct proof *p, bool failed)
{
	for (size_t i = p->phase_count; i > 0; i--)
		if (!p->phases[i - 1].beside) {
			end_phase(p, &p->phases[i - 1], failed);
			return;
		}
}

size_t proof_phase_beside(struct proof *p, const char *name)
{
	add_phase(p, name)->beside = true;
	return p->phase_count - 1;
}

void proof_phase_close(struct proof *p, size_t number, bool failed)
{
	end_phase(p, &p->phases[number], failed);
}

/* ---- what was found ---- */

static char *copy_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void proof_add_disk(struct proof *p, const char *name, uint64_t bytes, unsigned sector_size,
		    const char *old_serial, const char *new_serial)
{
	p->machine.disks = xgrow(p->machine.disks, p->machine.disk_count + 1, &p->machine.disk_capacity,
				 sizeof(*p->machine.disks));
	p->machine.disks[p->machine.disk_count++] =
		(struct proof_disk) { .name = xstrdup(name),
				      .bytes = bytes,
				      .sector_size = sector_size,
				      .old_serial = copy_or_null(old_serial),
				      .new_serial = copy_or_null(new_serial) };
}

void proof_count(struct proof *p, enum proof_kind kind, enum proof_outcome outcome, uint64_t count)
{
	p->counts[kind][outcome] += count;
}

/* Where the next one goes; NULL: nowhere. */
static struct proof_difference *difference_place(struct proof *p, bool explained)
{
	if (p->difference_count < proof_difference_max) {
		p->differences = xgrow(p->differences, p->difference_count + 1, &p->difference_capacity,
				       sizeof(*p->differences));
		return &p->differences[p->difference_count++];
	}
	p->differences_left_out++;
	for (size_t i = p->difference_count; !explained && i-- > 0;)
		if (p->differences[i].reason) {
			difference_free(&p->differences[i]);
			return &p->differences[i];
		}
	return NULL;
}

void proof_add_difference(struct proof *p, enum proof_kind kind, const char *what, const char *attribute,
			  const char *expected, const char *found, const char *reason)
{
	struct proof_difference *place = difference_place(p, reason != NULL);

	if (place)
		*place = (struct proof_difference) { .kind = kind,
						     .what = xstrdup(what),
						     .attribute = xstrdup(attribute),
						     .expected = copy_or_null(expected),
						     .found = copy_or_null(found),
						     .reason = copy_or_null(reason) };
}

void proof_add_check(struct proof *p, const char *name, bool passed, const char *said)
{
	p->checks = xgrow(p->checks, p->check_count + 1, &p->check_capacity, sizeof(*p->checks));
	p->checks[p->check_count++] =
		(struct proof_check) { .name = xstrdup(name), .passed = passed, .said = copy_or_null(said) };
	proof_count(p, PROOF_CHECKS, passed ? PROOF_EQUAL : PROOF_DIFFERENT, 1);
}

/* ---- what is kept ---- */

/* PNG, third edition, 5.2 */
static const unsigned char png_signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
enum { png_max = 4 << 20 };

int proof_add_screenshot(struct proof *p, double at, const char *png_path, const char *caption,
			 struct error *e)
{
	_cleanup_(free) char *png = NULL;
	_cleanup_(digest) struct digest *digest = digest_new();
	const char *name = strrchr(png_path, '/');
	size_t len;
	int r = read_file_at(AT_FDCWD, png_path, png_max, &png, &len, e);

	if (r < 0)
		return r;
	if (len < sizeof(png_signature) || memcmp(png, png_signature, sizeof(png_signature)) != 0)
		return error_text(e, EBADMSG, "%s is no PNG file", png_path);
	p->screenshots = xgrow(p->screenshots, p->screenshot_count + 1, &p->screenshot_capacity,
			       sizeof(*p->screenshots));

	struct proof_screenshot *shot = &p->screenshots[p->screenshot_count++];

	*shot = (struct proof_screenshot) { .at = at,
					    .caption = xstrdup(caption),
					    .file = xstrdup(name ? name + 1 : png_path),
					    .bytes = len };
	digest_add(digest, png, len);
	digest_hex(digest, shot->sha256);
	shot->png = (unsigned char *)TAKE_PTR(png);
	return 0;
}

enum { tail_max = 16 << 10 };

/* What is shown of it: the last lines, from the beginning of one. */
static char *shown_tail(const char *data, size_t len, bool cut)
{
	const char *newline = cut ? memchr(data, '\n', len) : NULL;
	size_t skip = newline ? (size_t)(newline + 1 - data) : 0;
	struct strbuf text = { 0 };

	proof_lines(&text, data + skip, len - skip);
	return text.data;
}

int proof_add_log(struct proof *p, const char *path, struct error *e)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(free) char *tail = xmalloc(tail_max);
	struct proof_log log = { 0 };

	if (fd < 0)
		return error_errno(e, errno, "open %s", path);
	int r = digest_fd(fd, path, log.sha256, &log.bytes, e);

	if (r < 0)
		return r;
	log.cut = log.bytes > tail_max;

	/* what is added meanwhile is in neither */
	size_t want = log.cut ? tail_max : (size_t)log.bytes;
	ssize_t len = pread_full(fd, tail, want, (off_t)(log.bytes - want));

	if (len < 0)
		return error_errno(e, (int)-len, "read %s", path);
	log.path = xstrdup(path);
	log.tail = shown_tail(tail, (size_t)len, log.cut);
	p->logs = xgrow(p->logs, p->log_count + 1, &p->log_capacity, sizeof(*p->logs));
	p->logs[p->log_count++] = log;
	return 0;
}

/* ---- the verdict ---- */

const char *const proof_verdict_names[] = {
	[PROOF_FAILED] = "failed", [PROOF_SAMPLE] = "sample", [PROOF_PROVEN] = "proven"
};
const char *const proof_kind_names[] = {
	[PROOF_FILES] = "files", [PROOF_IDENTIFIERS] = "identifiers", [PROOF_CHECKS] = "checks"
};
const char *const proof_outcome_names[] = {
	[PROOF_EQUAL] = "equal", [PROOF_EXPLAINED] = "explained", [PROOF_DIFFERENT] = "different"
};

uint64_t proof_compared(const struct proof *p, enum proof_kind kind)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PROOF_OUTCOME_COUNT; i++)
		sum += p->counts[kind][i];
	return sum;
}

static const struct proof_difference *first_unexplained(const struct proof *p, enum proof_kind kind)
{
	for (size_t i = 0; i < p->difference_count; i++)
		if (p->differences[i].kind == kind && !p->differences[i].reason)
			return &p->differences[i];
	return NULL;
}

static void judge_differences(const struct proof *p, enum proof_kind kind, struct strlist *reasons)
{
	const struct proof_difference *first = first_unexplained(p, kind);
	unsigned long long count = p->counts[kind][PROOF_DIFFERENT], of = proof_compared(p, kind);

	if (first)
		strlist_addf(reasons, "%llu of %llu %s differ, first %s: %s", count, of,
			     proof_kind_names[kind], first->what, first->attribute);
	else if (count)
		strlist_addf(reasons, "%llu of %llu %s differ", count, of, proof_kind_names[kind]);
}

static void judge_checks(const struct proof *p, struct strlist *reasons)
{
	size_t failed = 0;

	for (size_t i = 0; i < p->check_count; i++)
		if (!p->checks[i].passed) {
			strlist_addf(reasons, "the check '%s' failed", p->checks[i].name);
			failed++;
		}
	if (!failed)
		judge_differences(p, PROOF_CHECKS, reasons);
}

static void judge_amount(const struct proof *p, struct strlist *reasons)
{
	uint64_t files = proof_compared(p, PROOF_FILES);

	if (!*p->medium.sha256)
		strlist_add(reasons, "the medium has no hash");
	if (!*p->set.sha256)
		strlist_add(reasons, "the set has no hash");
	if (!files)
		strlist_add(reasons, "no file was compared");
	else if (!p->sampled && files < p->set.files)
		strlist_addf(reasons, "%llu of %llu files were compared", (unsigned long long)files,
			     (unsigned long long)p->set.files);
	if (!proof_compared(p, PROOF_IDENTIFIERS))
		strlist_add(reasons, "no identifier was compared");
	if (!p->check_count)
		strlist_add(reasons, "it was not checked whether the recovered system runs");
}

void proof_judge(const struct proof *p, bool whole, struct strlist *reasons)
{
	judge_differences(p, PROOF_FILES, reasons);
	judge_differences(p, PROOF_IDENTIFIERS, reasons);
	judge_checks(p, reasons);
	for (size_t i = 0; i < p->phase_count && !reasons->count; i++)
		if (p->phases[i].failed)
			strlist_addf(reasons, "it failed in the phase '%s'", p->phases[i].name);
	if (whole)
		judge_amount(p, reasons);
}

void proof_conclude(struct proof *p)
{
	bool stopped = p->reasons.count > 0; /* then what was not reached needs no reason of its own */

	for (size_t i = 0; i < p->phase_count; i++)
		stopped |= p->phases[i].failed;
	for (size_t i = 0; i < p->phase_count; i++)
		end_phase(p, &p->phases[i], stopped);
	proof_judge(p, !stopped, &p->reasons);
	p->seconds = proof_now(p);
	p->verdict = p->reasons.count ? PROOF_FAILED : p->sampled ? PROOF_SAMPLE : PROOF_PROVEN;
}
