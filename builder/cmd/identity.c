#include "cmd/identity.h"

#include <errno.h>
#include <unistd.h>

void identity_free(struct identity *i)
{
	age_key_free(&i->key);
}

void identity_configure(struct identity *i, const struct recovery_conf *conf)
{
	if (!i->path && conf->identity && access(conf->identity, F_OK) == 0)
		i->path = conf->identity;
}

static int ask_key(struct identity *i, const char *shown, struct error *e)
{
	_cleanup_(free) char *question = xasprintf(
		"%s is encrypted. Its key (AGE-SECRET-KEY-1..., not shown), or the file that holds it: ",
		shown);
	_cleanup_(free) char *line = NULL;
	int r = cmd_ask_secret(question, &line, e);

	if (r < 0)
		return error_text(e, ENOKEY, "%s is encrypted: --identity FILE names the key that opens it",
				  shown);
	r = *line == '/' || *line == '.' ? age_key_load(line, &i->key, e) : age_key_typed(line, &i->key, e);
	explicit_bzero(line, strlen(line));
	return r;
}

int identity_read(struct identity *i, const struct age_key **ret, struct error *e)
{
	int r = i->path && i->key.fd < 0 ? age_key_load(i->path, &i->key, e) : 0;

	if (r == 0)
		*ret = i->key.fd < 0 ? NULL : &i->key;
	return r;
}

int identity_give(struct identity *i, struct set *s, bool ask, struct report *report, struct error *e)
{
	const struct age_key *key = NULL;

	if (!set_encrypted(s))
		return 0;
	int r = identity_read(i, &key, e);

	if (r == 0 && !key && ask && isatty(STDIN_FILENO)) {
		r = ask_key(i, set_shown(s), e);
		key = &i->key;
	}
	if (r < 0)
		return r;
	set_use_key(s, key);
	r = set_check_key(s, report, e);
	if (r < 0 && key)
		error_prefix(e, "open with %s", key->shown);
	return r;
}
