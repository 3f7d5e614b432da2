/* Compares what image/process.h says a program or library needs with what the dynamic loader itself
 * says when it is asked to list and not to run, for every ELF file of a system: each name must lead to the
 * same file.
 * Usage: loader-oracle ROOT [PATH…]      (as root, when ROOT is not /; files and folders inside ROOT)
 * Prints the differences and a summary; exit status 1 when there are any. One is right and not counted:
 * the loader may take a library out of glibc-hwcaps, for this very processor, where we take the plain one. */
#include "image/process.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

enum { max_workers = 16, max_answer = 1 << 20 };

struct counts {
	unsigned compared, names, none, refused, alone, different;
};

/* --- what there is --- */

static void collect(int fd, dev_t device, const char *below, struct strlist *files)
{
	DIR *d = fdopendir(fd);

	if (!d) {
		(void)close(fd); /* read side */
		return;
	}
	for (const struct dirent *entry; (entry = readdir(d));) {
		_cleanup_(free) char *path = xasprintf("%s/%s", below, entry->d_name);
		struct stat st;

		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		if (entry->d_type == DT_REG) {
			strlist_take(files, TAKE_PTR(path));
		} else if (entry->d_type == DT_DIR) {
			int sub = openat(dirfd(d), entry->d_name,
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			if (sub >= 0 && fstat(sub, &st) == 0 && st.st_dev == device)
				collect(sub, device, path, files);
			else if (sub >= 0)
				(void)close(sub); /* read side */
		}
	}
	(void)closedir(d); /* read side */
}

static bool is_elf_file(const char *path)
{
	_cleanup_(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char magic[SELFMAG];

	return fd >= 0 && read(fd, magic, SELFMAG) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* --- what the loader says --- */

struct answer {
	struct strlist names, paths; /* side by side; the path is "" when it is nowhere */
	char *text; /* all that it said */
	bool refused; /* it would not list the file at all */
};

static void answer_free(struct answer *a)
{
	strlist_free(&a->names);
	strlist_free(&a->paths);
	free(a->text);
}
DEFINE_CLEANUP(answer, struct answer, answer_free)

/* The plain form's path of a library for special processors. */
static char *plain_path(const char *path)
{
	const char *special = strstr(path, "/glibc-hwcaps/");
	const char *rest = special ? strchr(special + strlen("/glibc-hwcaps/"), '/') : NULL;

	return rest ? xasprintf("%.*s%s", (int)(special - path), path, rest) : xstrdup(path);
}

static void take_line(struct answer *a, char *line)
{
	char *arrow = strstr(line, " => "), *end = strstr(line, " (0x");
	const char *missing = str_after(line, "Error loading shared library "); /* musl */

	if (missing) {
		strlist_take(&a->names, xstrndup(missing, strcspn(missing, ":")));
		strlist_add(&a->paths, "");
		return;
	}
	if (*line != '\t')
		return;
	if (end)
		*end = '\0';
	if (arrow) {
		*arrow = '\0';
		strlist_add(&a->names, line + 1);
		strlist_take(&a->paths, streq(arrow + 4, "not found") ? xstrdup("") : plain_path(arrow + 4));
	} else if (line[1] == '/') {
		strlist_add(&a->names, line + 1);
		strlist_add(&a->paths, line + 1);
	}
}

static void ask_loader(const char *loader, bool musl, const char *path, struct answer *a)
{
	/* glibc's --list refuses a file whose libraries are missing; asked by the variable it goes on. */
	const char *const glibc_argv[] = { loader, path, NULL }, *const musl_argv[] = { loader, "--list",
											path, NULL };
	const char *const *argv = musl ? musl_argv : glibc_argv;
	const char *const env[] = { "LC_ALL=C", "LD_TRACE_LOADED_OBJECTS=1", NULL };
	_cleanup_(strbuf) struct strbuf said = { 0 };
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], status;
	char buf[65536];
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 2) != 0 ||
	    posix_spawn(&pid, loader, &actions, NULL, (char *const *)argv, (char *const *)env) != 0) {
		(void)fprintf(stderr, "loader-oracle: run %s: %s\n", loader, strerror(errno));
		exit(2);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(pipe_fds[1]);
	strbuf_puts(&said, "");
	while ((n = read(pipe_fds[0], buf, sizeof(buf))) > 0 && said.len < max_answer)
		strbuf_add(&said, buf, (size_t)n);
	(void)close(pipe_fds[0]);
	if (waitpid(pid, &status, 0) != pid)
		exit(2);
	a->text = xstrdup(said.data);
	for (char *rest = said.data, *line; (line = strsep(&rest, "\n"));)
		take_line(a, line);
	a->refused = status != 0 && !a->names.count;
}

/* --- the two side by side --- */

struct worker {
	struct linker linker;
	struct counts counts;
	const char *path;
	bool musl;
};

static void differ(struct worker *w, const char *what)
{
	w->counts.different++;
	printf("%s: %s\n", w->path, what);
	(void)fflush(stdout);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return streq(a, b) ||
	       (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static bool is_at(const struct loaded *one, const char *path)
{
	if (!one->object || !one->place)
		return !*path;
	return *path && same_file(one->place->path, path);
}

/* Did we find that file, whatever its name, or nothing (an empty path) for that name? */
static bool we_have(const struct process *p, const char *name, const char *path)
{
	for (size_t i = 1; i < p->count; i++)
		if (is_at(&p->list[i], path) && (*path || streq(p->list[i].name, name)))
			return true;
	return false;
}

/* What we have for a name instead. */
static const char *our_path(const struct process *p, const char *name)
{
	for (size_t i = 1; i < p->count; i++)
		if (streq(p->list[i].name, name))
			return p->list[i].object && p->list[i].place ? p->list[i].place->path : "nothing";
	return "not asked";
}

static bool it_has(const struct answer *a, const char *name, const char *path)
{
	for (size_t i = 0; i < a->names.count; i++)
		if (*path ? *a->paths.items[i] && same_file(a->paths.items[i], path)
			  : streq(a->names.items[i], name))
			return true;
	return false;
}

static void compare(struct worker *w, const struct process *p, const struct answer *a)
{
	for (size_t i = 0; i < a->names.count; i++) {
		const char *name = a->names.items[i], *path = a->paths.items[i];

		w->counts.names++;
		if (we_have(p, name, path))
			continue;
		_cleanup_(free) char *what = xasprintf("%s: the loader has %s, we have %s", name,
						       *path ? path : "nothing", our_path(p, name));

		differ(w, what);
	}
	for (size_t i = 1; i < p->count; i++) {
		const struct loaded *one = &p->list[i];
		const char *path = one->object && one->place ? one->place->path : "";

		/* the interpreter is there in any case */
		if (it_has(a, one->name, path) || (w->musl && i == 1) ||
		    streq(one->name, p->loader->interpreter))
			continue;
		_cleanup_(free) char *what =
			xasprintf("%s: only we have %s", one->name, *path ? path : "nothing");

		differ(w, what);
	}
}

/* How we find what the program needs, with all of its names: 0, or a negative errno. */
static int resolve(struct worker *w, const char *path, struct process *p, struct error *e)
{
	struct object *object;
	int r = objects_get(&w->linker.objects, path + 1, &object, e);

	if (r < 0)
		return r;
	r = process_start(&w->linker, object, p, e);
	return r < 0 || !object->info.dynamic ? r : process_close(p, 0, NULL, NULL, e);
}

static void look_at(struct worker *w, const char *path)
{
	_cleanup_(process) struct process p = { 0 };
	_cleanup_(answer) struct answer a = { 0 };
	struct error e = { 0 };
	int r = resolve(w, path, &p, &e);
	const char *loader = p.loader && p.loader->place->object ? p.loader->interpreter : NULL;

	w->path = path;
	if (r == 0 && !p.list[0].object->info.dynamic) {
		w->counts.none++;
		return;
	}
	if (r == 0 && !loader) {
		w->counts.alone++;
		return;
	}
	w->musl = loader && p.loader->musl;
	ask_loader(loader ? loader : "/lib64/ld-linux-x86-64.so.2", w->musl, path, &a);
	if (r < 0 && !a.refused && !strlist_has(&a.paths, "")) {
		_cleanup_(free) char *what = xasprintf("only we refuse it: %s", e.text);

		differ(w, what);
	} else if (a.refused && r == 0) {
		_cleanup_(free) char *what = xasprintf("only the loader refuses it: %s", a.text);

		differ(w, str_strip(what));
	} else if (r < 0) {
		w->counts.refused++;
	} else {
		w->counts.compared++;
		compare(w, &p, &a);
	}
}

static void work(const struct strlist *files, size_t first, size_t step, int report_fd)
{
	struct worker w = { 0 };
	struct root root;
	struct error e;

	if (root_open("/", &root, &e) < 0 || linker_open(&root, NULL, &w.linker, &e) < 0) {
		(void)fprintf(stderr, "loader-oracle: %s\n", e.text);
		exit(2);
	}
	for (size_t i = first; i < files->count; i += step)
		if (is_elf_file(files->items[i]))
			look_at(&w, files->items[i]);
	linker_close(&w.linker);
	root_close(&root);
	if (write(report_fd, &w.counts, sizeof(w.counts)) != sizeof(w.counts))
		exit(2);
}

/* The files are dealt out to as many workers as there are processors. */
static int run(const struct strlist *files, struct counts *ret)
{
	long workers = sysconf(_SC_NPROCESSORS_ONLN);
	int pipe_fds[2], status, failed = 0;
	struct counts one;

	workers = workers < 1 ? 1 : workers > max_workers ? max_workers : workers;
	if (pipe(pipe_fds) < 0)
		return -1;
	(void)fflush(stdout);
	for (long i = 0; i < workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -1;
		if (pid == 0) {
			work(files, (size_t)i, (size_t)workers, pipe_fds[1]);
			exit(0);
		}
	}
	(void)close(pipe_fds[1]);
	while (read(pipe_fds[0], &one, sizeof(one)) == sizeof(one)) {
		ret->compared += one.compared;
		ret->names += one.names;
		ret->none += one.none;
		ret->refused += one.refused;
		ret->alone += one.alone;
		ret->different += one.different;
	}
	for (long i = 0; i < workers; i++)
		if (wait(&status) < 0 || status != 0)
			failed = -1;
	return failed;
}

int main(int argc, char **argv)
{
	_cleanup_(strlist) struct strlist files = { 0 };
	struct counts counts = { 0 };
	struct stat st;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: loader-oracle ROOT [PATH…]\n");
		return 2;
	}
	if ((!streq(argv[1], "/") && chroot(argv[1]) < 0) || chdir("/") < 0) {
		(void)fprintf(stderr, "loader-oracle: enter %s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	for (int i = argc > 2 ? 2 : 1; i < argc; i++) {
		const char *path = argc > 2 ? argv[i] : "";
		int fd = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd >= 0 && fstat(fd, &st) == 0)
			collect(fd, st.st_dev, path, &files);
		else if (errno == ENOTDIR)
			strlist_add(&files, path);
	}
	strlist_sort(&files);
	if (run(&files, &counts) < 0) {
		(void)fprintf(stderr, "loader-oracle: a worker failed\n");
		return 2;
	}
	printf("%u files with %u names compared; %u without libraries, %u refused by both, %u without "
	       "loader here; %u differences\n",
	       counts.compared, counts.names, counts.none, counts.refused, counts.alone, counts.different);
	return counts.different > 0 || counts.compared + counts.refused == 0;
}
