#include "cmd/commands.h"
#include "cmd/medium.h"
#include "cmd/record.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPTION_IMAGE = CMD_FIRST_OWN, OPTION_YES };
static const char kind[] = "bootable stick (BIOS and UEFI)";

struct usb_options {
	const char *goal, *image_dir, *kernel;
	bool yes;
};

/* A device is written after consent; all else is a file that is made. `/dev/sdx` that does not
 * exist is a slip of the finger, not a file. */
static int find_goal(const char *path, bool *ret_device, struct error *e)
{
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (!there && errno != ENOENT)
		return error_errno(e, errno, "open %s", path);
	if (!there && str_after(path, "/dev/"))
		return error_text(e, ENODEV, "there is no device %s", path);
	if (there && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_text(e, EINVAL, "%s is neither a disk nor a regular file", path);
	*ret_device = there && S_ISBLK(st.st_mode);
	return 0;
}

static int make_file(struct cmd *c, const struct usb_options *o, struct error *e)
{
	_cleanup_(medium) struct medium m = { .temp = TEMPDIR_NONE };
	uint64_t size = 0;
	int r = medium_prepare(c, o->image_dir, o->kernel, &m, e);
	double begun = medium_clock();

	if (r == 0)
		r = usb_write_file(&m.request, o->goal, &size, &c->report, e);
	if (r < 0)
		return r;
	medium_phase(&m, "stick", medium_clock() - begun);
	record_save(c, &m, o->kernel, o->goal);
	r = medium_print(c, &m, kind, o->goal, o->goal, size, e);
	if (r == 0 && !c->json)
		(void)printf("Next: try it with 'lifeboat boot qemu --medium %s'; write a real stick with\n"
			     "  lifeboat usb /dev/sdX    (shows the disk and asks; sdX is your stick)\n"
			     "  or: dd if=%s of=/dev/sdX bs=4M conv=fsync\n",
			     o->goal, o->goal);
	return r;
}

static void show_device(const struct usb_device *d)
{
	char size[SIZE_TEXT_MAX];

	(void)fprintf(stderr,
		      "%s: %s\n  serial     %s\n  size       %s\n  attached   by %s%s\n  holds now  %s\n",
		      d->path, d->model ? d->model : "unknown model", d->serial ? d->serial : "unknown",
		      format_size(d->size, size), d->transport ? d->transport : "unknown means",
		      d->removable ? ", removable" : "",
		      d->content.count ? d->content.items[0] : "nothing that is known");
	for (size_t i = 1; i < d->content.count; i++)
		(void)fprintf(stderr, "             %s\n", d->content.items[i]);
}

static bool consent(const struct usb_device *d)
{
	_cleanup_(free) char *question =
		d->serial ? xasprintf("Everything on it will be lost. To go on, type its serial number (%s):",
				      d->serial)
			  : xasprintf("Everything on it will be lost. To go on, type yes:");

	return cmd_consent(question, d->serial ? d->serial : "yes");
}

/* Whether this device may be had at all, before any time is spent on an image. */
static int look(const struct usb_options *o, struct usb_device *ret, struct error *e)
{
	_cleanup_(usb_device) struct usb_device d = { 0 };
	int r = usb_inspect(o->goal, &d, e);

	if (r < 0)
		return r;
	if (d.refusal)
		return error_text(e, EBUSY, "%s will not be overwritten: %s", d.path, d.refusal);
	if (!o->yes && !isatty(STDIN_FILENO))
		return error_text(e, EPERM, "%s will not be overwritten: nobody is here to ask; use --yes",
				  d.path);
	*ret = d;
	d = (struct usb_device) { 0 };
	return 0;
}

static int make_device(struct cmd *c, const struct usb_options *o, struct error *e)
{
	_cleanup_(medium) struct medium m = { .temp = TEMPDIR_NONE };
	_cleanup_(usb_device) struct usb_device device = { 0 };
	_cleanup_(tempdir) struct tempdir temp = TEMPDIR_NONE;
	uint64_t size = 0;
	int r = look(o, &device, e);

	if (r == 0)
		r = medium_prepare(c, o->image_dir, o->kernel, &m, e);
	if (r == 0)
		r = tempdir_make(&temp, e);
	if (r < 0)
		return r;
	_cleanup_(free) char *file = xasprintf("%s/stick", temp.path);
	double begun = medium_clock();

	r = usb_write_file(&m.request, file, &size, &c->report, e);
	if (r < 0)
		return r;
	medium_phase(&m, "stick", medium_clock() - begun);
	if (size > device.size)
		return error_text(e, ENOSPC, "%s is too small: the stick needs %llu bytes, it has %llu",
				  device.path, (unsigned long long)size, (unsigned long long)device.size);
	show_device(&device);
	if (!o->yes && !consent(&device))
		return error_text(e, ECANCELED, "%s was not written: the answer was not the one asked for",
				  device.path);
	begun = medium_clock();
	r = usb_write_device(&device, file, &c->report, e);
	if (r < 0)
		return r;
	medium_phase(&m, "write and compare", medium_clock() - begun);
	record_save(c, &m, o->kernel, device.path);
	r = medium_print(c, &m, kind, device.path, file, size, e);
	if (r == 0 && !c->json)
		(void)printf("Next: start a machine from it, or rehearse: lifeboat boot qemu --medium %s\n",
			     device.path);
	return r;
}

int cmd_usb(int argc, char *argv[])
{
	static const struct option options[] = { { "image", required_argument, NULL, OPTION_IMAGE },
						 { "yes", no_argument, NULL, OPTION_YES },
						 { "kernel", required_argument, NULL, 'k' },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	struct usb_options o = { 0 };
	struct error e;
	bool device = false;
	int option, exit_code;

	cmd_begin(&c, "usb");
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT "k:", options, NULL)) >= 0)
		switch (option) {
		case OPTION_IMAGE:
			o.image_dir = optarg;
			break;
		case OPTION_YES:
			o.yes = true;
			break;
		case 'k':
			o.kernel = optarg;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	if (argc - optind != 1)
		return cmd_usage(&c, "expected one DEVICE or FILE");
	if (o.image_dir && o.kernel)
		return cmd_usage(&c, "--image brings its own kernel: -k does not go with it");
	o.goal = argv[optind];
	int r = find_goal(o.goal, &device, &e);

	if (r == 0)
		r = device ? make_device(&c, &o, &e) : make_file(&c, &o, &e);
	return r < 0 ? cmd_failed(&c, &e) : cmd_done(&c);
}
