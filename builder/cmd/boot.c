#include "cmd/commands.h"

#include "base/fs.h"
#include "guest/guest.h"
#include "guest/line.h"
#include "guest/script.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	OPTION_MEDIUM = CMD_FIRST_OWN,
	OPTION_AS,
	OPTION_IMAGE,
	OPTION_UEFI,
	OPTION_ACCEL,
	OPTION_DISK,
	OPTION_APPEND,
	OPTION_MEMORY,
	OPTION_UNTIL,
	OPTION_TIMEOUT,
	OPTION_LOG,
	OPTION_NO_NETWORK,
	OPTION_SCRIPT,
	OPTION_CONSOLE,
	OPTION_LINK,
	OPTION_BRIDGE,
};

static const struct guest_kind {
	const char *name;
	int (*run)(const struct guest_request *request, struct report *report, struct error *e);
} kinds[] = {
	{ "qemu", qemu_run }, /* the first is the default */
	{ "uml", uml_run },
};

struct boot {
	struct cmd cmd;
	const struct guest_kind *kind;
	struct guest_request request;
	struct script script;
	const char *image_dir, *medium_as, *script_file;
	char *kernel, *initrd, *append;
};

static void boot_free(struct boot *b)
{
	cmd_free(&b->cmd);
	strlist_free(&b->request.disks);
	strlist_free(&b->request.consoles);
	script_free(&b->script);
	free(b->kernel);
	free(b->initrd);
	free(b->append);
}
DEFINE_CLEANUP(boot, struct boot, boot_free)

static int print_result(struct boot *b, double seconds)
{
	struct guest_request *r = &b->request;

	if (!b->cmd.json) {
		if (b->cmd.report.verbosity > VERBOSITY_QUIET && r->until)
			printf("%s: '%s' after %.1f s\n", b->kind->name, r->until, seconds);
		else if (b->cmd.report.verbosity > VERBOSITY_QUIET)
			printf("%s: ended after %.1f s\n", b->kind->name, seconds);
		return cmd_done(&b->cmd);
	}
	json_t *result = json_pack("{s:s, s:s?, s:f, s:s?}", "guest", b->kind->name, "until", r->until,
				   "seconds", seconds, "log", r->log);
	int failed = json_dumpf(result, stdout, JSON_INDENT(2));
	struct error e;

	json_decref(result);
	if (failed) {
		(void)error_errno(&e, EIO, "write the result as JSON");
		return cmd_failed(&b->cmd, &e);
	}
	printf("\n");
	return cmd_done(&b->cmd);
}

/* What the image itself needs comes first: --append can say otherwise. */
static int add_parameters(struct boot *b, struct error *e)
{
	_cleanup_(free) char *needed = NULL;
	int r = access(b->initrd, F_OK) == 0 ? image_parameters(b->image_dir, &needed, e) : 0;

	if (r < 0 || !needed || !*needed)
		return r;
	b->append = b->request.append ? xasprintf("%s %s", needed, b->request.append) : TAKE_PTR(needed);
	b->request.append = b->append;
	return 0;
}

static int boot(struct boot *b)
{
	struct guest_request *r = &b->request;
	struct timespec begun, ended;
	struct error e;

	if (b->image_dir) {
		r->kernel = b->kernel = xasprintf("%s/vmlinuz", b->image_dir);
		r->initrd = b->initrd = xasprintf("%s/initrd.img", b->image_dir);
		if (add_parameters(b, &e) < 0)
			return cmd_failed(&b->cmd, &e);
	}
	if (b->medium_as)
		r->medium_is_cd = streq(b->medium_as, "cd");
	else if (r->medium && guest_medium_is_cd(r->medium, &r->medium_is_cd, &e) < 0)
		return cmd_failed(&b->cmd, &e);
	if (b->script_file) {
		if (script_load(b->script_file, &b->script, &e) < 0)
			return cmd_failed(&b->cmd, &e);
		r->script = &b->script;
		r->settle = true;
	}
	r->interactive = !r->until && !r->script && isatty(STDIN_FILENO);
	/* The console is what this command is for; with --until or --script only whoever asks sees it. */
	if (!r->until && !r->script && !b->cmd.json)
		r->show_fd = STDOUT_FILENO;
	else if (b->cmd.report.verbosity == VERBOSITY_VERBOSE)
		r->show_fd = STDERR_FILENO;
	(void)clock_gettime(CLOCK_MONOTONIC, &begun); /* cannot fail with a valid clock */
	if (b->kind->run(r, &b->cmd.report, &e) < 0)
		return cmd_failed(&b->cmd, &e);
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	if (r->show_fd == STDERR_FILENO)
		(void)fputc('\n', stderr); /* the text need not end its line */
	return print_result(b, (double)(ended.tv_sec - begun.tv_sec) +
				       (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
}

static int parse_number(const struct boot *b, const char *option, unsigned *ret)
{
	uint64_t value;

	if (parse_u64(optarg, &value) < 0 || value == 0 || value > INT_MAX)
		return cmd_usage(&b->cmd, "bad %s '%s'; expected a number above 0", option, optarg);
	*ret = (unsigned)value;
	return EXIT_DONE;
}

/* True: one of our own options. `*ret_exit` is not EXIT_DONE when its value is bad. */
static bool own_option(struct boot *b, int option, int *ret_exit)
{
	struct guest_request *r = &b->request;

	*ret_exit = EXIT_DONE;
	switch (option) {
	case OPTION_MEDIUM:
		r->medium = optarg;
		return true;
	case OPTION_AS:
		b->medium_as = optarg;
		return true;
	case OPTION_IMAGE:
		b->image_dir = optarg;
		return true;
	case OPTION_UEFI:
		r->uefi = true;
		return true;
	case OPTION_ACCEL:
		r->accel = optarg;
		return true;
	case OPTION_DISK:
		strlist_add(&r->disks, optarg);
		return true;
	case OPTION_APPEND:
		r->append = optarg;
		return true;
	case OPTION_MEMORY:
		*ret_exit = parse_number(b, "--memory", &r->memory_mib);
		return true;
	case OPTION_UNTIL:
		r->until = optarg;
		return true;
	case OPTION_TIMEOUT:
		*ret_exit = parse_number(b, "--timeout", &r->timeout);
		return true;
	case OPTION_LOG:
		r->log = optarg;
		return true;
	case OPTION_NO_NETWORK:
		r->network = false;
		return true;
	case OPTION_SCRIPT:
		b->script_file = optarg;
		return true;
	case OPTION_CONSOLE:
		strlist_add(&r->consoles, optarg);
		if (!line_kind_good(optarg))
			*ret_exit =
				cmd_usage(&b->cmd, "bad --console '%s'; expected pty or port:NUMBER", optarg);
		return true;
	case OPTION_LINK:
		r->link = optarg;
		return true;
	case OPTION_BRIDGE:
		r->bridge = optarg;
		r->network = false;
		return true;
	default:
		return false;
	}
}

static int find_kind(struct boot *b, int argc, char *argv[])
{
	b->kind = &kinds[0];
	if (optind == argc)
		return EXIT_DONE;
	if (optind + 1 < argc)
		return cmd_usage(&b->cmd, "unexpected argument '%s'", argv[optind + 1]);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (streq(argv[optind], kinds[i].name)) {
			b->kind = &kinds[i];
			return EXIT_DONE;
		}
	return cmd_usage(&b->cmd, "unknown guest '%s'; expected qemu or uml", argv[optind]);
}

static int check_usage(const struct boot *b)
{
	const struct guest_request *r = &b->request;

	if (r->medium && b->image_dir)
		return cmd_usage(&b->cmd, "--medium and --image exclude each other");
	if (!r->medium && !b->image_dir && !r->disks.count)
		return cmd_usage(&b->cmd,
				 "what to boot? --medium FILE, --image DIR or --disk FILE is missing");
	if (r->append && !b->image_dir && (r->medium || b->kind == &kinds[0]))
		return cmd_usage(&b->cmd, "--append needs --image: a medium has its own kernel command line");
	if (b->script_file && r->until)
		return cmd_usage(&b->cmd, "--script and --until exclude each other");
	if (r->consoles.count && b->kind == &kinds[0])
		return cmd_usage(&b->cmd, "--console is for uml");
	if (r->bridge && b->kind != &kinds[0])
		return cmd_usage(&b->cmd, "--bridge is for qemu");
	if (b->medium_as && (!r->medium || (!streq(b->medium_as, "usb") && !streq(b->medium_as, "cd"))))
		return cmd_usage(&b->cmd, "bad --as '%s'; expected usb or cd, with --medium", b->medium_as);
	if (r->accel && !streq(r->accel, "tcg") && !streq(r->accel, "kvm"))
		return cmd_usage(&b->cmd, "unknown --accel '%s'; expected tcg or kvm", r->accel);
	if (r->accel && b->kind != &kinds[0])
		return cmd_usage(&b->cmd, "--accel is for qemu");
	if (r->until && !*r->until)
		return cmd_usage(&b->cmd, "--until needs a text");
	return EXIT_DONE;
}

int cmd_boot(int argc, char *argv[])
{
	static const struct option options[] = { { "medium", required_argument, NULL, OPTION_MEDIUM },
						 { "as", required_argument, NULL, OPTION_AS },
						 { "image", required_argument, NULL, OPTION_IMAGE },
						 { "uefi", no_argument, NULL, OPTION_UEFI },
						 { "accel", required_argument, NULL, OPTION_ACCEL },
						 { "disk", required_argument, NULL, OPTION_DISK },
						 { "append", required_argument, NULL, OPTION_APPEND },
						 { "memory", required_argument, NULL, OPTION_MEMORY },
						 { "until", required_argument, NULL, OPTION_UNTIL },
						 { "timeout", required_argument, NULL, OPTION_TIMEOUT },
						 { "log", required_argument, NULL, OPTION_LOG },
						 { "no-network", no_argument, NULL, OPTION_NO_NETWORK },
						 { "script", required_argument, NULL, OPTION_SCRIPT },
						 { "console", required_argument, NULL, OPTION_CONSOLE },
						 { "link", required_argument, NULL, OPTION_LINK },
						 { "bridge", required_argument, NULL, OPTION_BRIDGE },
						 CMD_OPTIONS_LONG };
	_cleanup_(boot) struct boot b = { .request.network = true };
	int option, exit_code;

	cmd_begin(&b.cmd, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1) {
		if (!own_option(&b, option, &exit_code) && !cmd_option(&b.cmd, option, &exit_code))
			return exit_code;
		if (exit_code != EXIT_DONE)
			return exit_code;
	}
	exit_code = find_kind(&b, argc, argv);
	if (exit_code == EXIT_DONE)
		exit_code = check_usage(&b);
	return exit_code == EXIT_DONE ? boot(&b) : exit_code;
}
