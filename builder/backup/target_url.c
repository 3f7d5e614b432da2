/* TARGET: from text to its parts, and back. */
#include "backup/target_kind.h"

#include <ctype.h>
#include <errno.h>

void target_url_free(struct target_url *u)
{
	free(u->scheme);
	free(u->user);
	free(u->host);
	free(u->share);
	free(u->path);
	*u = (struct target_url) { 0 };
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Replaces %XX in place. NULL when all is well, or why it is not. */
static const char *decode(char *s)
{
	char *to = s;

	for (const char *from = s; *from; from++) {
		unsigned char c = (unsigned char)*from;

		if (c == '%') {
			int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);

			if (low < 0)
				return "a '%' is not followed by two hexadecimal digits";
			c = (unsigned char)(high * 16 + low);
			from += 2;
		}
		if (c < ' ' || c == 0x7f)
			return "it holds a control character";
		*to++ = (char)c;
	}
	*to = '\0';
	return NULL;
}

/* Removes doubled and outer slashes in place; refuses "." and "..". */
static const char *tidy_path(char *path)
{
	char *to = path;

	for (char *rest = path, *part; (part = strsep(&rest, "/"));) {
		size_t n = strlen(part);

		if (n == 0)
			continue;
		if (streq(part, ".") || streq(part, ".."))
			return "its path holds '.' or '..'";
		if (to != path)
			*to++ = '/';
		memmove(to, part, n);
		to += n;
	}
	*to = '\0';
	return NULL;
}

static const char *parse_port(const char *text, unsigned *ret)
{
	uint64_t port;

	if (parse_u64(text, &port) < 0 || port == 0 || port > 65535)
		return "its port is not a number from 1 to 65535";
	*ret = (unsigned)port;
	return NULL;
}

static const char *parse_host(char *text, struct target_url *u)
{
	char *end = text + strcspn(text, ":");

	if (*text == '[') { /* an IPv6 address, as RFC 3986 writes it */
		char *close = strchr(text, ']');

		if (!close)
			return "the ']' of its address is missing";
		*close = '\0';
		text++;
		end = close + 1;
	}
	char after = *end;
	const char *port = end + 1;

	*end = '\0';
	if (after != ':' && after != '\0')
		return "after ']' comes ':' or '/'";
	if (*text == '\0')
		return "it names no host";
	if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:")] ||
	    *text == '-')
		return "its host is not a name or an address";
	u->host = xstrdup(text);
	return after ? parse_port(port, &u->port) : NULL;
}

/* [user@]host[:port] */
static const char *parse_authority(char *text, struct target_url *u)
{
	char *at = strrchr(text, '@');

	if (at) {
		*at = '\0';
		const char *why = decode(text);

		if (why)
			return why;
		if (strchr(text, ':'))
			return "a password does not belong there, but into a credentials file (mode 0600)";
		if (!*text)
			return "the user before '@' is missing";
		if (strchr(text, ','))
			return "a ',' cannot be part of a user name";
		u->user = xstrdup(text);
		text = at + 1;
	}
	return parse_host(text, u);
}

static const char *parse_parts(char *text, struct target_url *u)
{
	char *rest = strstr(text, "://");

	if (!rest)
		return "it is not a URL";
	*rest = '\0';
	rest += strlen("://");
	u->scheme = xstrdup(text);
	const struct target_kind *kind = target_kind_find(u->scheme);

	if (!kind)
		return "its kind is unknown";
	char *slash = strchr(rest, '/');
	_cleanup_(free) char *path = xstrdup(slash ? slash : "");
	const char *why = NULL;

	if (slash)
		*slash = '\0';
	if (*rest)
		why = parse_authority(rest, u);
	if (!why)
		why = decode(path);
	if (!why)
		why = tidy_path(path);
	u->path = TAKE_PTR(path);
	return why ? why : kind->settle(u);
}

/* The first ':' of a user with a password, plain or as %3A. */
static const char *find_colon(const char *s)
{
	const char *plain = strchr(s, ':'), *coded = strcasestr(s, "%3a");

	return !coded || (plain && plain < coded) ? plain : coded;
}

/* What may be shown of a text that may hold a password, which may itself hold '@' and '/'. */
static char *without_password(const char *text)
{
	const char *authority = strstr(text, "://");
	const char *at = authority ? strrchr(authority, '@') : NULL;
	const char *colon = authority ? find_colon(authority + 3) : NULL;

	if (!at || !colon || colon > at)
		return xstrdup(text);
	return xasprintf("%.*s:...%s", (int)(colon - text), text, at);
}

int target_url_parse(const char *text, struct target_url *ret, struct error *e)
{
	_cleanup_(target_url) struct target_url u = { 0 };
	_cleanup_(free) char *copy = xstrdup(text);
	const char *why = parse_parts(copy, &u);

	if (!why) {
		*ret = u;
		u = (struct target_url) { 0 };
		return 0;
	}
	const struct target_kind *kind = u.scheme ? target_kind_find(u.scheme) : NULL;
	_cleanup_(free) char *shown = without_password(text);

	return error_text(e, EINVAL, "target '%s': %s; expected %s", shown, why,
			  kind ? kind->form
			       : "smb://host/share, nfs://host/export, file:///folder, disk://UUID or "
				 "dev:///dev/DEVICE");
}

char *target_url_show(const struct target_url *u)
{
	struct strbuf b = { 0 };
	const char *host = u->host ? u->host : "";
	bool v6 = strchr(host, ':');

	if (streq(u->scheme, "disk")) { /* the host is the UUID */
		strbuf_printf(&b, "disk://%s%s%s", host, *u->path ? "/" : "", u->path);
		return b.data;
	}
	strbuf_printf(&b, "%s://%s%s%s%s%s", u->scheme, u->user ? u->user : "", u->user ? "@" : "",
		      v6 ? "[" : "", host, v6 ? "]" : "");
	if (u->port)
		strbuf_printf(&b, ":%u", u->port);
	if (u->share)
		strbuf_printf(&b, "%s%s", *u->share == '/' ? "" : "/", u->share);
	if (*u->path)
		strbuf_printf(&b, "%s%s", *u->path == '/' ? "" : "/", u->path);
	return b.data;
}
