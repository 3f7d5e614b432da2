/* Foreign bytes as text for a record: names so that the bytes can be had back, what a console said so that a person
 * can read it. What comes out is UTF-8 without control characters and without those that turn a line around. */
#pragma once
#include "base/str.h"

/* Appends a name: bytes that cannot be shown, and \, are \OOO, as in a set's listing. str_unquote() has it back. */
void proof_quote(struct strbuf *b, const char *s);

/* Appends what a terminal was sent as plain lines: its commands are left out, what begins a line anew begins a new
 * one, and what is no text becomes U+FFFD. Done twice it changes nothing. */
void proof_lines(struct strbuf *b, const char *data, size_t len);
