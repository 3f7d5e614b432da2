/* A container of namespaces, for rescue systems without systemd-nspawn. The network is the rescue system's, for apt.
 * What PID 1 expects: https://systemd.io/CONTAINER_INTERFACE. */
#include "base/fs.h"
#include "enter/container.h"
#include "enter/nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static bool available(void)
{
	return true;
}

/* Mounts at a folder inside; links in the damaged root lead nowhere else. */
static int mount_inside(const struct recovered *root, const char *type, const char *folder,
			unsigned long flags, const char *options, struct error *e)
{
	_cleanup_(free) char *path = NULL;
	int r = recovered_inside(root, folder, &path, e);

	if (r == 0 && mount(type, path, type, flags, options) < 0)
		r = error_errno(e, errno, "mount %s at %s", type, path);
	return r;
}

/* As systemd does it, /proc/sys and /sys are only to be read: what is set there is the rescue system's. */
static int protect(const struct recovered *root, struct error *e)
{
	_cleanup_(free) char *path = NULL;
	int r = recovered_inside(root, "/proc/sys", &path, e);

	if (r == 0 && (mount(path, path, NULL, MS_BIND, NULL) < 0 ||
		       mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0))
		r = error_errno(e, errno, "make %s read-only", path);
	return r;
}

static int mount_system(const struct recovered *root, struct error *e)
{
	enum { quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC };
	int r = mount_inside(root, "proc", "/proc", quiet, NULL, e);

	if (r == 0)
		r = protect(root, e);
	if (r == 0)
		r = mount_inside(root, "sysfs", "/sys", quiet | MS_RDONLY, NULL, e);
	if (r == 0)
		r = mount_inside(root, "cgroup2", "/sys/fs/cgroup", quiet, NULL, e);
	/* grub-install writes boot entries */
	if (r == 0 && access("/sys/firmware/efi/efivars", F_OK) == 0)
		r = mount_inside(root, "efivarfs", "/sys/firmware/efi/efivars", quiet, NULL, e);
	if (r == -ENODEV) /* no driver for it here: grub-install says so itself, all else works */
		r = 0;
	return r < 0 ? r : mount_inside(root, "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755", e);
}

static int mount_dev(const struct container_place *place, struct error *e)
{
	const struct recovered *root = place->root;
	_cleanup_(free) char *dev = NULL;
	int r = mount_inside(root, "tmpfs", "/dev", MS_NOSUID, "mode=755", e);

	if (r == 0)
		r = recovered_inside(root, "/dev", &dev, e);
	if (r == 0)
		r = nodes_copy(dev, e);
	if (r == 0)
		r = mount_inside(root, "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
				 "newinstance,ptmxmode=0666,mode=620", e);
	if (r == 0)
		r = mount_inside(root, "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", e);
	if (r < 0)
		return r;
	_cleanup_(free) char *console = xasprintf("%s/console", dev), *ptmx = xasprintf("%s/ptmx", dev);

	if (symlink("pts/ptmx", ptmx) < 0 || mknod(console, S_IFREG | 0600, 0) < 0 ||
	    mount(place->console, console, NULL, MS_BIND, NULL) < 0)
		return error_errno(e, errno, "make the container's console %s", console);
	return 0;
}

static int write_units(const struct recovered *root, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && container_units[i]; i++) {
		_cleanup_(free) char *folder = xasprintf("/run/systemd/system/%s.d", container_units[i]);
		_cleanup_(free) char *path = NULL;

		r = recovered_inside(root, folder, &path, e);
		if (r < 0)
			break;
		_cleanup_(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? error_errno(e, errno, "open %s", path)
			   : write_file_at(fd, "lifeboat.conf", 0644, container_unit_text,
					   strlen(container_unit_text), e);
	}
	return r;
}

/* The rescue system's name servers, whatever the file is there: most often a link into /run, which is empty. */
static int borrow_resolver(const struct recovered *root, struct error *e)
{
	_cleanup_(free) char *folder = NULL;
	_cleanup_(free) char *path = NULL;
	struct stat st;

	if (stat("/etc/resolv.conf", &st) < 0 || st.st_size == 0)
		return 0;
	int r = recovered_inside(root, "/etc", &folder, e);

	if (r < 0)
		return r;
	path = xasprintf("%s/resolv.conf", folder);
	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0; /* its own will do */
	/* mounted over the link itself, which stays as it is */
	_cleanup_(fd) int to = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(free) char *link = xasprintf("/proc/self/fd/%d", to);

	if (to >= 0)
		(void)mount("/etc/resolv.conf", link, NULL, MS_BIND,
			    NULL); /* without names it works as well */
	return 0;
}

/* The mounts stay where the old root was moved away from: nothing inside can see them. */
static int become_root(const struct recovered *root, struct error *e)
{
	if (chdir(root->path) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return error_errno(e, errno, "make %s the root", root->path);
	return 0;
}

static int child(const struct container_place *place, struct error *e)
{
	const char *const argv[] = { "/sbin/init", "systemd.unit=rescue.target", NULL };
	const char *term = getenv("TERM");
	_cleanup_(free) char *term_env = xasprintf("TERM=%s", term && *term ? term : "vt220");
	const char *const env[] = { "container=lifeboat", term_env,
				    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				    NULL };
	int r = container_child(place, e);

	if (r == 0 && (unshare(CLONE_NEWCGROUP) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0))
		r = error_errno(e, errno, "make the container's namespaces");
	if (r == 0)
		r = mount_system(place->root, e);
	if (r == 0)
		r = mount_dev(place, e);
	if (r == 0)
		r = write_units(place->root, e);
	if (r == 0)
		r = borrow_resolver(place->root, e);
	if (r == 0)
		r = become_root(place->root, e);
	if (r < 0)
		return r;
	(void)execve(argv[0], (char *const *)argv, (char *const *)env);
	return error_errno(e, errno, "start %s in the container", argv[0]);
}

static int start(const struct container_place *place, struct container *ret, struct error *e)
{
	return container_fork(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC, child, place, ret, e);
}

static pid_t init(const struct container *c)
{
	return c->pid;
}

const struct container_kind container_own = { "a container of namespaces", available, start, init };
