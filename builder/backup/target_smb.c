/* smb://[user@]host[:port]/share[/path]: mounted by mount.cifs(8), dialect 3. */
#include "backup/target_kind.h"

#include <errno.h>

static const char *settle(struct target_url *u)
{
	if (!u->host)
		return "it names no host";
	if (!*u->path)
		return "it names no share";
	/* mount.cifs(8) makes it one of its comma-separated options */
	if (strchr(u->path, ','))
		return "a ',' cannot be part of its path";
	char *slash = strchr(u->path, '/');
	char *path = xstrdup(slash ? slash + 1 : "");

	if (slash)
		*slash = '\0';
	u->share = u->path;
	u->path = path;
	return NULL;
}

static const char no_share[] = "the server has no such share or folder";

/* mount.cifs(8) prints "mount error(ERRNO): ..." and then where its manual page is. */
static const struct mount_reason reasons[] = {
	{ "mount error(13)", "permission denied: wrong user or password, or no right to this share", EACCES },
	{ "mount error(2)", no_share, ENOENT },
	{ "mount error(6)", no_share, ENOENT },
	{ "mount error(111)", "nothing answers there as an SMB server (connection refused)", ECONNREFUSED },
	{ "mount error(113)", "the host cannot be reached", EHOSTUNREACH },
	{ "mount error(101)", "the network cannot be reached", ENETUNREACH },
	{ "mount error(115)", "the server does not answer", ETIMEDOUT },
	{ "mount error(112)", "the server does not answer", EHOSTDOWN },
	{ "mount error(110)", "the server does not answer", ETIMEDOUT },
	{ "mount error(95)", "the server does not speak SMB 3", EOPNOTSUPP },
	{ "mount error(5)", "the server ended the connection", EIO },
	{ "mount error(19)", "this kernel has no SMB client (module cifs)", ENODEV },
	{ "could not resolve address", "the host's name has no address", EHOSTUNREACH },
	{ "mount error(1)", "mounting needs root", EPERM },
	{ "only root can", "mounting needs root", EPERM },
	{ NULL, NULL, 0 },
};

static int mount_share(const struct target_url *u, const struct target_options *o, const char *source,
		       const char *folder, struct error *e)
{
	_cleanup_(free) char *shown = target_url_show(u);
	_cleanup_(free) char *unc = xasprintf("//%s/%s", u->host, source);
	_cleanup_(strbuf) struct strbuf options = { 0 };

	/* 3: any dialect of version 3. soft is the kernel's default here; a server that is gone is noticed
	 * after three echo intervals (seconds). */
	strbuf_printf(&options, "vers=3,echo_interval=%u,uid=0,gid=0,file_mode=0600,dir_mode=0700,%s",
		      o->timeout > 3 ? o->timeout / 3 : 1, o->write ? "rw" : "ro");
	/* A server that does not do it is then refused by the kernel. */
	if (o->smb != SMB_AS_SERVER)
		strbuf_puts(&options, o->smb == SMB_SEAL ? ",seal" : ",sec=ntlmsspi");
	if (u->port)
		strbuf_printf(&options, ",port=%u", u->port);
	if (o->credentials) {
		int r = target_check_credentials(o->credentials, e);

		if (r < 0)
			return r;
		/* mount.cifs works in the folder that it mounts at. */
		_cleanup_(free) char *here = get_current_dir_name();
		_cleanup_(free) char *path = xasprintf("%s%s%s",
						       *o->credentials == '/' ? ""
						       : here                 ? here
									      : ".",
						       *o->credentials == '/' ? "" : "/", o->credentials);

		if (strchr(path, ','))
			return error_text(e, EINVAL, "credentials file %s: its path must not hold a ','",
					  path);
		strbuf_printf(&options, ",credentials=%s", path);
	}
	if (u->user)
		strbuf_printf(&options, ",username=%s", u->user);
	if (!u->user && !o->credentials)
		strbuf_puts(&options, ",guest");
	const char *argv[] = { "mount.cifs", unc, folder, "-o", options.data, NULL };

	return target_run_mount(argv, shown, o->timeout, reasons, e);
}

const struct target_kind target_smb = {
	.scheme = "smb",
	.form = "smb://[user@]host[:port]/share[/folder]",
	.settle = settle,
	.mount = mount_share,
};
