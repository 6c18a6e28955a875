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
    struct ruleset set; /* base, with the changes */
    bool anew;          /* the message has to be read and matched again */
    struct lone_rule *lone;
    size_t nlone, lone_cap;
    uint32_t *drop; /* rules whose hits under base do not count, or are found anew */
    size_t ndrop, drop_cap;
};

#endif
