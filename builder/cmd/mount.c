#include "cmd/commands.h"

#include "cmd/target_arg.h"

enum { OPTION_WRITE = CMD_FIRST_OWN, OPTION_UNMOUNT };

static int mount_target(struct cmd *c, const char *argument, const char *folder, bool write)
{
	_cleanup_(recovery_conf) struct recovery_conf conf = { 0 };
	struct error e;

	if (recovery_conf_load(c->conf_path, &conf, &e) < 0 ||
	    cmd_target_mount(c, &conf, argument, write ? TARGET_WRITE : TARGET_READ, folder, &e) < 0)
		return cmd_failed(c, &e);
	report_info(&c->report, "mounted at %s %s; 'lifeboat mount --unmount %s' ends it", folder,
		    write ? "for reading and writing" : "read-only", folder);
	return cmd_done(c);
}

static int unmount(struct cmd *c, const char *folder)
{
	struct error e;

	return target_unmount(folder, &e) < 0 ? cmd_failed(c, &e) : cmd_done(c);
}

int cmd_mount(int argc, char *argv[])
{
	static const struct option options[] = { { "write", no_argument, NULL, OPTION_WRITE },
						 { "unmount", no_argument, NULL, OPTION_UNMOUNT },
						 CMD_OPTIONS_LONG };
	_cleanup_(cmd) struct cmd c;
	bool write = false, ends = false;
	int option, exit_code;

	cmd_begin(&c, argv[0]);
	while ((option = getopt_long(argc, argv, CMD_OPTIONS_SHORT, options, NULL)) != -1)
		switch (option) {
		case OPTION_WRITE:
			write = true;
			break;
		case OPTION_UNMOUNT:
			ends = true;
			break;
		default:
			if (!cmd_option(&c, option, &exit_code))
				return exit_code;
		}
	int rest = argc - optind;

	if (rest < 1)
		return cmd_usage(&c, "which FOLDER?");
	if (rest > (ends ? 1 : 2))
		return cmd_usage(&c, "unexpected argument '%s'", argv[optind + (ends ? 1 : 2)]);
	if (ends)
		return unmount(&c, argv[optind]);
	return mount_target(&c, rest == 2 ? argv[optind] : NULL, argv[argc - 1], write);
}
