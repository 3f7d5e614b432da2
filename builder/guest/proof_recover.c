/* The first guest of a proof: the exact medium, the blank disks and the set. It recovers, and compares what it made; meanwhile, as a rule,
 * the second starts from the same disks. */
#include "guest/proof_run.h"

#include "guest/console.h"
#include "guest/guest.h"
#include "guest/script.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const unsigned boot_seconds = 600; /* of the medium; slow machines without KVM need some minutes */
static const unsigned step_seconds = 60;
static const char recover_phase[] = "recover";
enum {
	key_max = 8 << 20, /* cryptsetup's own limit of a key file */
	variables_max = 16 << 20, /* OVMF's are half a megabyte */
};

/* What its conductor is given. */
struct first_guest {
	struct proof_run *run;
	int second; /* how the other guest, which ran beside it, could be tried */
	struct error why;
};

#define KEY_PLACE "/run/lifeboat-key"
#define IDENTITY_PLACE "/run/lifeboat-identity"

static void fail(struct proof_run *run, const struct guest_live *guest, const char *what, const char *why)
{
	proof_add_reason(run->proof, "%s: %s", what, why);
	proof_screenshot(run, guest, what);
	proof_phase_end(run->proof, true);
}

/* The last line that says something, of what a command said. The caller frees. */
static char *last_words(const char *output)
{
	_cleanup_(strlist) struct strlist lines = { 0 };

	strlist_add_parts(&lines, output, '\n');
	for (size_t i = lines.count; i > 0; i--) {
		char *line = str_strip(lines.items[i - 1]);
		const char *words = str_after(line, "lifeboat: ");

		/* what stands behind a failure is only how to go on */
		if (*line && !strstr(line, "steps are done, the others are not"))
			return str_printable(xstrdup(words ? words : line));
	}
	return xstrdup("it said nothing");
}

/* `*ret_output` may be NULL. A command that fails is a reason, and -ECANCELED. */
static int command(struct proof_run *run, const struct guest_live *guest, const char *what, const char *text,
		   unsigned seconds, char **ret_output, struct error *e)
{
	_cleanup_(free) char *output = NULL;
	int status = 0, r = script_command(guest->console, text, seconds, &output, &status, e);

	if (r < 0)
		return r;
	if (status != 0) {
		_cleanup_(free) char *why = last_words(output);

		fail(run, guest, what, why);
		return error_text(e, ECANCELED, "%s: %s", what, why);
	}
	if (ret_output)
		*ret_output = TAKE_PTR(output);
	return 0;
}

/* Into the guest's memory, by its console, without being shown there: neither a disk nor a log holds it. */
static int type_secret(const struct guest_live *guest, const char *secret, size_t len, const char *place,
		       struct error *e)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	_cleanup_(free) char *take =
		xasprintf("stty -echo; echo KEY''-PLEASE; (umask 077; base64 -d >%s); stty echo\n", place);
	_cleanup_(free) char *check = xasprintf("test $(wc -c <%s) -eq %zu", place, len), *said = NULL;
	_cleanup_(strbuf) struct strbuf text = { 0 };
	int status = 0, r;

	for (size_t i = 0; i < len; i += 3) {
		unsigned char x = (unsigned char)secret[i],
			      y = i + 1 < len ? (unsigned char)secret[i + 1] : 0,
			      z = i + 2 < len ? (unsigned char)secret[i + 2] : 0;
		const char quad[4] = { digits[x >> 2], digits[(x & 3) << 4 | y >> 4],
				       i + 1 < len ? digits[(y & 15) << 2 | z >> 6] : '=',
				       i + 2 < len ? digits[z & 63] : '=' };

		strbuf_add(&text, quad, sizeof(quad));
		if (i / 3 % 16 == 15)
			strbuf_puts(&text, "\n"); /* a terminal's line is not endless */
	}
	strbuf_puts(&text, "\n\004");
	r = console_type(guest->console, take, step_seconds, e);
	if (r == 0)
		r = console_wait(guest->console, (const char *const[]) { "KEY-PLEASE", NULL }, step_seconds,
				 NULL, e);
	if (r == 0)
		r = console_type(guest->console, text.data, step_seconds, e);
	explicit_bzero(text.data, text.len);
	if (r == 0)
		r = script_command(guest->console, check, step_seconds, &said, &status, e);
	if (r == 0 && status != 0)
		r = error_text(e, EIO, "the key did not come to the rescue system whole");
	return r;
}

static int type_secrets(const struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	const struct proof_wanted *w = run->wanted;
	_cleanup_(free) char *key = NULL;
	size_t len = 0;
	int r = w->key_file ? read_file_at(AT_FDCWD, w->key_file, key_max, &key, &len, e) : 0;

	if (r == 0 && key) {
		r = type_secret(guest, key, len, KEY_PLACE, e);
		explicit_bzero(key, len);
	}
	return r == 0 && w->identity ? type_secret(guest, w->identity, strlen(w->identity), IDENTITY_PLACE, e)
				     : r;
}

/* Its console is there before its drivers are. What comes behind the disks, a share that is out of reach here, is not
 * waited for. */
static int wait_for_disks(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	return command(run, guest, "the rescue system's drivers",
		       ". /lib/rescue.sh; until [ -e \"$RUN/settled\" ] || grep -q disks: \"$RUN/news\"; do "
		       "sleep 1; done; dmesg -n 1",
		       boot_seconds, NULL, e);
}

static void add_place(const struct proof_run *run, struct strbuf *b)
{
	const struct proof_wanted *w = run->wanted;

	for (size_t i = 0; i < w->disk_count; i++)
		strbuf_printf(b, " --map %s=%s", w->disks[i].name, run->serials.items[i]);
	for (size_t i = 0; w->left_out && i < w->left_out->count; i++)
		strbuf_printf(b, " --map '%s'", w->left_out->items[i]);
	if (w->key_file)
		strbuf_puts(b, " --key-file " KEY_PLACE);
	if (w->identity)
		strbuf_puts(b, " --identity " IDENTITY_PLACE);
	strbuf_printf(b, " --host '%s' --set '%s' %s", w->host, w->set_name, w->set_url);
}

static int recover(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	proof_phase(run->proof, recover_phase);
	report_info(run->report, "recovering");
	int r = type_secrets(run, guest, e);

	if (r < 0)
		return r;
	strbuf_puts(&text, "lifeboat recover --unattended");
	add_place(run, &text);
	strbuf_puts(&text, " </dev/null");
	r = command(run, guest, "recovery", text.data, run->wanted->recover_timeout, NULL, e);

	if (r == 0)
		proof_screenshot(run, guest, "recovered");
	return r;
}

/* ---- comparing ---- */

/* From the disks, in the rescue system's background: what it prints, what it says, and how it ended, are files there. */
#define COMPARED "/run/lifeboat-compared"

/* All is unmounted and stopped; what is still in its memory goes to the disks, and nothing after that. */
static int freeze(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	_cleanup_(free) char *from = proof_variables(run, false), *to = proof_variables(run, true);
	_cleanup_(free) char *variables = NULL;
	size_t len = 0;
	int r = command(run, guest, "writing to the disks", "sync", run->wanted->recover_timeout, NULL, e);

	if (r == 0)
		r = proof_freeze_disks(run, guest, e);
	if (r == 0 && run->wanted->uefi)
		r = read_file_at(AT_FDCWD, from, variables_max, &variables, &len, e);
	if (r == 0 && run->wanted->uefi)
		r = write_file_at(AT_FDCWD, to, 0600, variables, len, e);
	return r;
}

static int begin_comparison(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	_cleanup_(strbuf) struct strbuf text = { 0 };

	report_info(run->report, "comparing");
	strbuf_puts(&text, "((lifeboat verify --disks --json -q");
	if (run->wanted->share < 1)
		strbuf_printf(&text, " --sample %u --seed %llu", (unsigned)(run->wanted->share * 100 + 0.5),
			      (unsigned long long)run->wanted->seed);
	add_place(run, &text);
	/* what the kernel says meanwhile would stand in between */
	strbuf_puts(&text, " </dev/null >" COMPARED " 2>" COMPARED ".said; echo $? >" COMPARED ".new; "
			   "mv " COMPARED ".new " COMPARED ".status) &); dmesg -n 1");
	return command(run, guest, "comparison", text.data, step_seconds, NULL, e);
}

/* It reads what the recovery wrote: one that takes many times as long does not get on. */
static unsigned comparison_seconds(const struct proof_run *run)
{
	double recovery = 0;

	for (size_t i = 0; i < run->proof->phase_count; i++)
		if (streq(run->proof->phases[i].name, recover_phase))
			recovery = run->proof->phases[i].seconds;
	return boot_seconds + (unsigned)(10 * recovery);
}

static int finish_comparison(struct proof_run *run, const struct guest_live *guest, struct error *e)
{
	_cleanup_(free) char *status = NULL, *found = NULL, *said = NULL;
	unsigned limit = comparison_seconds(run);
	int r = command(run, guest, "comparison",
			"until [ -e " COMPARED ".status ]; do sleep 0.2; done; cat " COMPARED ".status",
			limit, &status, e);

	if (r == -ETIMEDOUT) {
		_cleanup_(free) char *why = xasprintf("it has not ended within %u seconds", limit);

		fail(run, guest, "comparison", why);
		return -ECANCELED;
	}
	if (r == 0)
		r = command(run, guest, "comparison", "cat " COMPARED ".said", step_seconds, &said, e);
	if (r == 0)
		r = command(run, guest, "comparison", "cat " COMPARED, step_seconds, &found, e);
	if (r < 0)
		return r;
	/* 1 is also for differences, which it prints, and for what kept it from comparing */
	if ((streq(str_strip(status), "0") || streq(str_strip(status), "1")) && strchr(found, '{'))
		return proof_take_comparison(run->proof, found, e);
	_cleanup_(free) char *why = last_words(said);

	fail(run, guest, "comparison", why);
	return error_text(e, ECANCELED, "comparison: %s", why);
}

/* In the same rescue system, while the machine starts from the same disks, or before it does. */
static int compare(struct first_guest *g, const struct guest_live *guest, struct error *e)
{
	struct proof_run *run = g->run;
	int r = freeze(run, guest, e);

	if (r < 0)
		return r;
	run->recovered = true;
	proof_phase_end(run->proof, false);

	size_t phase = proof_phase_beside(run->proof, "compare");

	r = begin_comparison(run, guest, e);
	if (r == 0 && run->beside)
		g->second = proof_boot(run, &g->why);
	if (g->second == -EINTR) {
		*e = g->why;
		return g->second;
	}
	if (r == 0)
		r = finish_comparison(run, guest, e);
	proof_phase_close(run->proof, phase, r < 0);
	return r;
}

static int conduct(void *user, const struct guest_live *guest, struct error *e)
{
	struct first_guest *g = user;
	struct proof_run *run = g->run;
	int r = script_rescue_shell(guest->console, boot_seconds, e);

	if (r == 0)
		r = wait_for_disks(run, guest, e);
	if (r == 0) {
		proof_screenshot(run, guest, "the rescue system");
		proof_add_event(run->proof, "the medium has started its rescue system");
		r = recover(run, guest, e);
	}
	if (r == 0)
		r = compare(g, guest, e);
	if (r == -ECANCELED)
		return 0; /* it is a reason by now */
	if (r < 0 && r != -EINTR) { /* a kernel that panics, a console that is silent */
		fail(run, guest, "rescue system", e->text);
		return r == -EPIPE ? r : 0; /* why it ended says whether it could be started at all */
	}
	return r; /* what it wrote since it was frozen is of no use: nothing is left to be ended in order */
}

int proof_recover(struct proof_run *run, struct error *e)
{
	const struct proof_wanted *w = run->wanted;
	_cleanup_(free) char *log = xasprintf("%s/rescue.log", w->logs);
	_cleanup_(free) char *variables = proof_variables(run, false);
	struct first_guest first = { .run = run };
	struct guest_request request = { .medium = w->medium,
					 .medium_is_cd = w->medium_is_cd,
					 .uefi = w->uefi,
					 .variables = w->uefi ? variables : NULL,
					 .accel = w->accel,
					 .memory_mib = w->memory_mib,
					 .log = log,
					 .show_fd = w->show_fd,
					 .network = true,
					 .cut_off = true,
					 .drive = conduct,
					 .user = &first };
	struct error why;

	proof_phase(run->proof, "start the medium");
	report_info(run->report, "starting the medium in a guest");
	for (size_t i = 0; i < w->disk_count; i++)
		strlist_take(&request.disks, proof_disk_option(run, i, true));
	strlist_addf(&request.disks, "%s,if=virtio,serial=PROOF-SET", w->set_image);
	int r = qemu_run(&request, run->report, e);

	strlist_free(&request.disks);
	proof_note_used(run);
	if (r == -EPIPE)
		r = 0; /* a reason by now */
	if (access(log, F_OK) == 0 && proof_add_log(run->proof, log, &why) < 0)
		report_warn(run->report, "%s", why.text);
	if (r < 0 || first.second == 0)
		return r;
	*e = first.why;
	return first.second;
}
