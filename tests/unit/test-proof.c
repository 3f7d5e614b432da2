/* The record of a proof: what makes it proven, what it keeps, and that no name and no console can spoil it. */
#include "base/fs.h"
#include "guest/proof.h"
#include "guest/proof_text.h"
#include "proof-lab.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct error e;

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

/* One that is proven. */
static void good(struct proof *p)
{
	proof_begin(p);
	p->machine.host = xstrdup("alpha");
	p->machine.firmware = xstrdup("uefi");
	proof_add_disk(p, "sda", 4ULL << 30, 512, "OLD", "NEW");
	p->medium.path = xstrdup("/var/lib/lifeboat/stick.img");
	memcpy(p->medium.sha256, ONE, sizeof(ONE));
	p->set.target = xstrdup("smb://server/share");
	p->set.name = xstrdup("alpha/20260131T235959Z-0");
	memcpy(p->set.sha256, TWO, sizeof(TWO));
	p->set.files = 10;
	proof_count(p, PROOF_FILES, PROOF_EQUAL, 9);
	proof_count(p, PROOF_FILES, PROOF_EXPLAINED, 1);
	proof_add_difference(p, PROOF_FILES, "/var/log/wtmp", "size", "384", "768", "it was booted");
	proof_count(p, PROOF_IDENTIFIERS, PROOF_EQUAL, 7);
	proof_add_check(p, "login prompt", true, "alpha login:");
}

static const char *reasons(const struct proof *p)
{
	static char *last;

	free(last);
	last = p->reasons.count ? strlist_join(&p->reasons, "\n") : xstrdup("");
	return last;
}

/* ---- the verdict ---- */

TEST(what_has_nothing_against_it_is_proven)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	CHECK_INT(p.verdict, PROOF_FAILED); /* not before it is concluded */
	proof_conclude(&p);
	CHECK_STR(reasons(&p), "");
	CHECK_INT(p.verdict, PROOF_PROVEN);
}

TEST(a_sample_is_never_proven)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	p.sampled = true;
	p.set.files = 1000;
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_SAMPLE);
}

TEST(nothing_is_no_proof)
{
	_cleanup_(proof) struct proof p = { 0 };

	proof_begin(&p);
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_FAILED);
	CHECK_STR(reasons(&p),
		  "the medium has no hash\nthe set has no hash\nno file was compared\n"
		  "no identifier was compared\nit was not checked whether the recovered system runs");
}

TEST(a_file_that_was_not_compared_fails_it)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	p.set.files = 11;
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_FAILED);
	CHECK_STR(reasons(&p), "10 of 11 files were compared");
}

TEST(each_difference_fails_it_and_the_first_is_named)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	p.set.files = 12;
	proof_count(&p, PROOF_FILES, PROOF_DIFFERENT, 2);
	proof_add_difference(&p, PROOF_FILES, "/etc/a", "mode", "0644", "0600", NULL);
	proof_add_difference(&p, PROOF_FILES, "/etc/b", "mode", "0644", "0600", NULL);
	proof_count(&p, PROOF_IDENTIFIERS, PROOF_DIFFERENT, 1);
	proof_add_difference(&p, PROOF_IDENTIFIERS, "sda1", "uuid", "1", "2", NULL);
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_FAILED);
	CHECK_STR(reasons(&p), "2 of 12 files differ, first /etc/a: mode\n"
			       "1 of 8 identifiers differ, first sda1: uuid");
}

TEST(a_difference_that_was_not_counted_fails_it_too)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	proof_add_difference(&p, PROOF_FILES, "/etc/a", "mode", "0644", "0600", NULL);
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_FAILED);
}

TEST(a_difference_that_was_only_counted_fails_it_too)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	proof_count(&p, PROOF_IDENTIFIERS, PROOF_DIFFERENT, 1);
	proof_conclude(&p);
	CHECK_STR(reasons(&p), "1 of 8 identifiers differ");
	CHECK_INT(p.verdict, PROOF_FAILED);
}

TEST(a_check_that_failed_fails_it)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	proof_add_check(&p, "port 22", false, "Connection refused");
	proof_conclude(&p);
	CHECK_STR(reasons(&p), "the check 'port 22' failed");
	CHECK_INT(p.verdict, PROOF_FAILED);
}

TEST(where_it_stopped_the_rest_needs_no_reason)
{
	_cleanup_(proof) struct proof p = { 0 };

	proof_begin(&p);
	proof_phase(&p, "boot");
	proof_phase(&p, "recover");
	proof_add_reason(&p, "recover: %s", "no space");
	proof_conclude(&p);
	CHECK_STR(reasons(&p), "recover: no space");
	CHECK(!p.phases[0].failed && p.phases[1].failed);
	CHECK(p.phases[0].seconds >= 0 && p.phases[1].seconds >= 0);
	CHECK(p.phases[1].begun >= p.phases[0].begun);
	CHECK_INT(p.verdict, PROOF_FAILED);
}

TEST(a_phase_beside_the_others_ends_by_itself)
{
	_cleanup_(proof) struct proof p = { 0 };

	proof_begin(&p);
	proof_phase(&p, "recover");
	proof_phase_end(&p, false);

	size_t compare = proof_phase_beside(&p, "compare");

	proof_phase(&p, "boot");
	CHECK(p.phases[compare].seconds < 0 && p.phases[2].seconds < 0);
	proof_phase_end(&p, false);
	CHECK(p.phases[compare].seconds < 0 && p.phases[2].seconds >= 0);
	proof_phase_end(&p, true); /* there is none to end */
	CHECK(p.phases[compare].seconds < 0 && !p.phases[2].failed);
	proof_phase_close(&p, compare, true);
	CHECK(p.phases[compare].seconds >= p.phases[2].seconds && p.phases[compare].failed);
}

TEST(a_phase_that_nobody_ends_is_ended)
{
	_cleanup_(proof) struct proof p = { 0 };

	proof_begin(&p);
	(void)proof_phase_beside(&p, "compare");
	proof_phase(&p, "boot");
	proof_phase_end(&p, true);
	proof_conclude(&p);
	CHECK(p.phases[0].seconds >= 0 && p.phases[0].failed);
}

TEST(a_phase_that_failed_without_a_word_fails_it)
{
	_cleanup_(proof) struct proof p = { 0 };

	good(&p);
	proof_phase(&p, "boot");
	proof_phase_end(&p, true);
	proof_conclude(&p);
	CHECK_STR(reasons(&p), "it failed in the phase 'boot'");
	CHECK_INT(p.verdict, PROOF_FAILED);
}

TEST(of_too_many_differences_the_unexplained_ones_stay)
{
	_cleanup_(proof) struct proof p = { 0 };
	size_t unexplained = 0;

	good(&p);
	for (size_t i = 0; i < proof_difference_max + 9; i++)
		proof_add_difference(&p, PROOF_FILES, "/a", "size", "1", "2", "it grew");
	proof_add_difference(&p, PROOF_FILES, "/b", "size", "1", "2", NULL);
	proof_add_difference(&p, PROOF_FILES, "/c", "size", "1", "2", NULL);
	CHECK_INT(p.difference_count, proof_difference_max);
	CHECK_INT(p.differences_left_out, 12);
	for (size_t i = 0; i < p.difference_count; i++)
		unexplained += !p.differences[i].reason;
	CHECK_INT(unexplained, 2);
	proof_conclude(&p);
	CHECK_INT(p.verdict, PROOF_FAILED);
}

/* ---- names and consoles ---- */

static const char *quoted(const char *s)
{
	static struct strbuf b;

	b.len = 0;
	proof_quote(&b, s);
	return b.data;
}

TEST(names_are_text_and_can_be_had_back)
{
	static const char *const names[][2] = {
		{ "", "" },
		{ "/etc/fstab", "/etc/fstab" },
		{ "/home/caf\xc3\xa9/\xe2\x82\xac", "/home/caf\xc3\xa9/\xe2\x82\xac" },
		{ "/a\nb\\c", "/a\\012b\\134c" },
		{ "/latin1-\xe9", "/latin1-\\351" },
		{ "/half-\xe2\x82", "/half-\\342\\202" },
		{ "/overlong-\xc0\xaf", "/overlong-\\300\\257" },
		{ "/surrogate-\xed\xa0\x80", "/surrogate-\\355\\240\\200" },
		{ "/too-high-\xf4\x90\x80\x80", "/too-high-\\364\\220\\200\\200" },
		{ "/\x1b[2J", "/\\033[2J" },
		{ "/c1-\xc2\x9b", "/c1-\\302\\233" },
		{ "/backwards-\xe2\x80\xaegnp.exe", "/backwards-\\342\\200\\256gnp.exe" },
		{ "/<script>alert(1)</script>", "/<script>alert(1)</script>" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(free) char *again = NULL;

		CHECK_STR(quoted(names[i][0]), names[i][1]);
		again = xstrdup(names[i][1]);
		CHECK(str_unquote(again));
		CHECK_STR(again, names[i][0]);
	}
}

TEST(what_is_no_quoted_name_is_refused)
{
	static const char *const bad[] = { "\\", "a\\1", "\\18", "\\400", "\\000", "\\x41" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(free) char *s = xstrdup(bad[i]);

		CHECK(!str_unquote(s));
	}
}

/* Done twice, as the writers do. */
static const char *lines(const char *data, size_t len)
{
	static struct strbuf b, again;

	b.len = again.len = 0;
	proof_lines(&b, data, len);
	proof_lines(&again, b.data, b.len);
	CHECK_STR(again.data, b.data);
	return b.data;
}
#define LINES(literal) lines(literal, sizeof(literal) - 1)

TEST(what_a_console_said_is_plain_lines)
{
	CHECK_STR(LINES(""), "");
	CHECK_STR(LINES("a\r\r\nb\r\n\r\nc"), "a\nb\n\nc");
	CHECK_STR(LINES("\x1b[0;1;32m  OK  \x1b[0m Started x.\r\n"), "  OK   Started x.\n");
	CHECK_STR(LINES(" 10 %\r 20 %\r done  \n"), " 10 %\n 20 %\n done\n");
	CHECK_STR(LINES("\x1b[2J\x1b[1;1HGNU GRUB\x1b[3;1Hline"), "GNU GRUB\nline");
	CHECK_STR(LINES("\x1b]0;title\x07$ \x1b]2;x\x1b\\y\x1b(B\x1b="), "$ y");
	CHECK_STR(LINES("nul \0 bell \a bad \xff\xfe caf\xc3\xa9"),
		  "nul \xef\xbf\xbd bell \xef\xbf\xbd bad \xef\xbf\xbd\xef\xbf\xbd caf\xc3\xa9");
}

TEST(a_command_without_an_end_hides_nothing)
{
	CHECK_STR(LINES("\x1b"), "\xef\xbf\xbd");
	CHECK_STR(LINES("\x1b[12"), "\xef\xbf\xbd[12");
	CHECK_STR(LINES("\x1b]0;FATAL: lost\nmore"), "\xef\xbf\xbd]0;FATAL: lost\nmore");
	CHECK_STR(LINES("\x1bP\x1b[1mx"), "\xef\xbf\xbdPx");
	CHECK_STR(LINES("\x1b\0x"), "\xef\xbf\xbd\xef\xbf\xbdx");
}

static char *scratch(struct tempdir *t, const char *name)
{
	CHECK_OK(tempdir_make(t, &e));
	return xasprintf("%s/%s", t->path, name);
}

TEST(of_a_log_the_last_lines_are_kept)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *path = scratch(&t, "console.log");
	_cleanup_(strbuf) struct strbuf text = { 0 };

	for (unsigned i = 0; i < 5000; i++)
		strbuf_printf(&text, "line %u\r\n", i);
	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, text.data, text.len, &e));
	CHECK_OK(proof_add_log(&p, path, &e));
	CHECK_STR(p.logs[0].path, path);
	CHECK_INT(p.logs[0].bytes, text.len);
	CHECK(p.logs[0].cut);
	CHECK(strlen(p.logs[0].tail) < 16 << 10 && strlen(p.logs[0].tail) > 12 << 10);
	CHECK(strncmp(p.logs[0].tail, "line ", 5) == 0); /* a whole one */
	CHECK_STR(strstr(p.logs[0].tail, "line 4999"), "line 4999\n");
	CHECK_INT(strlen(p.logs[0].sha256), 64);
	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "a\n", 2, &e));
	CHECK_OK(proof_add_log(&p, path, &e));
	CHECK(!p.logs[1].cut);
	CHECK_STR(p.logs[1].tail, "a\n");
	CHECK_STR(p.logs[1].sha256, "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7");
	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "", 0, &e));
	CHECK_OK(proof_add_log(&p, path, &e));
	CHECK_STR(p.logs[2].tail, "");
}

TEST(a_screenshot_is_a_png)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *path = scratch(&t, "shot.png");
	_cleanup_(free) char *said = xasprintf("%s is no PNG file", path);

	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "\x89PNG\r\n\x1a\nrest", 12, &e));
	CHECK_OK(proof_add_screenshot(&p, 1.5, path, "the login", &e));
	CHECK_STR(p.screenshots[0].file, "shot.png");
	CHECK_INT(p.screenshots[0].bytes, 12);
	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "<svg onload=alert(1)>", 21, &e));
	CHECK_ERROR(proof_add_screenshot(&p, 1.5, path, "the login", &e), said);
	CHECK_INT(p.screenshot_count, 1);
}

/* ---- JSON ---- */

typedef void (*fill)(struct proof *p);
static const fill lab[] = { lab_proven, lab_sample, lab_failed, proof_begin };
enum { LAB_COUNT = sizeof(lab) / sizeof(*lab) };

static void json_of(const struct proof *p, struct strbuf *ret)
{
	CHECK_OK(proof_format_json(p, ret, &e));
}

TEST(what_is_written_is_read_as_it_was)
{
	for (size_t i = 0; i < LAB_COUNT; i++) {
		_cleanup_(proof) struct proof p = { 0 }, again = { 0 };
		_cleanup_(strbuf) struct strbuf first = { 0 }, second = { 0 };
		_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
		_cleanup_(free) char *path = scratch(&t, "a");

		lab[i](&p);
		CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "\x89PNG\r\n\x1a\n", 8, &e));
		CHECK_OK(proof_add_screenshot(&p, 1, path, "a \"caption\"", &e));
		CHECK_OK(proof_add_log(&p, path, &e));
		lab_conclude(&p);
		CHECK_OK(proof_write_json(&p, path, &e));
		CHECK_OK(proof_read(path, &again, &e));
		CHECK_INT(again.verdict, p.verdict);
		CHECK_INT(again.seed, p.seed);
		json_of(&p, &first);
		json_of(&again, &second);
		CHECK_STR(second.data, first.data);
	}
}

TEST(a_proof_that_is_proven_says_so_in_its_file)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	good(&p);
	proof_conclude(&p);
	json_of(&p, &text);
	CHECK(strstr(text.data, "\"verdict\": \"proven\""));
	CHECK(strstr(text.data, "\"sha256\": \"" ONE "\""));
	CHECK(strstr(text.data, "\"old_serial\": \"OLD\""));
	CHECK(!strstr(text.data, "\"sample\""));
}

TEST(any_bytes_go_into_the_file_and_come_back)
{
	_cleanup_(proof) struct proof p = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };
	static const char name[] = "/\xff\"\\\n\x1b[2J\xe2\x80\xae";

	good(&p);
	proof_add_difference(&p, PROOF_FILES, name, name, name, "", name);
	proof_add_check(&p, name, true, "caf\xc3\xa9 \xff\x1b[1m\x01\n");
	proof_add_event(&p, "%s", name);
	proof_conclude(&p);
	json_of(&p, &text);
	for (size_t i = 0; i < text.len; i++)
		CHECK(text.data[i] == '\n' || (unsigned char)text.data[i] >= ' ');
	CHECK_OK(proof_parse("p", text.data, text.len, &again, &e));
	CHECK_INT(again.verdict, PROOF_PROVEN);
	CHECK_STR(again.differences[1].what, name);
	CHECK_STR(again.differences[1].found, "");
	CHECK_STR(again.checks[1].name, name);
	CHECK_STR(again.checks[1].said, "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\n");
	CHECK_STR(again.events[0].text, name);
}

TEST(a_time_that_is_no_number_is_refused)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 };

	lab_hostile(&p);
	CHECK_ERROR(proof_format_json(&p, &text, &e), "the proof holds a time that is no number");
}

/* The file with `from` replaced by `to`. */
static const char *refused(const char *from, const char *to)
{
	_cleanup_(proof) struct proof p = { 0 }, again = { 0 };
	_cleanup_(strbuf) struct strbuf text = { 0 }, changed = { 0 };

	lab_proven(&p);
	lab_conclude(&p);
	CHECK_INT(p.verdict, PROOF_PROVEN);
	json_of(&p, &text);

	const char *at = strstr(text.data, from);

	CHECK(at);
	strbuf_add(&changed, text.data, (size_t)(at - text.data));
	strbuf_puts(&changed, to);
	strbuf_puts(&changed, at + strlen(from));
	if (proof_parse("p", changed.data, changed.len, &again, &e) == 0)
		return "taken";
	CHECK_INT(e.code, EBADMSG);
	return e.text;
}

TEST(what_contradicts_itself_is_no_proof)
{
	static const char wrong[] = "p: no proof: its verdict is not what its content says";

	CHECK_STR(refused("\"passed\": true", "\"passed\": true"), "taken");
	CHECK_STR(refused("\"passed\": true", "\"passed\": false"), wrong);
	CHECK_STR(refused("\"different\": 0", "\"different\": 1"), wrong);
	CHECK_STR(refused("\"equal\": 27511", "\"equal\": 27510"), wrong);
	CHECK_STR(refused("\"reasons\": []", "\"reasons\": [\"a file was lost\"]"), wrong);
	CHECK_STR(refused("\"failed\": false", "\"failed\": true"), wrong);
	CHECK_STR(refused("\"verdict\": \"proven\"", "\"verdict\": \"sample\""), wrong);
	CHECK_STR(refused("\"sha256\": \"" LAB_ONE "\"", "\"sha256\": \"\""), wrong);
	CHECK_STR(refused(",\n      \"reason\": \"the recovered system was started\"", ""), wrong);
	CHECK_STR(refused("\"verdict\": \"proven\"", "\"verdict\": \"failed\""),
		  "p: no proof: failed without a reason");
}

TEST(what_is_no_proof_is_refused)
{
	CHECK_STR(refused("\"lifeboat_proof\": 1", "\"lifeboat_proof\": 2"),
		  "p: no proof: its format is not the one that this program reads");
	CHECK_STR(refused("\"lifeboat_proof\": 1,", ""), "p: no proof: it does not begin as one");
	CHECK(strcmp(refused("\"verdict\": \"proven\"", "\"verdict\": \"Proven\""), "taken") != 0);
	CHECK(strcmp(refused("\"verdict\": \"proven\"", "\"verdict\": true"), "taken") != 0);
	CHECK(strcmp(refused("\"reasons\": [],", ""), "taken") != 0);
	CHECK(strcmp(refused("\"reasons\": [],", "\"reasons\": [], \"reasons\": [],"), "taken") != 0);
	CHECK(strcmp(refused("\"reasons\": [],", "\"reasons\": [], \"more\": 1,"), "taken") != 0);
	CHECK(strcmp(refused("\"host\": \"alpha\"", "\"host\": 7"), "taken") != 0);
	CHECK(strcmp(refused("\"host\": \"alpha\"", "\"host\": \"al\\\\999\""), "taken") != 0);
	CHECK(strcmp(refused("\"host\": \"alpha\"", "\"host\": \"a\\u0000b\""), "taken") != 0);
	CHECK(strcmp(refused("\"sha256\": \"4f", "\"sha256\": \"4F"), "taken") != 0);
	CHECK(strcmp(refused("\"sha256\": \"4f", "\"sha256\": \"4"), "taken") != 0);
	CHECK(strcmp(refused("\"equal\": 27511", "\"equal\": -1"), "taken") != 0);
	CHECK(strcmp(refused("\"equal\": 27511", "\"equal\": 27511.0"), "taken") != 0);
	CHECK(strcmp(refused("\"equal\": 27511", "\"equal\": 99999999999999999999"), "taken") != 0);
	CHECK(strcmp(refused("\"kind\": \"files\"", "\"kind\": \"file\""), "taken") != 0);
	CHECK(strcmp(refused("\"checks\": [", "\"checks\": 7, \"x\": ["), "taken") != 0);
	CHECK(strcmp(refused("\n}", "\n} {"), "taken") != 0);
}

TEST(a_file_of_something_else_is_no_proof)
{
	_cleanup_(proof) struct proof p = { 0 };
	static const char *const texts[] = { "",       "{}",         "[]",
					     "null",   "\"proven\"", "{\"verdict\": \"proven\"}",
					     "\177ELF" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		CHECK_INT(proof_parse("p", texts[i], strlen(texts[i]), &p, &e), -EBADMSG);
	CHECK_INT(proof_read("/nonexistent/proof.json", &p, &e), -ENOENT);
}

/* ---- the page ---- */

static size_t count_of(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* Every tag is one of ours, closed where it must be, and in order. */
static void check_tags(const char *html)
{
	static const char *const alone[] = { "meta", "img", "!DOCTYPE", "line", "circle", "rect", "path" };
	_cleanup_(strlist) struct strlist open = { 0 };

	for (const char *at = strchr(html, '<'); at; at = strchr(at + 1, '<')) {
		size_t len = strcspn(at + 1 + (at[1] == '/'), " >/\n");
		_cleanup_(free) char *tag = xstrndup(at + 1 + (at[1] == '/'), len);
		const char *end = strchr(at, '>');
		bool single = end && end[-1] == '/';

		CHECK(end);
		for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
			single |= streq(tag, alone[i]) && (i < 3);
		if (at[1] == '/') {
			CHECK(open.count);
			CHECK_STR(tag, open.items[open.count - 1]);
			free(open.items[--open.count]);
		} else if (!single) {
			strlist_add(&open, tag);
		}
		CHECK(!streq(tag, "script"));
	}
	CHECK_INT(open.count, 0);
}

static void page_of(fill f, struct strbuf *ret)
{
	_cleanup_(proof) struct proof p = { 0 };
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *path = scratch(&t, "<b>.log");

	f(&p);
	static const char log[] = "</pre><script>\x1b[1m\xff&";

	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, log, sizeof(log) - 1, &e));
	CHECK_OK(proof_add_log(&p, path, &e));
	CHECK_OK(write_file_at(AT_FDCWD, path, 0600, "\x89PNG\r\n\x1a\nabc", 11, &e));
	CHECK_OK(proof_add_screenshot(&p, 1, path, "\"><script>", &e));
	lab_conclude(&p);
	proof_format_html(&p, ret);
}

TEST(the_page_is_whole_whatever_it_holds)
{
	static const fill all[] = { lab_proven, lab_sample, lab_failed, proof_begin, lab_hostile };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		_cleanup_(strbuf) struct strbuf page = { 0 };

		page_of(all[i], &page);
		CHECK_INT(strlen(page.data), page.len);
		check_tags(page.data);
		for (size_t n = 0; n < page.len; n++)
			CHECK(page.data[n] == '\n' || page.data[n] == '\t' ||
			      (unsigned char)page.data[n] >= ' ');
		CHECK(strstr(page.data, "src=\"data:image/png;base64,iVBORw0KGgphYmM=\""));
		/* nothing from elsewhere, and nothing that runs */
		CHECK_INT(count_of(page.data, "src=\""), 1);
		CHECK_INT(count_of(page.data, "href=\""), count_of(page.data, "href=\"#differences\""));
		CHECK(!strstr(page.data, "url(") && !strstr(page.data, " onload=\"") &&
		      !strstr(page.data, "@import"));
		CHECK(strstr(page.data, "default-src 'none'"));
		CHECK(!strstr(page.data, "nan") && !strstr(page.data, "inf\""));
	}
}

TEST(the_page_says_what_came_out)
{
	_cleanup_(strbuf) struct strbuf proven = { 0 }, failed = { 0 }, sample = { 0 };

	page_of(lab_proven, &proven);
	CHECK(strstr(proven.data, "<h1>Proven</h1>"));
	CHECK(strstr(proven.data, "27,514 files"));
	CHECK(strstr(proven.data, "written at each start"));
	page_of(lab_sample, &sample);
	CHECK(!strstr(sample.data, "<h1>Proven</h1>"));
	CHECK(strstr(sample.data, "That is no proof"));
	page_of(lab_failed, &failed);
	CHECK(!strstr(failed.data, "<h1>Proven</h1>"));
	CHECK(strstr(failed.data, "<h1>Not proven</h1>"));
	CHECK(strstr(failed.data, "<li>3 of 27514 files differ, first /usr/bin/ping: capabilities</li>"));
	/* what is not explained comes first */
	CHECK(strstr(failed.data, "server.key") < strstr(failed.data, "wtmp"));
}

TEST(the_page_and_the_file_are_for_the_owner_only)
{
	_cleanup_(tempdir) struct tempdir t = TEMPDIR_NONE;
	_cleanup_(free) char *path = scratch(&t, "proof");
	_cleanup_(proof) struct proof p = { 0 };
	struct stat st;

	good(&p);
	proof_conclude(&p);
	CHECK_OK(proof_write_html(&p, path, &e));
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK_OK(proof_write_json(&p, path, &e));
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
}

TAP_MAIN()
