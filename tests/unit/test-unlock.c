/* A machine that asks for a passphrase when it starts is given the key file's, once for each question. */
#include "base/fs.h"
#include "guest/console.h"
#include "guest/guest.h"
#include "guest/proof_run.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static struct error e;

struct lab {
	struct tempdir dir;
	struct console console;
	int guest_fd;
	struct proof proof;
	struct proof_wanted wanted;
	struct proof_run run;
	struct guest_live guest;
	struct proof_asked asked;
	char *key_file;
};

static void lab_open(struct lab *l, const char *key)
{
	*l = (struct lab) { .dir = TEMPDIR_NONE, .console = CONSOLE_NONE };
	CHECK_OK(tempdir_make(&l->dir, &e));
	CHECK_OK(console_open(NULL, &l->console, &l->guest_fd, &e));
	proof_begin(&l->proof);
	l->key_file = xasprintf("%s/key", l->dir.path);
	if (key) {
		CHECK_OK(write_file_at(l->dir.fd, "key", 0600, key, strlen(key), &e));
		l->wanted.key_file = l->key_file;
	}
	l->run = (struct proof_run) {
		.wanted = &l->wanted, .proof = &l->proof, .temp = TEMPDIR_NONE, .keeper = KEEPER_NONE
	};
	l->guest = (struct guest_live) { .console = &l->console };
}

static void lab_close(struct lab *l)
{
	proof_asked_free(&l->asked);
	proof_free(&l->proof);
	console_close(&l->console);
	(void)close(l->guest_fd);
	tempdir_remove(&l->dir);
	free(l->key_file);
}

static int unlock(struct lab *l, const char *said)
{
	return proof_unlock(&l->run, &l->guest, said, "", &l->asked, &e);
}

/* What was typed since, without waiting for more. */
static const char *typed(struct lab *l)
{
	static char text[256];
	struct pollfd p = { .fd = l->guest_fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 100) > 0 ? read(l->guest_fd, text, sizeof(text) - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text;
}

TEST(each_question_is_answered_once)
{
	static const char first[] = "loading\r\nPlease unlock disk vda5_crypt: ",
			  opened[] =
				  "loading\r\nPlease unlock disk vda5_crypt: ****\r\nset up successfully\r\n",
			  second[] =
				  "loading\r\nPlease unlock disk vda5_crypt: ****\r\nset up successfully\r\n"
				  "Please enter passphrase for disk data (home): ";
	struct lab l;

	lab_open(&l, "a secret");
	CHECK_INT(unlock(&l, "loading\r\n"), 0);
	CHECK_INT(unlock(&l, "loading\r\nPlease unlock di"), 0);
	CHECK_STR(typed(&l), "");
	CHECK_INT(unlock(&l, first), 1);
	CHECK_STR(typed(&l), "a secret\n");
	CHECK_INT(unlock(&l, first), 0);
	CHECK_INT(unlock(&l, opened), 0);
	CHECK_STR(typed(&l), "");
	CHECK_INT(unlock(&l, second), 1);
	CHECK_STR(typed(&l), "a secret\n");
	CHECK_INT(l.proof.event_count, 2);
	CHECK_STR(l.proof.events[0].text,
		  "asked 'Please unlock disk vda5_crypt', and was given the key file's passphrase");
	lab_close(&l);
}

TEST(what_cannot_be_answered)
{
	static const struct {
		const char *key, *want;
	} cases[] = {
		{ NULL, "it asks 'Enter passphrase for hd0,gpt2 (01234)', and there is no --key-file" },
		{ "\x01\x02", "cannot be typed: not only ASCII letters" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lab l;

		lab_open(&l, cases[i].key);
		CHECK(unlock(&l, "Enter passphrase for hd0,gpt2 (01234): ") < 0);
		CHECK(strstr(e.text, cases[i].want) != NULL);
		CHECK_STR(typed(&l), "");
		lab_close(&l);
	}
}

/* A key file is often written with an editor. */
TEST(a_newline_behind_the_passphrase)
{
	struct lab l;

	lab_open(&l, "a secret\n");
	CHECK_INT(unlock(&l, "Please unlock disk x:"), 1);
	CHECK_STR(typed(&l), "a secret\n");
	lab_close(&l);
}

TAP_MAIN()
