/* Words and numbers on a page of HTML. Everything foreign goes through page_name() or page_lines(). */
#pragma once
#include "base/str.h"

#include <time.h>

/* Text of our own, or that is known to be text: only the characters that HTML takes for itself are escaped, also
 * inside quoted attributes. */
void page_text(struct strbuf *b, const char *s);
/* Bytes as proof_quote() shows them; NULL or "": a dash. */
void page_name(struct strbuf *b, const char *s);
/* The same, of at most so many characters, the last of which is an ellipsis where there are more. */
void page_name_short(struct strbuf *b, const char *s, size_t most);
/* What a console said, as proof_lines() reads it. */
void page_lines(struct strbuf *b, const char *s);

void page_count(struct strbuf *b, uint64_t n); /* 27,500 */
void page_size(struct strbuf *b, uint64_t bytes); /* 1.2 GiB */
void page_seconds(struct strbuf *b, double seconds); /* 4.2 s, 1 min 23 s, 2 h 05 min */
void page_time(struct strbuf *b, time_t t); /* 2026-01-31 23:59:59 UTC */
void page_png(struct strbuf *b, const unsigned char *png, size_t len); /* data:image/png;base64,... */
