/* Patterns as rule files write them: delimiters, modifiers, and what Perl and PCRE2 spell
 * differently (semantics 2.5). */
#ifndef GATEHOUSE_PATTERN_PATTERN_H
#define GATEHOUSE_PATTERN_PATTERN_H

#include "base/arena.h"
#include "base/buf.h"
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
/* -1: Perl refuses it, or warns, which SpamAssassin takes for a mistake of the rule's author. */
int pattern_refuse(struct span p, struct span mods, struct err *e);

/* --- pattern_check.c: the same of single elements --- */

/* An escape, class or byte, and what follows it; `captures`: groups of the whole pattern. */
int pattern_check_token(struct span t, struct span rest, size_t captures, struct err *e);
/* What opens a group. */
int pattern_check_group(struct span t, enum pattern_opening kind, struct err *e);
/* The letters of modifiers: "i", "aa-x". */
int pattern_check_flags(struct span flags, struct err *e);

/* --- pattern_perl.c: what only Perl has --- */

/* "\x{263a}", "\N{U+263a}", "\o{400}", "\777", "\N{SNOWMAN}": the number; -1: something else. */
long pattern_code_point(struct span t, size_t captures);
/* A property's bytes as a class's inside: "\p{Punct}" in that of PCRE2; false: as it is. */
bool pattern_property(struct buf *b, struct span t, bool caseless);
/* The lookbehind that opens at `at`, as alternatives of fixed length; 0 when it is that already,
 * or can't be, else how many bytes of the pattern it stands for. */
size_t pattern_lookbehind(struct buf *b, struct span p, size_t at);

/* Length of the pattern's element at `at`: an escape with its braces, a class, or one byte. */
size_t pattern_token(struct span p, size_t at);

#endif
