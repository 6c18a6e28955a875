/* Patterns as rule files write them: delimiters, modifiers, and what Perl and PCRE2 spell
 * differently (semantics 2.5). Room-private. */
#ifndef GATEHOUSE_RULES_PATTERN_H
#define GATEHOUSE_RULES_PATTERN_H

#include "base/arena.h"
#include "base/err.h"

#include <limits.h>

/* Whether c is one of the bytes of a set; NUL never is (strchr finds the end of the set). */
static inline bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Takes "/.../i", "m{...}x", "qr!...!" apart by SpamAssassin's rules. -1: refused, reason in e. */
int pattern_split(struct span text, struct span *pattern, struct span *mods, struct err *e);
/* The same without requiring delimiters: a bare pattern is taken as it is. */
int pattern_split_loose(struct span text, struct span *pattern, struct span *mods, struct err *e);

/* The pattern for PCRE2: "(?mods)" in front, Perl's character-set modifiers (a, aa, d, l, u) and p
 * dropped, "{,n}" written as "{0,n}". Copied only where something changes. */
struct span pattern_pcre(struct arena *a, struct span pattern, struct span mods);

/* The same pattern with its repeated groups as subroutines, for when it is too large otherwise;
 * absent when nothing can be gained. */
struct span pattern_factor(struct arena *a, struct span pattern);

/* --- pattern_group.c --- */

enum pattern_opening {
    OPENS_PLAIN,
    OPENS_CAPTURE,
    OPENS_NAMED, /* internal */
    OPENS_LOOK,
    OPENS_CONDITION, /* with its condition: "(?(1)" */
    OPENS_FLAGS,     /* all of it: "(?i)" */
    OPENS_COMMENT,   /* all of it */
    OPENS_ATOM       /* all of it: "(?R)", "(?&name)", "(*FAIL)" */
};
/* Length of what opens the group at `at`, and which kind it is. */
size_t pattern_group(struct span p, size_t at, enum pattern_opening *kind);
size_t pattern_captures(struct span p);
/* Length of the "{n,m}" that s begins with, 0 when it does not; *max is UINT_MAX for "{n,}". */
size_t pattern_braces(struct span s, unsigned *min, unsigned *max);
/* -1: something without width is repeated in a way that Perl warns about. */
int pattern_check_width(struct span p, struct span mods, struct err *e);

/* Length of the pattern's element at `at`: an escape with its braces, a class, or one byte. */
size_t pattern_token(struct span p, size_t at);

#endif
