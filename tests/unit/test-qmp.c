/* What is said to a guest's monitor, and what is understood of its answers; a child plays the monitor. */
#include "base/fs.h"
#include "base/str.h"
#include "guest/qmp.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct error e;

struct lab {
	struct tempdir dir;
	char *socket;
	char *heard; /* shared with the monitor: no disk's delay is in its answers */
	pid_t monitor;
};

enum { heard_max = 4096 };

/* Answers each command with `text`, and appends what it was told to `heard`. */
static void play(int listener, char *heard, const char *text)
{
	size_t len = 0;

	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; (void)close(fd)) {
		char said[512];
		ssize_t n;

		(void)dprintf(fd, "{\"QMP\": {\"version\": {}}}\n");
		if (read(fd, said, sizeof(said)) <= 0)
			continue;
		(void)dprintf(fd, "{\"event\": \"RESUME\"}\n{\"return\": {}}\n");
		n = read(fd, said, sizeof(said));
		if (n <= 0 || len + (size_t)n >= heard_max)
			continue;
		memcpy(heard + len, said, (size_t)n);
		len += (size_t)n;
		(void)dprintf(fd, "{\"return\": %s}\n", text);
	}
	_exit(0);
}

static void lab_open(struct lab *l, const char *text)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	l->dir = (struct tempdir)TEMPDIR_NONE;
	CHECK_OK(tempdir_make(&l->dir, &e));
	l->socket = xasprintf("%s/monitor", l->dir.path);
	l->heard = mmap(NULL, heard_max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(l->heard != MAP_FAILED);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", l->socket);
	CHECK(bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 8) == 0);
	l->monitor = fork();
	if (l->monitor == 0)
		play(fd, l->heard, text);
	(void)close(fd);
}

static void lab_close(struct lab *l)
{
	(void)kill(l->monitor, SIGKILL);
	(void)waitpid(l->monitor, NULL, 0);
	tempdir_remove(&l->dir);
	free(l->socket);
	(void)munmap(l->heard, heard_max);
}

#define CONNECTION(state, near) \
	"  TCP[" state "]  18       127.0.0.1 " near "       10.0.2.15    22     0     0\\r\\n"
#define CONNECTIONS(rest)                                                                \
	"\"Hub -1 (net0):\\r\\n  Protocol[State]    FD  Source Address  Port   "         \
	"Dest. Address  Port RecvQ SendQ\\r\\n" CONNECTION("HOST_FORWARD", "40022") rest \
		"  UDP[18 sec]      29       10.0.2.15 40022     10.0.2.3    53     0     0\\r\\n\""

TEST(a_connection_that_the_guest_has_taken)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{ CONNECTIONS(CONNECTION("ESTABLISHED", "40022")), 1 },
		{ CONNECTIONS(CONNECTION("SYN_SENT", "40022")), 0 },
		{ CONNECTIONS(CONNECTION("ESTABLISHED", "40023")), 0 },
		{ CONNECTIONS(""), 0 },
		{ "\"\"", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lab l;

		lab_open(&l, cases[i].text);
		CHECK_INT(qmp_established(l.socket, 40022, &e), cases[i].want);
		lab_close(&l);
	}
}

TEST(what_is_typed)
{
	struct lab l;
	const char *heard;

	lab_open(&l, "{}");
	CHECK_OK(qmp_type(l.socket, "aB0&\n", &e));
	heard = l.heard;
	CHECK(strstr(heard, "\"keys\":[{\"type\":\"qcode\",\"data\":\"a\"}]") != NULL);
	CHECK(strstr(heard, "\"keys\":[{\"type\":\"qcode\",\"data\":\"shift\"},{\"type\":\"qcode\",\"data\":"
			    "\"b\"}]") != NULL);
	CHECK(strstr(heard, "\"keys\":[{\"type\":\"qcode\",\"data\":\"0\"}]") != NULL);
	CHECK(strstr(heard, "\"keys\":[{\"type\":\"qcode\",\"data\":\"shift\"},{\"type\":\"qcode\",\"data\":"
			    "\"7\"}]") != NULL);
	CHECK(strstr(heard, "\"keys\":[{\"type\":\"qcode\",\"data\":\"ret\"}]") != NULL);
	CHECK_INT(qmp_type(l.socket, "\t", &e), -EINVAL);
	lab_close(&l);
}

TEST(a_disk_is_written_to_no_more)
{
	struct lab l;

	lab_open(&l, "{}");
	CHECK_OK(qmp_divert(l.socket, 1, "/tmp/over lay", &e));
	CHECK(strstr(l.heard, "\"execute\":\"blockdev-snapshot-sync\"") != NULL);
	CHECK(strstr(l.heard, "{\"device\":\"disk1\",\"snapshot-file\":\"/tmp/over lay\",\"format\":"
			      "\"qcow2\"}") != NULL);
	lab_close(&l);
}

TAP_MAIN()
