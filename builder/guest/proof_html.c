#include "base/fs.h"
#include "guest/proof_page.h"
#include "guest/proof_private.h"
#include "guest/proof_timeline.h"

#include <fcntl.h>

/* ---- pieces ---- */

static void heading(struct strbuf *b, const char *text)
{
	strbuf_printf(b, "<section>\n<h2>%s</h2>\n", text);
}

static void end_section(struct strbuf *b)
{
	strbuf_puts(b, "</section>\n");
}

/* Each of the lists says that it is empty. */
static void nothing(struct strbuf *b, const char *text)
{
	strbuf_printf(b, "<p class=\"quiet\">%s</p>\n", text);
}

static void fact(struct strbuf *b, const char *label, const char *value)
{
	strbuf_printf(b, "<dt>%s</dt><dd>", label);
	page_name(b, value);
	strbuf_puts(b, "</dd>\n");
}

static void fact_hash(struct strbuf *b, const char *label, const char *sha256)
{
	strbuf_printf(b, "<dt>%s</dt><dd><code>", label);
	page_name(b, sha256);
	strbuf_puts(b, "</code></dd>\n");
}

/* "1.2 GiB (1,288,490,189 bytes)" */
static void fact_size(struct strbuf *b, const char *label, uint64_t bytes)
{
	strbuf_printf(b, "<dt>%s</dt><dd>", label);
	page_size(b, bytes);
	strbuf_puts(b, " <span class=\"quiet\">(");
	page_count(b, bytes);
	strbuf_puts(b, " bytes)</span></dd>\n");
}

static void cell_number(struct strbuf *b, uint64_t n, const char *class)
{
	strbuf_printf(b, "<td class=\"number%s%s\">", *class ? " " : "", class);
	page_count(b, n);
	strbuf_puts(b, "</td>");
}

static void cell_name(struct strbuf *b, const char *class, const char *s)
{
	strbuf_printf(b, "<td class=\"%s\">", class);
	page_name(b, s);
	strbuf_puts(b, "</td>");
}

static void cell_seconds(struct strbuf *b, double seconds)
{
	strbuf_puts(b, "<td class=\"number\">");
	page_seconds(b, seconds);
	strbuf_puts(b, "</td>");
}

/* ---- the verdict ---- */

/* A check mark, a part of a pie, a cross: told apart without colours. */
static const char *const signs[] = {
	[PROOF_FAILED] = "<path d=\"M20 20 44 44M44 20 20 44\"/>",
	[PROOF_SAMPLE] = "<path d=\"M32 32V14A18 18 0 0 1 50 32Z\"/>",
	[PROOF_PROVEN] = "<path d=\"M17 33 28 44 47 21\"/>",
};
static const char *const titles[] = {
	[PROOF_FAILED] = "Not proven",
	[PROOF_SAMPLE] = "A sample: nothing speaks against it",
	[PROOF_PROVEN] = "Proven",
};

static void say_host(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<b>");
	page_name(b, p->machine.host ? p->machine.host : "this machine");
	strbuf_puts(b, "</b>");
}

static void say_brought_back(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<p>On blank disks, this medium and this backup brought ");
	say_host(b, p);
	strbuf_puts(b, " back. The recovered system started without the medium; ");
}

static void say_proven(struct strbuf *b, const struct proof *p)
{
	uint64_t explained =
		p->counts[PROOF_FILES][PROOF_EXPLAINED] + p->counts[PROOF_IDENTIFIERS][PROOF_EXPLAINED];

	say_brought_back(b, p);
	strbuf_puts(b, "each of its ");
	page_count(b, proof_compared(p, PROOF_FILES));
	strbuf_puts(b, " files and ");
	page_count(b, proof_compared(p, PROOF_IDENTIFIERS));
	strbuf_puts(b, " identifiers is what it was when the backup was made");
	if (explained) {
		strbuf_puts(b, "; ");
		page_count(b, explained);
		strbuf_puts(b, " of them differ for <a href=\"#differences\">a known reason</a>, which is "
			       "all right");
	}
	strbuf_puts(b, ".</p>\n");
}

static void say_sample(struct strbuf *b, const struct proof *p)
{
	say_brought_back(b, p);
	page_count(b, proof_compared(p, PROOF_FILES));
	strbuf_puts(b, " of its ");
	page_count(b, p->set.files);
	strbuf_printf(b,
		      " files, chosen at random (%.3g %%), were compared. <b>That is no proof</b>: the "
		      "others were not looked at.</p>\n",
		      100 * p->share);
}

static void say_failed(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<p>Do not rely on this medium and this backup of ");
	say_host(b, p);
	strbuf_puts(b, " before the cause is found:</p>\n<ul class=\"reasons\">\n");
	for (size_t i = 0; i < p->reasons.count; i++) {
		strbuf_puts(b, "<li>");
		page_name(b, p->reasons.items[i]);
		strbuf_puts(b, "</li>\n");
	}
	if (!p->reasons.count)
		strbuf_puts(b, "<li>it has not been concluded</li>\n");
	strbuf_puts(b, "</ul>\n");
}

static void verdict(struct strbuf *b, const struct proof *p)
{
	strbuf_printf(b,
		      "<header class=\"verdict %s\">\n<svg viewBox=\"0 0 64 64\" aria-hidden=\"true\">"
		      "<circle cx=\"32\" cy=\"32\" r=\"29\"/>%s</svg>\n<div>\n"
		      "<p class=\"kind\">Lifeboat · proof of recovery</p>\n<h1>%s</h1>\n",
		      proof_verdict_names[p->verdict], signs[p->verdict], titles[p->verdict]);
	if (p->verdict == PROOF_PROVEN)
		say_proven(b, p);
	else if (p->verdict == PROOF_SAMPLE)
		say_sample(b, p);
	else
		say_failed(b, p);
	strbuf_puts(b, "<p class=\"quiet\">Begun ");
	page_time(b, p->created);
	strbuf_puts(b, ", took ");
	page_seconds(b, p->seconds);
	strbuf_puts(b, ".</p>\n</div>\n</header>\n");
}

/* ---- what it is about ---- */

static void disks(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<div class=\"wide\"><table>\n<thead><tr><th>Disk</th><th class=\"number\">Size</th>"
		       "<th class=\"number\">Sector</th><th>Serial of the machine's</th>"
		       "<th>Serial of the blank one</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < p->machine.disk_count; i++) {
		const struct proof_disk *d = &p->machine.disks[i];

		strbuf_puts(b, "<tr>");
		cell_name(b, "name", d->name);
		strbuf_puts(b, "<td class=\"number\">");
		page_size(b, d->bytes);
		strbuf_puts(b, "</td>");
		cell_number(b, d->sector_size, "");
		cell_name(b, "name", d->old_serial);
		cell_name(b, "name", d->new_serial);
		strbuf_puts(b, "</tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
}

static void subject(struct strbuf *b, const struct proof *p)
{
	heading(b, "What was tried");
	strbuf_puts(b, "<div class=\"cards\">\n<div>\n<h3>Medium</h3>\n<dl>\n");
	fact(b, "Path", p->medium.path);
	fact_size(b, "Size", p->medium.bytes);
	fact_hash(b, "SHA-256", p->medium.sha256);
	strbuf_puts(b, "</dl>\n</div>\n<div>\n<h3>Backup</h3>\n<dl>\n");
	fact(b, "Target", p->set.target);
	fact(b, "Set", p->set.name);
	strbuf_puts(b, "<dt>Files</dt><dd>");
	page_count(b, p->set.files);
	strbuf_puts(b, "</dd>\n");
	fact_size(b, "Size", p->set.bytes);
	fact_hash(b, "SHA-256 of its SHA256SUMS", p->set.sha256);
	strbuf_puts(b, "</dl>\n</div>\n<div>\n<h3>Machine</h3>\n<dl>\n");
	fact(b, "Host", p->machine.host);
	fact(b, "Firmware",
	     p->machine.firmware && streq(p->machine.firmware, "uefi")   ? "UEFI"
	     : p->machine.firmware && streq(p->machine.firmware, "bios") ? "BIOS"
									 : p->machine.firmware);
	strbuf_puts(b, "</dl>\n</div>\n</div>\n");
	if (p->machine.disk_count)
		disks(b, p);
	end_section(b);
}

/* ---- what was compared ---- */

static void counts(struct strbuf *b, const struct proof *p)
{
	static const char *const labels[] = { [PROOF_FILES] = "Files",
					      [PROOF_IDENTIFIERS] = "Identifiers",
					      [PROOF_CHECKS] = "Checks of the running system" };

	strbuf_puts(b, "<div class=\"wide\"><table>\n<thead><tr><th></th><th class=\"number\">Compared</th>"
		       "<th class=\"number\">Equal</th><th class=\"number\">Explained</th>"
		       "<th class=\"number\">Different</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < PROOF_KIND_COUNT; i++) {
		const uint64_t *n = p->counts[i];

		strbuf_printf(b, "<tr><th scope=\"row\">%s</th>", labels[i]);
		cell_number(b, proof_compared(p, (enum proof_kind)i), "");
		cell_number(b, n[PROOF_EQUAL], "");
		cell_number(b, n[PROOF_EXPLAINED], "");
		cell_number(b, n[PROOF_DIFFERENT], n[PROOF_DIFFERENT] ? "bad" : "");
		strbuf_puts(b, "</tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
}

static void compared(struct strbuf *b, const struct proof *p)
{
	heading(b, "What was compared");
	counts(b, p);
	strbuf_puts(b, "<p class=\"quiet\">Files: type, owner, mode, size, times, content (SHA-256), links, "
		       "extended attributes, ACLs and capabilities against the listing that was recorded "
		       "with the backup. Identifiers: partition tables, UUIDs, labels and names of devices "
		       "against its machine.conf.</p>\n");
	if (p->sampled) {
		strbuf_printf(
			b, "<p class=\"quiet\">The sample can be drawn again: seed %llu, share %.6g.</p>\n",
			(unsigned long long)p->seed, p->share);
	}
	end_section(b);
}

static bool has_reason(const struct proof_difference *d, const char *reason)
{
	return d->reason && reason ? streq(d->reason, reason) : !d->reason && !reason;
}

/* Of those with this reason; NULL: without one. */
static void difference_table(struct strbuf *b, const struct proof *p, const char *reason)
{
	strbuf_puts(b,
		    "<div class=\"wide\"><table>\n<thead><tr><th>What</th><th>Attribute</th><th>Expected</th>"
		    "<th>Found</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < p->difference_count; i++) {
		const struct proof_difference *d = &p->differences[i];

		if (!has_reason(d, reason))
			continue;
		strbuf_printf(b, "<tr%s>", reason ? "" : " class=\"bad\"");
		cell_name(b, "name what", d->what);
		cell_name(b, "word", d->attribute);
		cell_name(b, "name", d->expected);
		cell_name(b, "name", d->found);
		strbuf_puts(b, "</tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
}

static size_t count_reason(const struct proof *p, const char *reason, size_t before)
{
	size_t count = 0;

	for (size_t i = 0; i < before; i++)
		count += has_reason(&p->differences[i], reason);
	return count;
}

/* A line for each reason; hundreds may have the same. */
static void explained_differences(struct strbuf *b, const struct proof *p)
{
	for (size_t i = 0; i < p->difference_count; i++) {
		const char *reason = p->differences[i].reason;

		if (!reason || count_reason(p, reason, i))
			continue;
		strbuf_puts(b, "<details><summary>");
		page_name(b, reason);
		strbuf_puts(b, " <span class=\"quiet\">(");
		page_count(b, count_reason(p, reason, p->difference_count));
		strbuf_puts(b, ")</span></summary>\n");
		difference_table(b, p, reason);
		strbuf_puts(b, "</details>\n");
	}
}

static void differences(struct strbuf *b, const struct proof *p)
{
	size_t unexplained = count_reason(p, NULL, p->difference_count);

	strbuf_puts(b, "<section id=\"differences\">\n<h2>Differences</h2>\n");
	if (!p->difference_count)
		nothing(b, proof_compared(p, PROOF_FILES) + proof_compared(p, PROOF_IDENTIFIERS)
				   ? "None."
				   : "Nothing was compared.");
	if (unexplained) {
		strbuf_puts(b, "<h3 class=\"mark bad\">Not explained</h3>\n");
		difference_table(b, p, NULL);
	}
	if (unexplained < p->difference_count) {
		strbuf_puts(b, "<h3>Explained, by reason</h3>\n");
		explained_differences(b, p);
	}
	if (p->differences_left_out) {
		strbuf_puts(b, "<p>");
		page_count(b, p->differences_left_out);
		strbuf_puts(b, " more are counted but not listed.</p>\n");
	}
	end_section(b);
}

static void checks(struct strbuf *b, const struct proof *p)
{
	heading(b, "Checks of the running system");
	if (!p->check_count)
		nothing(b, "None was done.");
	for (size_t i = 0; i < p->check_count; i++) {
		const struct proof_check *c = &p->checks[i];

		strbuf_printf(b, "<div class=\"check\"><p><span class=\"%s</span> ",
			      c->passed ? "mark good\">✓ passed" : "mark bad\">✗ failed");
		page_name(b, c->name);
		strbuf_puts(b, "</p>\n");
		if (c->said && *c->said) {
			strbuf_puts(b, "<pre>");
			page_lines(b, c->said);
			strbuf_puts(b, "</pre>\n");
		}
		strbuf_puts(b, "</div>\n");
	}
	end_section(b);
}

/* ---- how it went ---- */

static void phases(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(
		b,
		"<div class=\"wide\"><table>\n<thead><tr><th>Phase</th><th class=\"number\">Began after</th>"
		"<th class=\"number\">Took</th><th class=\"number\">Share</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < p->phase_count; i++) {
		const struct proof_phase *phase = &p->phases[i];

		strbuf_printf(b, "<tr%s>", phase->failed ? " class=\"bad\"" : "");
		cell_name(b, "", phase->name);
		cell_seconds(b, phase->begun);
		cell_seconds(b, phase->seconds);
		strbuf_puts(b, "<td class=\"number\">");
		if (phase->seconds >= 0 && phase->seconds <= p->seconds)
			strbuf_printf(b, "%.1f %%", 100 * phase->seconds / (p->seconds > 0 ? p->seconds : 1));
		strbuf_puts(b, "</td></tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
}

static void events(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<h3>Events</h3>\n<div class=\"wide\"><table>\n<tbody>\n");
	for (size_t i = 0; i < p->event_count; i++) {
		strbuf_puts(b, "<tr>");
		cell_seconds(b, p->events[i].at);
		cell_name(b, "text", p->events[i].text);
		strbuf_puts(b, "</tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
}

static void timeline(struct strbuf *b, const struct proof *p)
{
	heading(b, "Timeline");
	if (!p->phase_count) {
		nothing(b, "It did not begin.");
	} else {
		strbuf_puts(b, "<div class=\"wide\">\n");
		proof_timeline(b, p);
		strbuf_puts(b, "</div>\n");
		phases(b, p);
	}
	if (p->event_count)
		events(b, p);
	end_section(b);
}

static void screenshots(struct strbuf *b, const struct proof *p)
{
	heading(b, "Screenshots");
	if (!p->screenshot_count)
		nothing(b, "None was taken.");
	strbuf_puts(b, "<div class=\"shots\">\n");
	for (size_t i = 0; i < p->screenshot_count; i++) {
		const struct proof_screenshot *s = &p->screenshots[i];

		strbuf_puts(b, "<figure>\n");
		if (s->png) {
			strbuf_puts(b, "<img src=\"");
			page_png(b, s->png, s->bytes);
			strbuf_puts(b, "\" alt=\"");
			page_name(b, s->caption);
			strbuf_puts(b, "\">\n");
		}
		strbuf_puts(b, "<figcaption>");
		page_name(b, s->caption);
		strbuf_puts(b, " <span class=\"quiet\">after ");
		page_seconds(b, s->at);
		strbuf_puts(b, "</span></figcaption>\n</figure>\n");
	}
	strbuf_puts(b, "</div>\n");
	end_section(b);
}

static void logs(struct strbuf *b, const struct proof *p)
{
	heading(b, "Consoles");
	if (!p->log_count)
		nothing(b, "None was kept.");
	for (size_t i = 0; i < p->log_count; i++) {
		const struct proof_log *l = &p->logs[i];

		strbuf_puts(b, "<h3 class=\"name\">");
		page_name(b, l->path);
		strbuf_puts(b, "</h3>\n<dl>\n");
		fact_size(b, "Size", l->bytes);
		fact_hash(b, "SHA-256", l->sha256);
		strbuf_printf(b, "</dl>\n%s<pre class=\"log\"><span>",
			      l->cut ? "<p class=\"quiet\">Its last lines:</p>\n" : "");
		page_lines(b, l->tail);
		strbuf_puts(b, "</span></pre>\n");
	}
	end_section(b);
}

static void resources(struct strbuf *b, const struct proof *p)
{
	static const char *const labels[] = { "Planned", "Used" };
	const struct proof_resources *const rows[] = { &p->planned, &p->used };

	heading(b, "Resources");
	strbuf_puts(
		b,
		"<div class=\"wide\"><table>\n<thead><tr><th></th><th class=\"number\">Memory</th>"
		"<th class=\"number\">Disk</th><th class=\"number\">Processors</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && (rows[i]->memory || rows[i]->disk); i++) {
		strbuf_printf(b, "<tr><th scope=\"row\">%s</th><td class=\"number\">", labels[i]);
		page_size(b, rows[i]->memory);
		strbuf_puts(b, "</td><td class=\"number\">");
		page_size(b, rows[i]->disk);
		strbuf_puts(b, "</td>");
		cell_number(b, rows[i]->processors, "");
		strbuf_puts(b, "</tr>\n");
	}
	strbuf_puts(b, "</tbody></table></div>\n");
	end_section(b);
}

static void footer(struct strbuf *b, const struct proof *p)
{
	strbuf_puts(b, "<footer>\n<p><b>To check this page:</b> <code>sha256sum</code> of the medium, of the "
		       "set's <code>SHA256SUMS</code> and of the logs must say what is written above; "
		       "<code>sha256sum -c SHA256SUMS</code> in the set's folder covers its every file. "
		       "<code>proof.json</code> beside this page says the same for programs. In names, "
		       "<code>\\NNN</code> (octal) is a byte that cannot be shown. All times are UTC.</p>\n"
		       "<p>Made by Lifeboat ");
	page_name(b, p->version);
	strbuf_puts(b, ". This page needs no network and runs nothing.</p>\n</footer>\n");
}

void proof_format_html(const struct proof *p, struct strbuf *b)
{
	strbuf_puts(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		       /* whatever a name or a console holds: nothing is loaded and nothing is run */
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		       "img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		       "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	page_name(b, p->machine.host ? p->machine.host : "Lifeboat");
	strbuf_printf(b, ": %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n",
		      proof_verdict_names[p->verdict], proof_style);
	verdict(b, p);
	subject(b, p);
	compared(b, p);
	differences(b, p);
	checks(b, p);
	timeline(b, p);
	screenshots(b, p);
	logs(b, p);
	resources(b, p);
	footer(b, p);
	strbuf_puts(b, "</main>\n</body>\n</html>\n");
}

int proof_write_html(const struct proof *p, const char *path, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	proof_format_html(p, &text);
	return write_file_at(AT_FDCWD, path, 0600, text.data, text.len, e);
}
