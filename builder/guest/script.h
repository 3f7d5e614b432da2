/* What is done at a guest's console, as text: the keys of one section of conf/ini.h's grammar, in their order
 * (lifeboat-script(5) explains each). `boot --script` has one in a file, a drill one for each of its phases. */
#pragma once
#include "base/str.h"
#include "conf/ini.h"
#include "guest/console.h"

struct script_step {
	const struct script_verb *verb;
	char *value;
	unsigned line;
};
struct script {
	char *file; /* for messages */
	struct script_step *steps;
	size_t count, capacity;
};
void script_free(struct script *s);
DEFINE_CLEANUP(script, struct script, script_free)

/* Adds the keys that a script has to `keys`, which has room for SCRIPT_KEYS_MAX more. Returns how many. */
enum { SCRIPT_KEYS_MAX = 16 };
size_t script_keys(struct ini_key *keys);

/* Adds the steps of a section that ini_check() found good; keys that are no steps are passed over. */
void script_from_section(const struct ini *ini, const struct ini_section *section, struct script *s);
/* Adds a step as if it stood on that line. */
void script_add(struct script *s, const char *key, const char *value, unsigned line);
/* Reads a file with the one section [script]. */
int script_load(const char *path, struct script *ret, struct error *e);

/* The guest that a script talks to. */
struct script_guest {
	struct console *console;
	/* Tells the guest's management console something; NULL: it has none. As mconsole_send(). */
	int (*control)(void *user, const char *command, unsigned seconds, char **ret_answer, struct error *e);
	void *user;
	unsigned limit; /* seconds that each step may take, until the script says otherwise; 0: 120 */
};

/* The rescue system's shell, from its menu. One that begins to recover by itself is stopped before. */
int script_rescue_shell(struct console *console, unsigned seconds, struct error *e);
/* Types a command at a shell's prompt: what it prints, and its exit status. The caller frees. */
int script_command(struct console *console, const char *command, unsigned seconds, char **ret_output,
		   int *ret_status, struct error *e);

/* Does the steps. The first that fails is the error, "FILE:LINE: …". -EPIPE: the guest ended before its end was
 * waited for. `*ret_ended`: the last step waited for the guest's end. */
int script_run(const struct script *s, const struct script_guest *guest, bool *ret_ended, struct error *e);
