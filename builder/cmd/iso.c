#include "cmd/commands.h"
#include "cmd/medium.h"
#include "cmd/record.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPTION_IMAGE = CMD_FIRST_OWN };

static int make_iso(struct cmd *c, const char *image_dir, const char *kernel, const char *goal,
		    struct error *e)
{
	_cleanup_(medium) struct medium m = { .temp = TEMPDIR_NONE };
	uint64_t size = 0;
	struct stat st;

	if (stat(goal, &st) == 0 && !S_ISREG(st.st_mode))
		return error_text(e, EINVAL, "%s is not a regular file; 'lifeboat usb' writes devices", goal);
	int r = medium_prepare(c, image_dir, kernel, &m, e);
	double begun = medium_clock();

	if (r == 0)
		r = iso_write_file(&m.request, goal, &size, &c->report, e);
	if (r < 0)
		return r;
	medium_phase(&m, "iso", medium_clock() - begun);
	record_save(c, &m, kernel, goal);
	r = medium_print(c, &m, "bootable CD image, also for sticks (BIOS and UEFI)", goal, goal, size, e);
	if (r == 0 && !c->json)
		(void)printf(
			"Next: try it with 'lifeboat boot qemu --medium %s'; burn it, or put it on a stick "
			"with\n"
			"  dd if=%s of=/dev/sdX bs=4M conv=fsync    (sdX is your stick; all on it is lost)\n",
			goal, goal);
	return r;
}

int cmd_iso(int argc, char *argv[])
{
	static const struct option options[] = { { "image", required_argument, NULL, OPTION_IMAGE },
						 { "kernel", required_argument, NULL, 'k' },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	const char *image_dir = NULL, *kernel = NULL;
	struct error e;
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, "k:" CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case OPTION_IMAGE:
			image_dir = optarg;
			break;
		case 'k':
			kernel = optarg;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (argc - optind != 1)
		return cmd_usage(&c, "expected one FILE");
	if (image_dir && kernel)
		return cmd_usage(&c, "--image brings its own kernel: -k does not go with it");
	return make_iso(&c, image_dir, kernel, argv[optind], &e) < 0 ? cmd_failed(&c, &e) : cmd_done(&c);
}
