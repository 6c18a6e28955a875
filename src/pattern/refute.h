/* Whether a pattern can match at all, told fast: PCRE2's machine code, a few kB a pattern that lie
 * in no near cache, is asked only where this says "maybe".
 *
 * Each pattern's tree (tree.h) becomes a small program for a backtracking interpreter; the programs
 * of all patterns lie one behind the other and share one table of byte sets. A program matches at
 * least what its pattern matches: what is not understood, or would make it too long, counts as
 * matched. A try that takes too many steps answers "maybe" too. */
#ifndef GATEHOUSE_PATTERN_REFUTE_H
#define GATEHOUSE_PATTERN_REFUTE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"

struct refuter;

enum {
    REFUTE_PROGRAM = 60000,   /* bytes of one program; what comes behind counts as matched */
    REFUTE_STEPS = 500,       /* of one try */
    REFUTE_STEPS_A_BYTE = 4,  /* more, for each byte of the string */
    REFUTE_STEPS_MAX = 100000 /* however long the string is */
};

/* Patterns are numbered from 0 to n - 1. */
struct refuter_maker;
struct refuter_maker *refuter_maker_new(size_t n);
/* pattern: as pattern_pcre gives it. Those that are tried together are best added together. */
void refuter_add(struct refuter_maker *m, uint32_t number, struct span pattern);
/* Frees the maker; the refuter lives in the arena. */
struct refuter *refuter_finish(struct refuter_maker *m, struct arena *a);

/* For the cache; load checks that everything can be run and returns NULL when it can't. */
void refuter_save(const struct refuter *r, struct buf *out);
struct refuter *refuter_load(struct arena *a, size_t n, struct cursor *in);

/* Places, both included. */
struct places {
    size_t first, last;
};

/* REFUTED: no match begins in `at`. REFUTE_MAYBE: some may, but none in front of the new at->first.
 * REFUTE_CERTAIN: there is one, there or behind. */
enum refuted { REFUTED, REFUTE_MAYBE, REFUTE_CERTAIN };
enum refuted refuter_ask(const struct refuter *r, uint32_t number, struct span s,
                         struct places *at);

/* Whether there is a program that can tell something. */
bool refuter_knows(const struct refuter *r, uint32_t number);
size_t refuter_size(const struct refuter *r);

/* Soon this one will be asked for. */
void refuter_prefetch(const struct refuter *r, uint32_t number);

#endif
