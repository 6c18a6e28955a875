/* Mail addresses in running text, as FreeMail's pattern sees them (semantics 8.4). */
#ifndef GATEHOUSE_RULES_EMAIL_PATTERN_H
#define GATEHOUSE_RULES_EMAIL_PATTERN_H

#include "uri/uri.h"

struct email_place {
    size_t start, end;
};

/* The first address that starts at or after `from`. */
bool email_find(const struct uri_tables *t, struct span s, size_t from, struct email_place *out);

/* Takes out of a line: web addresses with a mail address in them, and mail addresses in <> or
 * followed by a word and a colon ("a@b.com wrote:"). Each leaves a space. The line itself when
 * nothing is found. */
struct span email_strip_uris(struct arena *a, struct span s);
struct span email_strip_quoted(const struct uri_tables *t, struct arena *a, struct span s);

#endif
