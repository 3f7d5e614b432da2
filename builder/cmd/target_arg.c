#include "cmd/target_arg.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What target_open() gets. A password that was typed is in a file in memory for as long as this process lives: the
 * target may have to be mounted again. */
struct request {
	const char *url;
	struct target_options options;
	char *secret_path; /* owned; of the file in memory */
};

static void request_free(struct request *r)
{
	free(r->secret_path);
}
DEFINE_CLEANUP(request, struct request, request_free)

/* A credentials file that exists only in memory. The mount program inherits the descriptor. */
static int keep_password(struct request *r, const char *password, struct error *e)
{
	_cleanup_(free) char *text = xasprintf("password=%s\n", password);
	_cleanup_(fd) int fd = memfd_create("credentials", 0);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return error_errno(e, errno, "keep the password");
	int n = write_all(fd, text, strlen(text));

	explicit_bzero(text, strlen(text));
	if (n < 0)
		return error_errno(e, -n, "keep the password");
	r->secret_path = xasprintf("/proc/self/fd/%d", fd);
	r->options.credentials = r->secret_path;
	(void)TAKE_FD(fd);
	return 0;
}

static int prepare(const struct recovery_conf *conf, const char *text, enum target_use use, struct request *r,
		   struct error *e)
{
	_cleanup_(target_url) struct target_url url = { 0 };
	_cleanup_(free) char *password = NULL;

	r->url = text;
	const char *smb = conf->smb_security ? conf->smb_security : "server";

	r->options = (struct target_options) { .smb = streq(smb, "seal")   ? SMB_SEAL
						      : streq(smb, "sign") ? SMB_SIGN
									   : SMB_AS_SERVER,
					       .credentials = conf->credentials,
					       .write = use != TARGET_READ,
					       .overwrite = use == TARGET_OVERWRITE,
					       .timeout = conf->timeout,
					       .retry = conf->retry };
	int code = target_url_parse(text, &url, e);

	if (code < 0 || !streq(url.scheme, "smb") || !url.user || conf->credentials)
		return code;
	_cleanup_(free) char *question = xasprintf("Password for %s: ", text);

	code = cmd_ask_secret(question, &password, e);
	if (code == -ENOTTY)
		code = error_text(e, ENOTTY,
				  "open %s: no password: name a credentials file in recovery.conf ([backup] "
				  "credentials)",
				  text);
	if (code == 0)
		code = keep_password(r, password, e);
	if (password)
		explicit_bzero(password, strlen(password));
	return code;
}

static int choose(const struct recovery_conf *conf, const char *argument, struct strlist *ret,
		  struct error *e)
{
	const char *text = argument ? argument : conf->target;

	if (!text)
		return error_text(e, EINVAL,
				  "no target: give one, or set target = in [backup] of recovery.conf");
	recovery_split_targets(text, ret);
	return 0;
}

static int open_one(struct cmd *c, const struct recovery_conf *conf, const char *text, enum target_use use,
		    struct target *ret, struct error *e)
{
	_cleanup_(request) struct request r = { 0 };
	int code = prepare(conf, text, use, &r, e);

	return code < 0 ? code : target_open(r.url, &r.options, ret, &c->report, e);
}

int cmd_target_open(struct cmd *c, const struct recovery_conf *conf, const char *argument,
		    enum target_use use, struct target *ret, struct error *e)
{
	_cleanup_(strlist) struct strlist all = { 0 };
	_cleanup_(target) struct target first = { .dirfd = -1 };
	struct target *last = NULL;
	unsigned missing = 0;
	int code = choose(conf, argument, &all, e);

	for (size_t i = 0; code == 0 && i < all.count; i++) {
		struct target one = { .dirfd = -1 };
		struct error why;

		if (open_one(c, conf, all.items[i], use, &one, &why) < 0) {
			if (all.count > 1)
				report_warn(&c->report, "%s", why.text);
			if (!missing++)
				*e = why;
			continue;
		}
		if (last) {
			last->replica = xmalloc(sizeof(*last->replica));
			last = last->replica;
		} else {
			last = &first;
		}
		*last = one;
	}
	if (code < 0)
		return code;
	if (!last)
		return -e->code;
	first.missing = missing;
	*ret = first;
	first = (struct target) { .dirfd = -1 };
	return 0;
}

int cmd_target_mount(struct cmd *c, const struct recovery_conf *conf, const char *argument,
		     enum target_use use, const char *folder, struct error *e)
{
	_cleanup_(strlist) struct strlist all = { 0 };
	_cleanup_(request) struct request r = { 0 };
	int code = choose(conf, argument, &all, e);

	if (code == 0)
		code = prepare(conf, all.items[0], use, &r, e);
	return code < 0 ? code : target_mount(r.url, &r.options, folder, &c->report, e);
}
