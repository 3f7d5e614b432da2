/* lifeboat prove: the exact medium, blank disks and this set; does the machine come back? */
#include "cmd/commands.h"

#include "backup/set.h"
#include "base/fs.h"
#include "cmd/identity.h"
#include "cmd/prove_set.h"
#include "cmd/record.h"
#include "cmd/target_arg.h"
#include "guest/guest.h"
#include "guest/proof_run.h"
#include "machine/machine_conf.h"
#include "machine/without.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	OPTION_MEDIUM = CMD_FIRST_OWN,
	OPTION_HOST,
	OPTION_OUTPUT,
	OPTION_KEY_FILE,
	OPTION_IDENTITY,
	OPTION_MAP,
	OPTION_QUICK,
	OPTION_SEED,
	OPTION_READY,
	OPTION_PORT,
	OPTION_TIMEOUT,
	OPTION_MEMORY,
	OPTION_ACCEL,
	OPTION_IN_TURN,
};

static const double quick_share = 0.1;
static const size_t identity_max = 1 << 20;

struct prove {
	struct cmd cmd;
	struct recovery_conf conf;
	struct target target;
	struct set *set;
	struct identity identity;
	char *identity_text; /* what it holds; NULL: there is none, or the set needs none */
	struct prove_set copy;
	struct machine machine;
	struct proof proof;
	struct proof_run run;
	struct proof_wanted wanted;
	struct strlist ready, ports, map;
	struct proof_disk_wanted *disks;
	const char *url, *host, *set_name, *medium, *output;
	char *recorded_medium, *folder; /* where the proof goes */
	bool seed_given;
};
#define PROVE_NONE                                                                  \
	{                                                                           \
		.target = { .dirfd = -1 }, .identity = IDENTITY_NONE,               \
		.run = { .temp = TEMPDIR_NONE, .keeper = KEEPER_NONE }, .wanted = { \
			.share = 1                                                  \
		}                                                                   \
	}

static void prove_free(struct prove *p)
{
	proof_run_end(&p->run);
	proof_free(&p->proof);
	machine_free(&p->machine);
	prove_set_free(&p->copy);
	set_close(p->set);
	identity_free(&p->identity);
	if (p->identity_text)
		explicit_bzero(p->identity_text, strlen(p->identity_text));
	free(p->identity_text);
	target_close(&p->target);
	recovery_conf_free(&p->conf);
	strlist_free(&p->ready);
	strlist_free(&p->ports);
	strlist_free(&p->map);
	free(p->disks);
	free(p->recorded_medium);
	free(p->folder);
	cmd_free(&p->cmd);
}
DEFINE_CLEANUP(prove, struct prove, prove_free)

/* ---- what is proven ---- */

/* What is left out is no disk of the proof. */
static int leave_out(struct prove *p, struct error *e)
{
	_cleanup_(strlist) struct strlist told = { 0 };
	int r = machine_leave_out(&p->machine, &p->map, &told, e);

	for (size_t i = 0; i < told.count; i++) {
		report_info(&p->cmd.report, "%s", told.items[i]);
		proof_add_event(&p->proof, "%s", told.items[i]);
	}
	return r;
}

/* The guest gets what was tried here. Without one, the medium has to carry it. */
static int open_identity(struct prove *p, struct error *e)
{
	const struct age_key *key = NULL;
	int r;

	identity_configure(&p->identity, &p->conf);
	if (!set_encrypted(p->set) || !p->identity.path)
		return 0;
	r = identity_give(&p->identity, p->set, false, &p->cmd.report, e);
	if (r == 0)
		r = identity_read(&p->identity, &key, e);
	if (r < 0 || !key)
		return r;
	if (lseek(key->fd, 0, SEEK_SET) < 0)
		return error_errno(e, errno, "read %s", key->shown);
	r = read_file_fd(key->fd, key->shown, identity_max, &p->identity_text, NULL, e);
	p->wanted.identity = p->identity_text;
	return r;
}

static int open_set(struct prove *p, struct error *e)
{
	_cleanup_(free) char *text = NULL;
	int r = recovery_conf_load(p->cmd.conf_path, &p->conf, e);

	if (r == 0)
		r = cmd_target_open(&p->cmd, &p->conf, p->url, TARGET_READ, &p->target, e);
	if (r == 0)
		r = set_open(&p->target, p->host, p->set_name, &p->set, &p->cmd.report, e);
	if (r == 0)
		r = open_identity(p, e);
	if (r == 0)
		r = set_machine_conf(p->set, &text, &p->cmd.report, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *shown = xasprintf("%s/machine.conf", set_shown(p->set));

	r = machine_conf_parse(shown, text, &p->machine, e);
	if (r == 0)
		r = leave_out(p, e);
	if (r == 0)
		r = prove_set_measure(&p->target, p->set, &p->copy, e);
	if (r < 0)
		return r;
	p->proof.set.target = xstrdup(p->target.shown);
	p->proof.set.name = xstrdup(set_shown(p->set));
	p->proof.set.bytes = p->copy.bytes;
	memcpy(p->proof.set.sha256, p->copy.sha256, sizeof(p->proof.set.sha256));
	p->proof.machine.host = xstrdup(p->machine.hostname ? p->machine.hostname : "?");
	p->proof.machine.firmware = xstrdup(p->machine.firmware == FIRMWARE_UEFI ? "uefi" : "bios");
	return 0;
}

static int find_medium(struct prove *p, struct error *e)
{
	_cleanup_(record) struct record record = { 0 };
	int r = p->medium ? 0 : record_load(&record, e);

	if (r < 0) {
		error_prefix(e, "which medium? --medium names it");
		return r;
	}
	if (!p->medium)
		p->medium = p->recorded_medium = TAKE_PTR(record.medium);
	return guest_medium_is_cd(p->medium, &p->wanted.medium_is_cd, e);
}

/* All of it: the exact medium. */
static int hash_medium(struct prove *p, struct error *e)
{
	_cleanup_(fd) int fd = open(p->medium, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_errno(e, errno, "open the medium %s", p->medium);
	report_info(&p->cmd.report, "reading the medium %s", p->medium);
	p->proof.medium.path = xstrdup(p->medium);
	return digest_fd(fd, p->medium, p->proof.medium.sha256, &p->proof.medium.bytes, e);
}

static uint64_t used_on(const struct machine *m, const struct device *disk)
{
	uint64_t used = 0;

	/* what lies on several disks counts for each: no disk gets more than all of it */
	for (size_t i = 0; i < m->count; i++)
		if (device_lies_on(m->devices[i], disk))
			used += m->devices[i]->content.used;
	return used < disk->size ? used : disk->size;
}

static void want_disks(struct prove *p)
{
	const struct machine *m = &p->machine;
	size_t count = 0;

	p->disks = xcalloc(m->count + 1, sizeof(*p->disks));
	for (size_t i = 0; i < m->count; i++) {
		const struct device *d = m->devices[i];

		if (d->kind == DEVICE_DISK)
			p->disks[count++] = (struct proof_disk_wanted) { .name = d->name,
									 .bus = d->identity.bus,
									 .serial = d->identity.serial,
									 .bytes = d->size,
									 .used = used_on(m, d),
									 .sector_size = d->sector_size };
	}
	p->wanted.disks = p->disks;
	p->wanted.disk_count = count;
}

static bool is_encrypted(const struct machine *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->devices[i]->kind == DEVICE_CRYPT)
			return true;
	return false;
}

/* What would only turn out after an hour. */
static int check_wanted(const struct prove *p, struct error *e)
{
	if (is_encrypted(&p->machine) && !p->wanted.key_file)
		return error_text(
			e, ENOKEY,
			"%s is encrypted, and nobody is there to type its passphrase: --key-file names a "
			"file with it",
			p->proof.machine.host);
	if (p->wanted.key_file && access(p->wanted.key_file, R_OK) < 0)
		return error_errno(e, errno, "read the key file %s", p->wanted.key_file);
	if (p->machine.arch && !streq(p->machine.arch, "x86_64"))
		return error_text(e, EOPNOTSUPP, "%s is %s: only x86_64 machines can be proven here",
				  p->proof.machine.host, p->machine.arch);
	return 0;
}

static void settle_wanted(struct prove *p)
{
	struct proof_wanted *w = &p->wanted;

	if (!p->ready.count && p->conf.prove_ready)
		strlist_add(&p->ready, p->conf.prove_ready);
	for (size_t i = 0; !p->ports.count && i < p->conf.prove_ports.count; i++)
		strlist_add(&p->ports, p->conf.prove_ports.items[i]);
	if (!w->timeout)
		w->timeout = p->conf.prove_timeout;
	if (w->share < 1 && !p->seed_given && getrandom(&w->seed, 4, 0) != 4)
		w->seed = (uint64_t)time(NULL);
	w->medium = p->medium;
	w->uefi = p->machine.firmware == FIRMWARE_UEFI;
	w->ready = &p->ready;
	w->ports = &p->ports;
	w->logs = p->folder;
	w->show_fd = p->cmd.report.verbosity == VERBOSITY_VERBOSE ? STDERR_FILENO : 0;
	w->set_image = p->copy.image;
	w->set_url = p->copy.url;
	w->left_out = &p->map;
	p->proof.sampled = w->share < 1;
	p->proof.share = w->share;
	p->proof.seed = w->seed;
}

/* ---- where it goes ---- */

static int make_folder(struct prove *p, struct error *e)
{
	char stamp[32];
	struct tm tm;

	if (p->output) {
		p->folder = xstrdup(p->output);
	} else if (!gmtime_r(&p->proof.created, &tm) ||
		   !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm)) {
		return error_text(e, EINVAL, "read the clock: out of range");
	} else {
		p->folder = xasprintf("%s/proofs/%s", record_folder(), stamp);
	}
	return mkdir_parents_at(AT_FDCWD, p->folder, 0700, e);
}

static int write_proof(struct prove *p, struct error *e)
{
	_cleanup_(free) char *json = xasprintf("%s/proof.json", p->folder);
	_cleanup_(free) char *html = xasprintf("%s/proof.html", p->folder);
	int r = proof_write_html(&p->proof, html, e);

	return r < 0 ? r : proof_write_json(&p->proof, json, e);
}

/* ---- the proof ---- */

static int prepare(struct prove *p, struct error *e)
{
	int r = open_set(p, e);

	if (r == 0)
		r = check_wanted(p, e);
	if (r == 0)
		r = find_medium(p, e);
	if (r == 0)
		r = hash_medium(p, e);
	if (r == 0)
		r = make_folder(p, e);
	if (r < 0)
		return r;
	want_disks(p);
	settle_wanted(p);
	r = proof_run_begin(&p->run, &p->wanted, &p->proof, &p->cmd.report, e);
	if (r == 0)
		r = proof_check_resources(&p->run, p->disks, p->wanted.disk_count, p->copy.bytes,
					  p->proof.medium.bytes, e);
	if (r == 0)
		r = proof_make_disks(&p->run, e);
	if (r < 0)
		return r;
	report_info(&p->cmd.report, "copying %s for the guest", set_shown(p->set));
	r = prove_set_make(&p->target, p->set, p->run.temp.path, &p->copy, e);
	settle_wanted(p);
	return r;
}

static int try(struct prove *p, struct error *e)
{
	const char *shown = set_shown(p->set), *slash = strrchr(shown, '/');
	_cleanup_(free) char *host = xstrndup(shown, (size_t)(slash - shown));

	p->wanted.host = host;
	p->wanted.set_name = slash + 1;
	int r = proof_recover(&p->run, e);

	if (r == 0)
		r = proof_boot(&p->run, e);
	proof_check_frozen(&p->run);
	p->wanted.host = NULL;
	return r;
}

static const char *verdict_words(const struct proof *p)
{
	return p->verdict == PROOF_PROVEN ? "proven" : p->verdict == PROOF_SAMPLE ? "sample" : "failed";
}

static int print_result(struct prove *p)
{
	const struct proof *proof = &p->proof;
	_cleanup_(strbuf) struct strbuf json = { 0 };
	struct error e;

	if (p->cmd.json) {
		if (proof_format_json(proof, &json, &e) < 0)
			return cmd_failed(&p->cmd, &e);
		printf("%s", json.data); /* with its newline */
		return cmd_done(&p->cmd);
	}
	for (size_t i = 0; i < proof->reasons.count; i++)
		printf("%s\n", proof->reasons.items[i]);
	for (size_t i = 0; i < p->run.failed.count; i++)
		printf("note: the recovered machine's console says: %s\n", p->run.failed.items[i]);
	if (proof->verdict == PROOF_PROVEN)
		printf("proven: %s with %s brought %s back in %.0f s; every file is equal, and it started\n",
		       p->medium, proof->set.name, proof->machine.host, proof->seconds);
	else if (proof->verdict == PROOF_SAMPLE)
		printf("sample: %s with %s brought %s back in %.0f s, and it started; the content of %.0f %% "
		       "of its "
		       "files was compared (seed %" PRIu64 ")\n",
		       p->medium, proof->set.name, proof->machine.host, proof->seconds, proof->share * 100,
		       proof->seed);
	else
		printf("NOT proven: %s with %s\n", p->medium, proof->set.name);
	printf("%s/proof.html\n", p->folder);
	return cmd_done(&p->cmd);
}

static int prove(struct prove *p)
{
	struct error e;
	int r;

	proof_begin(&p->proof);
	proof_phase(&p->proof, "prepare");
	r = prepare(p, &e);
	if (r == 0)
		r = try(p, &e);
	if (r < 0)
		return cmd_failed(&p->cmd, &e); /* it was not tried: there is nothing to record */
	proof_conclude(&p->proof);
	if (write_proof(p, &e) < 0)
		return cmd_failed(&p->cmd, &e);
	report_debug(&p->cmd.report, "verdict: %s", verdict_words(&p->proof));
	int exit_code = print_result(p);

	/* a sample is what was asked for, and says that it is one */
	return exit_code == EXIT_DONE && p->proof.verdict == PROOF_FAILED ? EXIT_FAILED : exit_code;
}

/* ---- options ---- */

static int parse_number(const struct prove *p, const char *option, unsigned *ret)
{
	uint64_t value;

	if (parse_u64(optarg, &value) < 0 || value == 0 || value > INT_MAX)
		return cmd_usage(&p->cmd, "bad %s '%s'; expected a number above 0", option, optarg);
	*ret = (unsigned)value;
	return EXIT_DONE;
}

/* --quick, --quick=5% */
static int parse_quick(struct prove *p)
{
	_cleanup_(free) char *number = optarg ? xstrdup(optarg) : NULL;
	size_t len = number ? strlen(number) : 0;
	uint64_t percent;

	p->wanted.share = quick_share;
	if (!number)
		return EXIT_DONE;
	if (len && number[len - 1] == '%')
		number[len - 1] = '\0';
	if (parse_u64(number, &percent) < 0 || percent < 1 || percent > 99)
		return cmd_usage(&p->cmd, "bad --quick '%s'; expected a percentage from 1 to 99", optarg);
	p->wanted.share = (double)percent / 100;
	return EXIT_DONE;
}

static int parse_port(struct prove *p)
{
	uint64_t n;

	if (parse_u64(optarg, &n) < 0 || n < 1 || n > 65535)
		return cmd_usage(&p->cmd, "bad --port '%s'; expected a number from 1 to 65535", optarg);
	strlist_add(&p->ports, optarg);
	return EXIT_DONE;
}

/* Each other disk's place is a blank one's. */
static int parse_map(struct prove *p)
{
	if (!map_leaves_out(optarg))
		return cmd_usage(&p->cmd, "bad --map '%s'; expected OLD=none", optarg);
	strlist_add(&p->map, optarg);
	return EXIT_DONE;
}

static int parse_seed(struct prove *p)
{
	p->seed_given = true;
	if (parse_u64(optarg, &p->wanted.seed) < 0)
		return cmd_usage(&p->cmd, "bad --seed '%s'; expected a number", optarg);
	return EXIT_DONE;
}

/* True: one of our own options. `*ret_exit` is not EXIT_DONE when its value is bad. */
static bool own_option(struct prove *p, int option, int *ret_exit)
{
	*ret_exit = EXIT_DONE;
	switch (option) {
	case OPTION_MEDIUM:
		p->medium = optarg;
		return true;
	case OPTION_HOST:
		p->host = optarg;
		return true;
	case OPTION_OUTPUT:
		p->output = optarg;
		return true;
	case OPTION_KEY_FILE:
		p->wanted.key_file = optarg;
		return true;
	case OPTION_IDENTITY:
		p->identity.path = optarg;
		return true;
	case OPTION_MAP:
		*ret_exit = parse_map(p);
		return true;
	case OPTION_QUICK:
		*ret_exit = parse_quick(p);
		return true;
	case OPTION_SEED:
		*ret_exit = parse_seed(p);
		return true;
	case OPTION_READY:
		strlist_add(&p->ready, optarg);
		return true;
	case OPTION_PORT:
		*ret_exit = parse_port(p);
		return true;
	case OPTION_TIMEOUT:
		*ret_exit = parse_number(p, "--timeout", &p->wanted.timeout);
		return true;
	case OPTION_MEMORY:
		*ret_exit = parse_number(p, "--memory", &p->wanted.memory_mib);
		return true;
	case OPTION_ACCEL:
		p->wanted.accel = optarg;
		return true;
	case OPTION_IN_TURN:
		p->wanted.in_turn = true;
		return true;
	default:
		return false;
	}
}

int cmd_prove(int argc, char *argv[])
{
	static const struct option options[] = { { "medium", required_argument, NULL, OPTION_MEDIUM },
						 { "host", required_argument, NULL, OPTION_HOST },
						 { "output", required_argument, NULL, OPTION_OUTPUT },
						 { "key-file", required_argument, NULL, OPTION_KEY_FILE },
						 { "identity", required_argument, NULL, OPTION_IDENTITY },
						 { "map", required_argument, NULL, OPTION_MAP },
						 { "quick", optional_argument, NULL, OPTION_QUICK },
						 { "seed", required_argument, NULL, OPTION_SEED },
						 { "ready", required_argument, NULL, OPTION_READY },
						 { "port", required_argument, NULL, OPTION_PORT },
						 { "timeout", required_argument, NULL, OPTION_TIMEOUT },
						 { "memory", required_argument, NULL, OPTION_MEMORY },
						 { "accel", required_argument, NULL, OPTION_ACCEL },
						 { "in-turn", no_argument, NULL, OPTION_IN_TURN },
						 CMD_OPTIONS_LONG };
	_cleanup_(prove) struct prove p = PROVE_NONE;
	int option, exit_code;

	cmd_begin(&p.cmd, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1) {
		if (!own_option(&p, option, &exit_code) && !cmd_option(&p.cmd, option, &exit_code))
			return exit_code;
		if (exit_code != EXIT_DONE)
			return exit_code;
	}
	if (argc - optind > 2)
		return cmd_usage(&p.cmd, "unexpected argument '%s'", argv[optind + 2]);
	if (p.wanted.accel && !streq(p.wanted.accel, "tcg") && !streq(p.wanted.accel, "kvm"))
		return cmd_usage(&p.cmd, "unknown --accel '%s'; expected tcg or kvm", p.wanted.accel);
	if (p.seed_given && p.wanted.share == 1)
		return cmd_usage(&p.cmd, "--seed needs --quick");
	p.url = optind < argc ? argv[optind] : NULL;
	p.set_name = optind + 1 < argc ? argv[optind + 1] : NULL;
	return prove(&p);
}
