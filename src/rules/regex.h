/* A Perl regular expression over bytes, as SpamAssassin compiles them (semantics section 0, 2.5):
 * PCRE2 with Latin-1 case folding and ASCII classes, JIT where it pays, match limits always.
 * Room-private; also used by evals. Compiled lazily: regex_new only checks the form when `check`. */
#ifndef GATEHOUSE_RULES_REGEX_H
#define GATEHOUSE_RULES_REGEX_H

#include "base/arena.h"
#include "base/err.h"

struct regex;

/* text: without delimiters, with its modifiers as "(?i)" prefix or in `mods` ("ims"). NULL on a
 * pattern that can't be compiled, reason in e. Owned by the arena of the ruleset (and freed with it by
 * regex_free_all of that arena's owner). */
struct regex *regex_new(struct arena *a, struct span text, struct span mods, struct err *e);

/* SpamAssassin's notation with delimiters: "/.../i", "m{...}x". */
struct regex *regex_new_delimited(struct arena *a, struct span text, struct err *e);

enum { REGEX_GROUPS = 10 };
struct regex_match {
    size_t start, end; /* of the whole match */
    struct {
        size_t start, end; /* SIZE_MAX when unset */
    } group[REGEX_GROUPS]; /* group[0] is the whole */
};

/* First match at or after `from`: 1 match, 0 none, -1 limit reached (counted, reported by name). */
int regex_exec(const struct regex *r, struct span subject, size_t from, struct regex_match *m);
static inline bool regex_hit(const struct regex *r, struct span subject)
{
    return regex_exec(r, subject, 0, NULL) == 1;
}

#endif
