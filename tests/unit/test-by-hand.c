/* RECOVER.txt: what stands in its comments cannot become a command, whatever it holds. That its commands do
 * bring a machine back: tests/guest/42-by-hand.t. */
#include "cmd/by_hand.h"
#include "machine/machine_conf.h"
#include "tap.h"

static struct error e;

static const char hostile[] =
	"[machine]\nfirmware = bios\nhostname = box\\x0aEVIL\nos = OS\\x0aEVIL\ncreated = now\\x0aEVIL\n"
	"[disk sda]\npath = /dev/sda\nmodel = M\\x0aEVIL\nserial = S\\x0aEVIL\nsize = 1073741824\n"
	"sector-size = 512\ntable = none\n"
	"[filesystem sda]\ntype = ext4\nlabel = it's\nmountpoint = /m\\x0aEVIL\n";

TEST(comments_stay_comments)
{
	_cleanup_(machine) struct machine m = { 0 };
	_cleanup_(strbuf) struct strbuf page = { 0 };
	const struct strlist files = { 0 };
	bool quoted = false;

	CHECK_OK(machine_conf_parse("m", hostile, &m, &e));
	by_hand_format(&m, "box/set\nEVIL", &files, NULL, NULL, NULL, &page);
	for (char *rest = page.data, *line; (line = strsep(&rest, "\n"));) {
		if (!quoted && strncmp(line, "EVIL", 4) == 0)
			TAP_FAIL("a command: %s", line);
		if (!quoted && *line == '#')
			continue;
		for (const char *p = line; *p; p++)
			quoted ^= *p == '\'' && (p == line || p[-1] != '\\');
	}
	CHECK(!quoted);
}

TAP_MAIN()
