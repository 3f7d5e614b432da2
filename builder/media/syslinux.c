/* The texts on a medium: the boot menu for SYSLINUX and ISOLINUX, and README.TXT. */
#include "media/content.h"

#include <time.h>

/* Seconds. After the first the default is started even if a key was pressed: noise on a serial line
 * must not keep a machine at the prompt for ever. */
enum {
	give_up_after = 600,
	longest_wait = 3599, /* TIMEOUT ends at 35996 tenths of a second */
};

static const struct {
	const char *label, *title;
	const char *append; /* after the consoles */
	bool only_unattended; /* only on media that may recover by themselves */
} entries[] = {
	{ "unattended", "recover this machine, without a question", "quiet lifeboat.recover=unattended",
	  true },
	{ "rescue", "the rescue console; changes nothing by itself", "quiet", false },
	{ "verbose", "the same with all kernel messages, when it does not start",
	  "loglevel=7 ignore_loglevel", false },
};

static bool offered(size_t i, const struct recovery_conf *conf)
{
	return !entries[i].only_unattended || conf->unattended;
}

/* Anything but plain text would break the line, or the screen. */
static void put_clean(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		char c = *text < ' ' || *text > '~' ? '?' : *text;

		strbuf_add(b, &c, 1);
	}
}

/* What follows "ttyS" of the first serial console, the only one that SYSLINUX can have; or NULL. */
static const char *serial_console(const struct recovery_conf *conf)
{
	const char *rest = NULL;

	for (size_t i = 0; !rest && i < conf->consoles.count; i++)
		rest = str_after(conf->consoles.items[i], "ttyS");
	return rest;
}

/* "SERIAL port baud" */
static void put_serial(struct strbuf *b, const struct recovery_conf *conf)
{
	const char *console = serial_console(conf);
	char *end;

	if (!console)
		return;
	unsigned long port = strtoul(console, &end, 10);
	unsigned long baud = *end == ',' ? strtoul(end + 1, NULL, 10) : 0;

	strbuf_printf(b, "SERIAL %lu %lu\n", port, baud ? baud : 9600); /* the kernel's default */
}

static unsigned wait_seconds(const struct recovery_conf *conf)
{
	uint64_t seconds;

	if (parse_u64(conf->menu_timeout, &seconds) < 0)
		return 5;
	return seconds < longest_wait ? (unsigned)seconds : longest_wait;
}

static const char *first_label(const struct recovery_conf *conf)
{
	return conf->unattended ? "unattended" : "rescue";
}

/* SYSLINUX takes TIMEOUT 0 as "wait for ever"; who wants no waiting gets no prompt. */
static void put_prompt(struct strbuf *b, const struct recovery_conf *conf)
{
	unsigned seconds = wait_seconds(conf);

	if (seconds == 0) {
		strbuf_puts(b, "PROMPT 0\n"); /* Shift brings one all the same */
		return;
	}
	strbuf_printf(b, "DISPLAY boot.msg\nPROMPT 1\nTIMEOUT %u\n", seconds * 10);
	if (seconds < give_up_after)
		strbuf_printf(b, "TOTALTIMEOUT %u\n", give_up_after * 10);
}

static void put_title(struct strbuf *b, const struct medium_request *request)
{
	strbuf_puts(b, "\r\nLifeboat: rescue medium of ");
	put_clean(b, request->hostname);
	if (request->kernel_version) {
		strbuf_puts(b, ", Linux ");
		put_clean(b, request->kernel_version);
	}
	if (request->ram_needed) {
		char ram[SIZE_TEXT_MAX];

		/* on a line of its own: firmware cuts off what does not fit into 80 columns */
		strbuf_printf(b, "\r\nIt needs %s of RAM", format_size(request->ram_needed, ram));
	}
	strbuf_puts(b, "\r\n");
}

static void put_list(struct strbuf *b, const struct medium_request *request)
{
	put_title(b, request);
	strbuf_puts(b, "\r\n");
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		if (offered(i, request->conf))
			strbuf_printf(b, "  %-10s  %s\r\n", entries[i].label, entries[i].title);
	strbuf_printf(b, "\r\nType a word and Enter; '%s' starts in %u seconds.\r\n",
		      first_label(request->conf), wait_seconds(request->conf));
}

/* syslinux-efi sets the cursor many times for each character: on a serial line that firmware mirrors,
 * a hundred bytes and more. */
static void put_brief(struct strbuf *b, const struct medium_request *request)
{
	const char *first = first_label(request->conf), *between = "or type ";

	put_title(b, request);
	strbuf_printf(b, "'%s' starts in %u seconds", first, wait_seconds(request->conf));
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		if (!offered(i, request->conf) || streq(entries[i].label, first))
			continue;
		strbuf_printf(b, ", %s'%s'", between, entries[i].label);
		between = "";
	}
	strbuf_puts(b, "\r\n");
}

char *media_boot_message(const struct medium_request *request, enum media_firmware firmware)
{
	struct strbuf b = { 0 };

	if (firmware == MEDIA_UEFI) {
		put_brief(&b, request);
		return b.data;
	}
	put_list(&b, request);
	if (serial_console(request->conf)) {
		/* SYSLINUX 6 sends to the screen or to the serial line: ^T selects the latter
		 * (doc/syslinux.txt, "display file format") */
		strbuf_puts(&b, "\024");
		put_list(&b, request);
	}
	return b.data;
}

static void put_entry(struct strbuf *b, const struct medium_request *request, size_t i)
{
	strbuf_printf(b, "\nLABEL %s\n", entries[i].label);
	strbuf_puts(b, "\tLINUX /vmlinuz\n\tINITRD /initrd.img\n\tAPPEND");
	for (size_t c = 0; c < request->conf->consoles.count; c++)
		strbuf_printf(b, " console=%s", request->conf->consoles.items[c]);
	if (request->parameters && *request->parameters)
		strbuf_printf(b, " %s", request->parameters);
	strbuf_printf(b, " %s\n", entries[i].append);
}

char *media_syslinux_conf(const struct medium_request *request, enum media_firmware firmware)
{
	struct strbuf b = { 0 };

	if (firmware == MEDIA_BIOS)
		put_serial(&b, request->conf); /* must come first */
	strbuf_printf(&b, "DEFAULT %s\n", first_label(request->conf));
	put_prompt(&b, request->conf);
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		if (offered(i, request->conf))
			put_entry(&b, request, i);
	return b.data;
}

char *media_readme(const struct medium_request *request, uint64_t epoch)
{
	struct strbuf b = { 0 };
	time_t when = (time_t)epoch;
	struct tm tm;
	char date[32] = "?", ram[SIZE_TEXT_MAX];

	if (gmtime_r(&when, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &tm); /* fits */
	strbuf_puts(&b, "LIFEBOAT RESCUE MEDIUM\r\n\r\nMachine  ");
	put_clean(&b, request->hostname);
	strbuf_puts(&b, "\r\nKernel   ");
	put_clean(&b, request->kernel_version ? request->kernel_version : "as on the machine");
	strbuf_printf(&b, "\r\nMade     %s\r\n", date);
	if (request->ram_needed)
		strbuf_printf(&b, "RAM      %s or more\r\n", format_size(request->ram_needed, ram));
	strbuf_puts(&b,
		    "\r\nWhat it is\r\n"
		    "  A small Linux system that brings the machine above back from its backup.\r\n"
		    "  It runs from memory; starting it changes no disk.\r\n"
		    "\r\nHow to use it\r\n"
		    "  1. Start the machine from this medium (BIOS or UEFI, x86-64; Secure Boot off).\r\n"
		    "  2. Wait, or press Enter: the rescue console appears on the screen and on the\r\n"
		    "     serial line.\r\n"
		    "  3. 'Recover' in its menu shows which disk would be written before it asks.\r\n"
		    "     By hand, in its shell:  lifeboat plan TARGET   then   lifeboat recover TARGET\r\n");
	if (request->conf->unattended)
		strbuf_puts(&b,
			    "\r\nCAUTION\r\n"
			    "  This medium recovers BY ITSELF: unless something else is chosen in the\r\n"
			    "  boot menu, it writes to blank disks and to the disks of this machine.\r\n");
	if (request->secret)
		strbuf_puts(&b, "\r\nCAUTION\r\n  This medium holds passwords. Keep it locked away.\r\n");
	return b.data;
}
