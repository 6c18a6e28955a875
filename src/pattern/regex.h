/* A Perl regular expression over bytes, as SpamAssassin compiles them (semantics section 0, 2.5):
 * PCRE2 with Latin-1 case folding and ASCII classes, JIT, match limits always.
 *
 * Compiled at first use, once, by whichever thread comes first. Patterns the 8-bit library finds
 * too large (its link size is 2) go to the 32-bit library on a widened subject. The compiled code
 * lives as long as the arena. */
#ifndef GATEHOUSE_PATTERN_REGEX_H
#define GATEHOUSE_PATTERN_REGEX_H

#include "base/arena.h"
#include "base/err.h"

struct regex;

/* text: without delimiters, with its modifiers as "(?i)" prefix or in `mods` ("ims"). Only the form
 * is checked here; regex_check compiles. NULL on a pattern that is refused, reason in e. */
struct regex *regex_new(struct arena *a, struct span text, struct span mods, struct err *e);

/* SpamAssassin's notation with delimiters: "/.../i", "m{...}x". */
struct regex *regex_new_delimited(struct arena *a, struct span text, struct err *e);

/* Compiles now. -1: it can't be compiled, reason in e; such a regex never matches. */
int regex_check(const struct regex *r, struct err *e);
/* The same, and makes what a giant is led by, which else its first use does. */
void regex_warm(const struct regex *r);

/* How much one match may cost (PCRE2's match and depth limits); 0 keeps the default. */
enum { REGEX_MATCH_LIMIT = 1000000, REGEX_DEPTH_LIMIT = 20000 };
void regex_set_limits(struct regex *r, uint32_t match, uint32_t depth);

/* Whether `from` of regex_exec decides what it matches (\G), not only where the search begins. */
bool regex_is_bound(const struct regex *r);
/* Before its first use: it will be used for one message, which machine code is not worth. */
void regex_set_brief(struct regex *r);

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

/* Whether its further matches can be counted at once, without where they are; and how many begin at
 * or behind `from`, at most `most`. */
bool regex_counts(const struct regex *r);
size_t regex_count(const struct regex *r, struct span subject, size_t from, size_t most);

/* The i-th named group: its number, or 0 when there are no more. */
unsigned regex_named_group(const struct regex *r, size_t i, struct span *name);

/* How often a limit was reached in this thread so far. */
unsigned long regex_limit_hits(void);
/* Whether an automaton tells where matches may begin: of patterns that were slow in vain. */
bool regex_is_led(const struct regex *r);
/* From now on matches of this thread get a part of their limit on steps; 1: all of it. */
void regex_tighten(unsigned divisor);

#endif
