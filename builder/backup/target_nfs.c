/* nfs://host[:port]/export[/path]: mounted by mount.nfs(8), version 4 (newest minor first), else 3. */
#include "backup/target_kind.h"

#include <errno.h>

static const char *settle(struct target_url *u)
{
	if (!u->host)
		return "it names no host";
	if (u->user)
		return "NFS has no user in the URL";
	if (!*u->path)
		return "it names no export";
	/* Where the export ends and a folder below it begins only the server knows. */
	u->share = xasprintf("/%s", u->path);
	*u->path = '\0';
	return NULL;
}

static const char not_supported[] = "the server offers neither NFS 4 nor NFS 3";
static const char no_export[] = "the server has no such export or folder";

static const struct mount_reason reasons[] = {
	{ "Connection refused", "nothing answers there as an NFS server (connection refused)", ECONNREFUSED },
	{ "No such file or directory", no_export, ENOENT },
	{ "access denied", "the server denies access: is this machine allowed in its exports?", EACCES },
	{ "Permission denied", "the server denies access: is this machine allowed in its exports?", EACCES },
	{ "Operation not permitted", "the server denies access: is this machine allowed in its exports?",
	  EPERM },
	{ "timed out", "the server does not answer", ETIMEDOUT },
	{ "No route to host", "the host cannot be reached", EHOSTUNREACH },
	{ "Network is unreachable", "the network cannot be reached", ENETUNREACH },
	{ "Failed to resolve", "the host's name has no address", EHOSTUNREACH },
	{ "Protocol not supported", not_supported, EPROTONOSUPPORT },
	{ "not supported", not_supported, EPROTONOSUPPORT },
	{ "Unable to receive", "nothing answers there as an NFS server", ECONNREFUSED },
	{ "No such device", "this kernel has no NFS client (module nfsv4)", ENODEV },
	{ "only root can", "mounting needs root", EPERM },
	{ NULL, NULL, 0 },
};

/* Version 4 comes first: it needs one port and no rpcbind. */
static const char *const versions[] = { "vers=4", "vers=3,nolock" };

static int mount_export(const struct target_url *u, const struct target_options *o, const char *export,
			const char *folder, struct error *e)
{
	_cleanup_(free) char *shown = target_url_show(u);
	bool v6 = strchr(u->host, ':');
	_cleanup_(free) char *source = xasprintf("%s%s%s:%s", v6 ? "[" : "", u->host, v6 ? "]" : "", export);
	int r = -EPROTONOSUPPORT;

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions) && r == -EPROTONOSUPPORT; i++) {
		_cleanup_(strbuf) struct strbuf options = { 0 };

		/* soft: a server that is gone becomes an I/O error after two tries of timeo (tenths of a
		 * second) instead of a hang without an end; our sums find whatever it left undone.
		 * retry: minutes for which mount.nfs itself would go on trying. */
		strbuf_printf(&options, "%s,soft,timeo=%u,retrans=2,retry=0,%s", versions[i],
			      o->timeout * 10 / 2, o->write ? "rw" : "ro");
		if (u->port)
			strbuf_printf(&options, ",port=%u", u->port);
		const char *argv[] = { "mount.nfs", source, folder, "-o", options.data, NULL };

		r = target_run_mount(argv, shown, o->timeout, reasons, e);
	}
	return r;
}

const struct target_kind target_nfs = {
	.scheme = "nfs",
	.form = "nfs://host[:port]/export[/folder]",
	.settle = settle,
	.mount = mount_export,
};
