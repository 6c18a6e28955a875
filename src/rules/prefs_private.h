/* A ruleset under preferences, between its maker and its runner. Room-private. */
#ifndef GATEHOUSE_RULES_PREFS_PRIVATE_H
#define GATEHOUSE_RULES_PREFS_PRIVATE_H

#include "rules/prefs.h"
#include "rules/ruleset_private.h"

/* A rule that is run by itself, without the filter of its subject. */
struct lone_rule {
    struct rule *rule;
    struct subject *subject; /* header and mimeheader rules */
};

struct rules_prefs {
    struct arena *arena;
    const struct ruleset *base;
    struct ruleset set;        /* base, with the changes */
    struct rules_prefs **twin; /* the same while Bayes runs, made at first need */
    bool anew;                 /* the message has to be read and matched again */
    struct lone_rule *lone;
    size_t nlone, lone_cap;
    uint32_t *drop; /* rules whose hits under base do not count, or are found anew */
    size_t ndrop, drop_cap;
};

/* The same preferences with the scores that hold while Bayes runs. */
const struct rules_prefs *rules_prefs_learned(const struct rules_prefs *p);
/* A ruleset without preferences while Bayes runs. */
struct rules_prefs *rules_learned_new(const struct ruleset *rs);

#endif
