/* Time by stage and by rule, when somebody asks (`scan --stats=rules`). Room-private.
 *
 * A scratch gathers one message's times and adds them to totals that may be shared by several
 * processes. Off, it costs a comparison of a pointer with NULL at each place. */
#ifndef GATEHOUSE_RULES_PROFILE_H
#define GATEHOUSE_RULES_PROFILE_H

#include "base/laps.h"
#include "rules/ruleset.h"

struct rule_time {
    uint64_t ns, tries, hits; /* hits: messages */
};

struct stopwatch {
    struct laps laps;
    struct rule_time *rules; /* by index */
    size_t nrules;
    struct rules_profile *total;
};

struct stopwatch *profile_new(size_t nrules, struct rules_profile *total);
void profile_free(struct stopwatch *p);
/* Adds what was gathered to the totals and starts anew. hit: by rule, the number of its hits. */
void profile_message(struct stopwatch *p, const unsigned *hit);

static inline struct laps *profile_laps(struct stopwatch *p)
{
    return p ? &p->laps : NULL;
}

static inline uint64_t profile_start(const struct stopwatch *p)
{
    return p ? laps_now() : 0;
}

/* profile_more: a further part of a try that is counted already. */
static inline void profile_more(struct stopwatch *p, size_t index, uint64_t from)
{
    if (p)
        p->rules[index].ns += laps_now() - from;
}

static inline void profile_rule(struct stopwatch *p, size_t index, uint64_t from)
{
    profile_more(p, index, from);
    if (p)
        p->rules[index].tries++;
}

#endif
