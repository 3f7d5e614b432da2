/* The keyboard of the rescue console. Sources: keyboard(5) (/etc/default/keyboard), vconsole.conf(5),
 * and busybox's loadkmap for the binary format: "bkeymap", 256 flags, then tables of 128 u16. */
#include "image/generate.h"

#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { max_config = 1 << 16, flags_at = 7, flag_count = 256, table_size = 128 * 2 };

/* The value of NAME=… or NAME="…" in a shell-like file, or NULL. The caller frees. */
static char *config_value(const char *text, const char *name)
{
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *value = str_after(line + strspn(line, " \t"), name);

		if (!value || *value != '=')
			continue;
		value++;
		char quote = *value == '"' || *value == '\'' ? *value++ : '\0';

		return xstrndup(value, quote ? strcspn(value, (char[]) { quote, '\n', '\0' })
					     : strcspn(value, " \t\n#"));
	}
	return NULL;
}

static int read_all(int fd, struct strbuf *ret)
{
	char buf[4096];

	for (off_t at = 0;;) {
		ssize_t n = pread_full(fd, buf, sizeof(buf), at);

		if (n < 0)
			return (int)n;
		strbuf_add(ret, buf, (size_t)n);
		at += n;
		if ((size_t)n < sizeof(buf))
			return 0;
	}
}

static bool is_bkeymap(const struct strbuf *b)
{
	size_t tables = 0;

	if (b->len < flags_at + flag_count || memcmp(b->data, "bkeymap", flags_at) != 0)
		return false;
	for (size_t i = 0; i < flag_count; i++)
		tables += b->data[flags_at + i] == 1;
	return b->len == flags_at + flag_count + tables * table_size;
}

/* Runs loadkeys, which reads `source` when `name` is NULL. -u: what ckbcomp writes is Unicode, and so is
 * the console. */
static int run_loadkeys(const char *name, int source, struct strbuf *ret, struct error *e)
{
	const char *const by_name[] = { "loadkeys", "-q", "-u", "-b", name, NULL };
	const char *const by_source[] = { "loadkeys", "-q", "-u", "-b", NULL };
	_cleanup_(fd) int out = memfd_create("keymap", MFD_CLOEXEC);
	_cleanup_(strbuf) struct strbuf b = { 0 };

	if (out < 0)
		return error_errno(e, errno, "make a keymap");
	int r = proc_run(name ? by_name : by_source,
			 &(struct proc_options) { .stdin_fd = name ? 0 : source, .stdout_fd = out }, e);

	if (r < 0)
		return r;
	r = read_all(out, &b);
	if (r < 0)
		return error_errno(e, -r, "read what loadkeys made");
	if (!is_bkeymap(&b))
		return error_text(e, EINVAL, "make a keymap: loadkeys -b gave no binary keymap");
	*ret = b;
	b = (struct strbuf) { 0 };
	return 0;
}

/* An X keyboard layout, by way of ckbcomp. */
static int from_layout(const char *config, const char *layout, struct strbuf *ret, struct error *e)
{
	static const char *const names[] = { "XKBMODEL", "XKBVARIANT", "XKBOPTIONS" };
	static const char *const options[] = { "-model", "-variant", "-option" };
	_cleanup_(strlist) struct strlist argv = { 0 };
	_cleanup_(fd) int text = memfd_create("layout", MFD_CLOEXEC);

	if (text < 0)
		return error_errno(e, errno, "make a keymap");
	strlist_add(&argv, "ckbcomp");
	strlist_add(&argv, "-layout");
	strlist_add(&argv, layout);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(free) char *value = config_value(config, names[i]);

		if (!value || !*value)
			continue;
		strlist_add(&argv, options[i]);
		strlist_add(&argv, value);
	}
	int r = proc_run((const char *const *)argv.items, &(struct proc_options) { .stdout_fd = text }, e);

	if (r == 0 && lseek(text, 0, SEEK_SET) < 0)
		r = error_errno(e, errno, "make a keymap");
	return r < 0 ? r : run_loadkeys(NULL, text, ret, e);
}

static char *read_config(const struct root *root, const char *path)
{
	_cleanup_(walk) struct walk w = { 0 };
	char *text = NULL;
	struct error ignored;

	/* There need not be one. */
	if (root_walk(root, NULL, path, &w, &ignored) < 0 ||
	    read_file_at(root->fd, w.canonical, max_config, &text, NULL, &ignored) < 0)
		return NULL;
	return text;
}

/* Whatever this machine's console uses. 1, 0 when that is the kernel's own (us), or an error. */
static int from_machine(const struct root *root, char **ret_name, struct strbuf *ret, struct error *e)
{
	_cleanup_(free) char *keyboard = read_config(root, "/etc/default/keyboard");
	_cleanup_(free) char *vconsole = read_config(root, "/etc/vconsole.conf");
	_cleanup_(free) char *layout = keyboard ? config_value(keyboard, "XKBLAYOUT") : NULL;
	_cleanup_(free) char *variant = keyboard ? config_value(keyboard, "XKBVARIANT") : NULL;
	_cleanup_(free) char *map = vconsole ? config_value(vconsole, "KEYMAP") : NULL;
	int r;

	if (map && *map && !streq(map, "us")) {
		*ret_name = xstrdup(map);
		r = run_loadkeys(map, -1, ret, e);
	} else if (layout && *layout && !(streq(layout, "us") && (!variant || !*variant))) {
		*ret_name = xstrdup(layout);
		r = from_layout(keyboard, layout, ret, e);
	} else {
		return 0;
	}
	return r < 0 ? r : 1;
}

int keymap_make(const char *wanted, const struct root *root, struct report *report, struct strbuf *ret,
		struct error *e)
{
	_cleanup_(free) char *name = NULL;
	struct error why;

	if (streq(wanted, "none"))
		return 0;
	if (!streq(wanted, "auto")) {
		int r = run_loadkeys(wanted, -1, ret, e);

		error_prefix(r < 0 ? e : NULL, "keymap = %s", wanted);
		return r < 0 ? r : 1;
	}
	int r = from_machine(root, &name, ret, &why);

	if (r < 0)
		report_warn(report, "the rescue console gets the us keyboard instead of %s: %s", name,
			    why.text);
	return r < 0 ? 0 : r;
}
