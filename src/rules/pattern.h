/* Patterns as rule files write them: delimiters, modifiers, and what Perl and PCRE2 spell
 * differently (semantics 2.5). Room-private. */
#ifndef GATEHOUSE_RULES_PATTERN_H
#define GATEHOUSE_RULES_PATTERN_H

#include "base/arena.h"
#include "base/err.h"

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

/* Length of the pattern's element at `at`: an escape with its braces, a class, or one byte. */
size_t pattern_token(struct span p, size_t at);

#endif
