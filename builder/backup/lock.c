/* One backup of a host at a time. */
#include "backup/set_private.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <time.h>

#define LOCK_FILE ".lock"

/* Who holds it, for the message of whoever comes second. */
static int sign(int fd)
{
	struct utsname host;
	struct tm tm;
	char when[32], text[160];
	time_t now = time(NULL);

	if (uname(&host) < 0)
		return -errno;
	if (!gmtime_r(&now, &tm) || !strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return -EOVERFLOW;
	int n = snprintf(text, sizeof(text), "process %d of %s, since %s\n", (int)getpid(), host.nodename,
			 when);

	if (n < 0 || n >= (int)sizeof(text))
		return -EOVERFLOW;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return pwrite_all(fd, text, (size_t)n, 0);
}

static int busy(int fd, const char *shown, struct error *e)
{
	char who[160];
	/* Over SMB the lock also keeps others from reading: then it stays unnamed. */
	ssize_t n = pread_full(fd, who, sizeof(who) - 1, 0);

	who[n > 0 ? n : 0] = '\0';
	const char *holder = str_strip(who);

	return error_text(e, EBUSY, "%s: another backup is being written there%s%s%s", shown,
			  *holder ? " (" : "", holder, *holder ? ")" : "");
}

int host_lock(int hostfd, const char *shown, int *ret_fd, struct error *e)
{
	_cleanup_(fd) int fd = openat(hostfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_errno(e, errno, "write to %s", shown);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK || errno == EACCES)
			return busy(fd, shown, e);
		return error_errno(e, errno, "lock %s/%s", shown, LOCK_FILE);
	}
	int r = sign(fd);

	if (r < 0)
		return error_errno(e, -r, "write to %s/%s", shown, LOCK_FILE);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
