/* Which rules may match where, at the cost of one pass over the bytes.
 *
 * Every pattern is taken apart (need.h) into what any match must hold: groups of literals or of
 * short runs of byte sets, one of each group in the same string. Runs with a stretch that is rare
 * in mail are found by it (finder.h), the others by a bit-parallel automaton (shiftand.h). A
 * pattern of which nothing useful can be said is always a candidate. Groups must also stand where
 * they can belong to one match. The answer is a superset; PCRE2 decides. */
#ifndef GATEHOUSE_PATTERN_PREFILTER_H
#define GATEHOUSE_PATTERN_PREFILTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

struct prefilter;
struct prefilter_scratch;

/* pattern: as pattern_pcre gives it. id: what candidates are called. */
struct prefilter_pattern {
    uint32_t id;
    struct span pattern;
    bool guardable; /* an automaton may watch for it instead: for what the filter tells little of */
};

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n);
/* Ids of the patterns that must always be tried. */
const uint32_t *prefilter_always(const struct prefilter *f, size_t *n);
/* Compiled form, for the cache; load checks everything (ids lie below `ids`) and returns NULL when
 * it does not fit. */
void prefilter_save(const struct prefilter *f, struct buf *out);
struct prefilter *prefilter_load(struct arena *a, size_t ids, struct cursor *in);

struct prefilter_scratch *prefilter_scratch_new(void);
/* Once for every filter it is used with, at start. */
void prefilter_scratch_fit(struct prefilter_scratch *s, const struct prefilter *f);
void prefilter_scratch_free(struct prefilter_scratch *s);

/* A match can begin from `first` to `last` only; CANDIDATE_ANYWHERE: or behind. */
#define CANDIDATE_ANYWHERE UINT32_MAX
struct candidate {
    uint32_t id, element;
    uint32_t first, last;
    bool certain; /* for the caller: it is known to match */
};
/* Candidates in order of elements; valid until the next scan, and the caller's to change. */
struct candidate *prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s,
                                 const struct span *elements, size_t n, size_t *found);

#endif
