#include "cmd/target_arg.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>

/* What target_open() gets, and what has to live as long. */
struct request {
	const char *url; /* the caller's or recovery.conf's */
	struct target_options options;
	int secret_fd; /* a file in memory with the password that was typed, or -1 */
	char *secret_path;
};

static void request_free(struct request *r)
{
	if (r->secret_fd >= 0)
		(void)close(r->secret_fd); /* memory only */
	free(r->secret_path);
}
DEFINE_CLEANUP(request, struct request, request_free)

/* Reads a line from the terminal without showing it. The caller frees. */
static int ask_password(const char *shown, char **ret, struct error *e)
{
	_cleanup_(file) FILE *tty = fopen("/dev/tty", "r+e");
	_cleanup_(free) char *line = NULL;
	struct termios before, silent;
	size_t capacity = 0;

	if (!tty || tcgetattr(fileno(tty), &before) < 0)
		return error_text(e, ENOTTY,
				  "open %s: no password: name a credentials file in recovery.conf ([backup] "
				  "credentials)",
				  shown);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(fileno(tty), TCSAFLUSH, &silent) < 0)
		return error_errno(e, errno, "ask for a password");
	(void)fprintf(tty, "Password for %s: ", shown); /* the terminal that was just opened */
	(void)fflush(tty);
	ssize_t n = getline(&line, &capacity, tty);

	(void)fputc('\n', tty); /* as above */
	if (tcsetattr(fileno(tty), TCSAFLUSH, &before) < 0 || n < 0)
		return error_errno(e, n < 0 ? ECANCELED : errno, "ask for a password");
	line[strcspn(line, "\r\n")] = '\0';
	*ret = TAKE_PTR(line);
	return 0;
}

/* A credentials file that exists only in memory. The mount program inherits the descriptor. */
static int keep_password(struct request *r, const char *password, struct error *e)
{
	_cleanup_(free) char *text = xasprintf("password=%s\n", password);

	r->secret_fd = memfd_create("credentials", 0);
	if (r->secret_fd < 0 || fchmod(r->secret_fd, 0600) < 0)
		return error_errno(e, errno, "keep the password");
	int n = write_all(r->secret_fd, text, strlen(text));

	explicit_bzero(text, strlen(text));
	if (n < 0)
		return error_errno(e, -n, "keep the password");
	r->secret_path = xasprintf("/proc/self/fd/%d", r->secret_fd);
	r->options.credentials = r->secret_path;
	return 0;
}

static int prepare(const struct recovery_conf *conf, const char *argument, bool write, struct request *r,
		   struct error *e)
{
	_cleanup_(target_url) struct target_url url = { 0 };
	_cleanup_(free) char *password = NULL;

	r->url = argument ? argument : conf->target;
	if (!r->url)
		return error_text(e, EINVAL,
				  "no target: give one, or set target = in [backup] of recovery.conf");
	r->options = (struct target_options) { .credentials = conf->credentials, .write = write };
	int code = target_url_parse(r->url, &url, e);

	if (code < 0 || !streq(url.scheme, "smb") || !url.user || conf->credentials)
		return code;
	code = ask_password(r->url, &password, e);
	if (code == 0)
		code = keep_password(r, password, e);
	if (password)
		explicit_bzero(password, strlen(password));
	return code;
}

int cmd_target_open(struct cmd *c, const struct recovery_conf *conf, const char *argument, bool write,
		    struct target *ret, struct error *e)
{
	_cleanup_(request) struct request r = { .secret_fd = -1 };
	int code = prepare(conf, argument, write, &r, e);

	return code < 0 ? code : target_open(r.url, &r.options, ret, &c->report, e);
}

int cmd_target_mount(struct cmd *c, const struct recovery_conf *conf, const char *argument, bool write,
		     const char *folder, struct error *e)
{
	_cleanup_(request) struct request r = { .secret_fd = -1 };
	int code = prepare(conf, argument, write, &r, e);

	return code < 0 ? code : target_mount(r.url, &r.options, folder, &c->report, e);
}
