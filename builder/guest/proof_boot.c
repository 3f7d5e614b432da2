/* The second guest of a proof: the recovered disks, without the medium. It has to come up. */
#include "guest/proof_run.h"

#include "guest/console.h"
#include "guest/guest.h"
#include "guest/qmp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const unsigned default_seconds = 600;
static const unsigned default_mib = 1024;
static const unsigned look_seconds = 1; /* between two looks */

struct boot {
	struct proof_run *run;
	const struct guest_live *guest;
	struct strlist host_ports; /* of each port that must answer */
	unsigned char *seen_ready, *seen_port; /* of each of them */
	struct proof_asked asked;
};

/* A port of the loopback that nobody listens on now. */
static int free_port(unsigned *ret, struct error *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	_cleanup_(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return error_errno(e, errno, "find a free port on the loopback");
	*ret = ntohs(a.sin_port);
	return 0;
}

/* Does a service answer there? qemu takes the connection itself, whatever the guest is doing, and closes it when nobody there wants
 * it: something has to be said, or the guest itself to have taken it. */
static bool answers(const struct guest_live *guest, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 2 };
	_cleanup_(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t number = 0;
	struct error ignored; /* then it is not known to answer */
	char byte;

	(void)parse_u64(port, &number); /* free_port()'s own */
	a.sin_port = htons((uint16_t)number);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return false;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return qmp_established(guest->monitor, (unsigned)number, &ignored) == 1;
	return n > 0;
}

static bool has_login(const char *text)
{
	return strstr(text, " login: ") != NULL;
}

static bool is_ready(const struct boot *b)
{
	const struct proof_wanted *w = b->run->wanted;
	size_t texts = w->ready->count ? w->ready->count : 1;

	for (size_t i = 0; i < texts; i++)
		if (!b->seen_ready[i])
			return false;
	for (size_t i = 0; i < w->ports->count; i++)
		if (!b->seen_port[i])
			return false;
	return true;
}

static void see(struct boot *b, size_t i, const char *where)
{
	const struct strlist *ready = b->run->wanted->ready;

	if (b->seen_ready[i])
		return;
	b->seen_ready[i] = 1;
	proof_add_event(b->run->proof, "%s %s", ready->count ? ready->items[i] : "a login is offered", where);
}

static void look_at_text(struct boot *b, const char *text, const char *where)
{
	const struct strlist *ready = b->run->wanted->ready;

	for (size_t i = 0; i < ready->count; i++)
		if (strstr(text, ready->items[i]))
			see(b, i, where);
	if (!ready->count && has_login(text))
		see(b, 0, where);
}

static void look_at_ports(struct boot *b)
{
	const struct strlist *ports = b->run->wanted->ports;

	for (size_t i = 0; i < ports->count; i++)
		if (!b->seen_port[i] && answers(b->guest, b->host_ports.items[i])) {
			b->seen_port[i] = 1;
			proof_add_event(b->run->proof, "port %s answers", ports->items[i]);
		}
}

/* All that the console has said so far; nothing of it is consumed by whoever waits for a text that never comes. */
static const char *said(const struct boot *b)
{
	return b->guest->console->said.data ? b->guest->console->said.data : "";
}

static void add_checks(struct boot *b)
{
	const struct proof_wanted *w = b->run->wanted;

	for (size_t i = 0; i < (w->ready->count ? w->ready->count : 1); i++) {
		_cleanup_(free) char *name = w->ready->count
						     ? xasprintf("console shows '%s'", w->ready->items[i])
						     : xstrdup("a login is offered");

		proof_add_check(b->run->proof, name, b->seen_ready[i], NULL);
	}
	for (size_t i = 0; i < w->ports->count; i++) {
		_cleanup_(free) char *name = xasprintf("port %s answers", w->ports->items[i]);

		proof_add_check(b->run->proof, name, b->seen_port[i], NULL);
	}
}

static int gave_up(struct boot *b, const char *screen, const char *why)
{
	_cleanup_(strlist) struct strlist lines = { 0 };

	strlist_add_parts(&lines, screen, '\n');
	for (size_t i = lines.count; i > 0; i--) {
		const char *line = str_strip(lines.items[i - 1]);

		if (*line) {
			proof_add_event(b->run->proof, "the screen's last line: %s", line);
			break;
		}
	}
	proof_add_reason(b->run->proof, "the recovered machine did not come up from its disks: %s", why);
	proof_screenshot(b->run, b->guest, "the recovered machine, which did not come up");
	add_checks(b);
	proof_phase_end(b->run->proof, true);
	return 0;
}

static int let_it_talk(const struct boot *b, struct error *e)
{
	static const char *const never[] = { "\177\177never", NULL };
	int r = console_wait(b->guest->console, never, look_seconds, NULL, e);

	return r == -ETIMEDOUT ? 0 : r;
}

/* Why it will not come up. The caller frees; NULL: nothing speaks against it. */
static char *find_symptom(const struct boot *b, const char *screen, bool ended)
{
	char *why = proof_symptom(said(b), screen);

	return why || !ended ? why : xstrdup("it has ended by itself");
}

/* Told, and no verdict: it may be so on the machine itself, or be for what a guest has not, as a network. */
static void note_failed(const struct boot *b, const char *text)
{
	struct strlist *failed = &b->run->failed;
	size_t before = failed->count;

	proof_failed_units(text, failed);
	for (size_t i = before; i < failed->count; i++)
		proof_add_event(b->run->proof, "%s", failed->items[i]);
}

/* One look: 1 it is ready, 0 not yet, -ECANCELED it will not be. */
static int look(struct boot *b, struct error *e)
{
	int r = let_it_talk(b, e);
	bool ended = r == -EPIPE;

	if (r < 0 && !ended)
		return r;
	_cleanup_(free) char *screen = ended ? xstrdup("") : proof_screen_text(b->run, b->guest);
	_cleanup_(free) char *why = find_symptom(b, screen, ended);

	if (why && !ended && let_it_talk(b, e) == 0) { /* it may not have said all of it */
		free(why);
		free(screen);
		screen = proof_screen_text(b->run, b->guest);
		why = find_symptom(b, screen, false);
	}
	note_failed(b, said(b));
	note_failed(b, screen);
	r = why ? 0 : proof_unlock(b->run, b->guest, said(b), screen, &b->asked, e);
	if (r == -EINTR)
		return r;
	if (r < 0)
		why = xstrdup(e->text);
	if (why) {
		(void)gave_up(b, screen, why);
		return -ECANCELED;
	}
	look_at_text(b, said(b), "(serial console)");
	look_at_text(b, screen, "(screen)");
	look_at_ports(b);
	return is_ready(b) ? 1 : 0;
}

/* SeaBIOS starts whatever ends in the boot signature, which each partition table does: where no loader is in front of it,
 * nothing comes any more. */
static bool shows_firmware_only(const struct boot *b, const char *screen)
{
	_cleanup_(strlist) struct strlist lines = { 0 };

	if (*said(b))
		return false;
	strlist_add_parts(&lines, screen, '\n');
	for (size_t i = lines.count; i > 0; i--) {
		const char *line = str_strip(lines.items[i - 1]);

		if (*line)
			return str_after(line, "Booting from ") != NULL;
	}
	return false;
}

static int conduct(void *user, const struct guest_live *guest, struct error *e)
{
	struct boot *b = user;
	struct proof *p = b->run->proof;
	unsigned limit = b->run->wanted->timeout ? b->run->wanted->timeout : default_seconds;
	double begun = proof_now(p);
	int r = 0;

	b->guest = guest;
	while (r == 0 && proof_now(p) - begun < limit)
		r = look(b, e);
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return r;
	if (r == 0) {
		_cleanup_(free) char *screen = proof_screen_text(b->run, guest);
		_cleanup_(free) char *why =
			xasprintf("it was not ready within %u seconds%s", limit,
				  shows_firmware_only(b, screen)
					  ? ": the firmware found no boot loader that works on its disks"
					  : "");

		return gave_up(b, screen, why);
	}
	add_checks(b);
	proof_screenshot(b->run, guest, "the recovered machine is ready");
	proof_phase_end(p, false);
	return 0;
}

static int make_forwards(struct boot *b, struct strlist *ret, struct error *e)
{
	const struct strlist *ports = b->run->wanted->ports;
	int r = 0;

	for (size_t i = 0; i < ports->count && r == 0; i++) {
		unsigned port = 0;

		r = free_port(&port, e);
		strlist_addf(&b->host_ports, "%u", port);
		strlist_addf(ret, "%u:%s", port, ports->items[i]);
	}
	return r;
}

unsigned proof_machine_mib(const struct proof_wanted *wanted)
{
	return wanted->memory_mib ? wanted->memory_mib : default_mib;
}

int proof_boot(struct proof_run *run, struct error *e)
{
	const struct proof_wanted *w = run->wanted;
	_cleanup_(free) char *log = xasprintf("%s/machine.log", w->logs);
	_cleanup_(free) char *variables = proof_variables(run, true);
	_cleanup_(free) unsigned char *seen_ready = xcalloc(w->ready->count + 1, 1);
	_cleanup_(free) unsigned char *seen_port = xcalloc(w->ports->count + 1, 1);
	struct boot b = { .run = run, .seen_ready = seen_ready, .seen_port = seen_port };
	struct guest_request request = { .uefi = w->uefi,
					 .variables = w->uefi ? variables : NULL,
					 .accel = w->accel,
					 .memory_mib = proof_machine_mib(w),
					 .log = log,
					 .show_fd = w->show_fd,
					 .network = true,
					 .cut_off = true,
					 .text_screen = !w->uefi,
					 .drive = conduct,
					 .user = &b };
	struct error why;

	if (!run->recovered || run->booted)
		return 0;
	run->booted = true;
	proof_phase(run->proof, "boot the recovered disks");
	report_info(run->report, "starting the recovered machine from its disks alone");
	/* what it writes is thrown away: the disks stay what was compared */
	for (size_t i = 0; i < w->disk_count; i++)
		strlist_take(&request.disks, proof_disk_option(run, i, false));
	int r = make_forwards(&b, &request.forwards, e);

	if (r == 0)
		r = qemu_run(&request, run->report, e);
	proof_note_used(run);
	strlist_free(&request.disks);
	strlist_free(&request.forwards);
	strlist_free(&b.host_ports);
	proof_asked_free(&b.asked);
	if (access(log, F_OK) == 0 && proof_add_log(run->proof, log, &why) < 0)
		report_warn(run->report, "%s", why.text);
	return r;
}
