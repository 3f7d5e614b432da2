/* systemd-nspawn(1), without the systemd around it that it otherwise talks to. */
#include "base/fs.h"
#include "base/proc.h"
#include "enter/container.h"
#include "enter/nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static bool available(void)
{
	_cleanup_(free) char *program = proc_find_program("systemd-nspawn");

	return program != NULL;
}

static int add_units(const struct container_place *place, struct strlist *argv, struct error *e)
{
	_cleanup_(fd) int fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? error_errno(e, errno, "open %s", place->folder)
		       : write_file_at(fd, "rescue.conf", 0644, container_unit_text,
				       strlen(container_unit_text), e);

	for (size_t i = 0; r == 0 && container_units[i]; i++)
		strlist_addf(argv, "--bind-ro=%s/rescue.conf:/run/systemd/system/%s.d/lifeboat.conf",
			     place->folder, container_units[i]);
	return r;
}

/* Nothing of the damaged system is set to what the rescue system has: neither its time zone nor its name servers. */
static int child(const struct container_place *place, struct error *e)
{
	_cleanup_(strlist) struct strlist argv = { 0 }, disks = { 0 };
	_cleanup_(free) char *program = proc_find_program("systemd-nspawn");
	struct stat st;

	strlist_add_words(&argv, "systemd-nspawn --quiet --boot --register=no --keep-unit --link-journal=no "
				 "--settings=no --timezone=off --capability=all --console=interactive");
	strlist_addf(&argv, "--directory=%s", place->root->path);
	strlist_addf(&argv, "--resolv-conf=%s",
		     stat("/etc/resolv.conf", &st) == 0 && st.st_size > 0 ? "bind-host" : "off");
	int r = nodes_of_disks(&disks, e);

	for (size_t i = 0; i < disks.count; i++)
		strlist_addf(&argv, "--bind=%s", disks.items[i]);
	if (access("/dev/disk", F_OK) == 0)
		strlist_add(&argv, "--bind-ro=/dev/disk");
	if (r == 0)
		r = add_units(place, &argv, e);
	strlist_add(&argv, "systemd.unit=rescue.target");
	if (r == 0)
		r = container_child(place, e);
	if (r < 0)
		return r;
	(void)execv(program, argv.items);
	return error_errno(e, errno, "run %s", program);
}

static int start(const struct container_place *place, struct container *ret, struct error *e)
{
	return container_fork(0, child, place, ret, e);
}

/* "NSpid: 7 1" in proc(5)'s status: 7 here, 1 in a namespace below ours. */
static bool is_init_below(const char *pid)
{
	_cleanup_(free) char *path = xasprintf("/proc/%s/status", pid), *text = NULL;
	struct error ignored; /* gone meanwhile */
	int here, below;

	if (read_file_at(AT_FDCWD, path, 65536, &text, NULL, &ignored) < 0)
		return false;
	const char *line = strstr(text, "\nNSpid:");

	return line && sscanf(line, "\nNSpid: %d %d", &here, &below) == 2 && below == 1;
}

static pid_t init(const struct container *c)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	uint64_t pid = 0, found = 0;

	(void)c; /* this process's namespace holds one container */
	while (d && !found && (entry = readdir(d)))
		if (parse_u64(entry->d_name, &pid) == 0 && is_init_below(entry->d_name))
			found = pid;
	if (d)
		(void)closedir(d); /* read side */
	return (pid_t)found;
}

const struct container_kind container_nspawn = { "systemd-nspawn", available, start, init };
