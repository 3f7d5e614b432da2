/* A person looks around in a set on a terminal: lists, searches, marks and restores. No root. */
#include "tap.h"

#include "backup/set.h"
#include "base/fs.h"
#include "cmd/commands.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>

static struct error e;
static struct report quiet;

static const char machine[] =
	"[machine]\nfirmware = bios\n[disk sda]\npath = /dev/sda\nsize = 1073741824\nsector-size = 512\n"
	"table = none\n[filesystem sda]\ntype = ext4\nmountpoint = /\nstream = root\nmethod = archive\n";

static void put(int dirfd, const char *path, const char *text)
{
	CHECK_OK(write_file_at(dirfd, path, 0644, text, strlen(text), &e));
}

static void make_set(const struct tempdir *dir)
{
	_cleanup_(target) struct target target = { .dirfd = -1 };
	_cleanup_(set_writer) struct set_writer *w = NULL;
	_cleanup_(free) char *url = xasprintf("file://%s/sets", dir->path), *name = NULL;
	_cleanup_(free) char *from = xasprintf("%s/from", dir->path);
	struct stat st;

	CHECK_OK(mkdir_parents_at(dir->fd, "sets", 0755, &e));
	CHECK_OK(mkdir_parents_at(dir->fd, "from/etc/deep/er", 0755, &e));
	put(dir->fd, "from/etc/hosts", "hosts");
	put(dir->fd, "from/etc/deep/er/a.conf", "a");
	put(dir->fd, "from/etc/deep/b.conf", "b");
	put(dir->fd, "from/other", "other");
	CHECK_OK(target_open(url, NULL, &target, &quiet, &e));
	CHECK_OK(set_begin(&target, "box", 0, 1 << 20, &w, &quiet, &e));
	CHECK_OK(set_add_file(w, "machine.conf", machine, strlen(machine), &e));
	CHECK_INT(stat(from, &st), 0);
	const struct set_source source = { .folder = from, .device = st.st_dev };

	CHECK_OK(set_save_filesystem(w, "root", "archive", &source, &quiet, &e));
	CHECK_OK(set_commit(w, &name, &e));
}

/* Waits for the text on the terminal; what was read before it is forgotten. */
static void expect(int terminal, const char *text)
{
	static struct strbuf seen;
	char buf[4096];
	char *at;

	(void)alarm(60); /* of a test that hangs; the text alone says when to go on */
	while (!(at = seen.len ? strstr(seen.data, text) : NULL)) {
		ssize_t n = read(terminal, buf, sizeof(buf));

		if (n <= 0)
			TAP_FAIL("'%s' was not said, but: %s", text, seen.len ? seen.data : "");
		strbuf_add(&seen, buf, (size_t)n);
	}
	size_t used = (size_t)(at - seen.data) + strlen(text);

	memmove(seen.data, seen.data + used, seen.len - used + 1);
	seen.len -= used;
}

static void type(int terminal, const char *line)
{
	_cleanup_(free) char *whole = xasprintf("%s\n", line);

	CHECK(write(terminal, whole, strlen(whole)) == (ssize_t)strlen(whole));
}

TEST(on_a_terminal)
{
	_cleanup_(tempdir) struct tempdir dir = TEMPDIR_NONE;
	int terminal, status;

	(void)signal(SIGPIPE, SIG_IGN); /* as the program does */
	report_init(&quiet, VERBOSITY_QUIET, false);
	CHECK_OK(tempdir_make(&dir, &e));
	make_set(&dir);
	_cleanup_(free) char *url = xasprintf("file://%s/sets", dir.path);
	_cleanup_(free) char *into = xasprintf("restore %s/into", dir.path);
	char command[] = "recover", option[] = "--files", *argv[] = { command, option, url, NULL };
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(cmd_recover(3, argv));
	expect(terminal, "\n/> ");
	type(terminal, "ls");
	expect(terminal, " etc\r\n");
	expect(terminal, " other\r\n/> ");
	type(terminal, "cd nowhere");
	expect(terminal, "nowhere: no such folder in the set\r\n/> ");
	type(terminal, "cd etc/deep/../deep");
	expect(terminal, "\n/etc/deep> ");
	type(terminal, "find *.conf");
	expect(terminal, " /etc/deep/b.conf\r\n");
	expect(terminal, " /etc/deep/er/a.conf\r\n/etc/deep> ");
	type(terminal, "restore /nowhere");
	expect(terminal, "mark something first\r\n");
	type(terminal, "mark er");
	expect(terminal, "2 marked\r\n");
	type(terminal, "mark ../host?");
	expect(terminal, "3 marked\r\n");
	type(terminal, "mark nothing");
	expect(terminal, "nothing: no such file in the set\r\n");
	type(terminal, "mark b.conf");
	expect(terminal, "4 marked\r\n");
	type(terminal, "unmark b.conf");
	expect(terminal, "3 marked\r\n");
	type(terminal, "marks");
	expect(terminal, "* -0644");
	expect(terminal, "/etc/hosts\r\n");
	type(terminal, "dance");
	expect(terminal, "dance: no such command; 'help' shows them\r\n");
	type(terminal, into);
	expect(terminal, "restored\r\n/etc/deep> ");
	type(terminal, "quit");
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	CHECK_INT(faccessat(dir.fd, "into/etc/deep/er/a.conf", F_OK, 0), 0);
	CHECK_INT(faccessat(dir.fd, "into/etc/hosts", F_OK, 0), 0);
	CHECK(faccessat(dir.fd, "into/etc/deep/b.conf", F_OK, 0) < 0);
	CHECK(faccessat(dir.fd, "into/other", F_OK, 0) < 0);
}

TAP_MAIN()
