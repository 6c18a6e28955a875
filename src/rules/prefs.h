/* Preferences of users over a ruleset: other scores, lists, thresholds and headers, as SpamAssassin
 * reads them from user_prefs and SQL (semantics 2.8).
 *
 * The rules judge a message once; under preferences only that is done anew which depends on them:
 * functions over changed lists, rules that were switched on or off, metas, the sum. Preferences
 * that change how a message is read (trusted_networks and the like) run everything again. */
#ifndef GATEHOUSE_RULES_PREFS_H
#define GATEHOUSE_RULES_PREFS_H

#include "rules/ruleset.h"

struct rules_prefs; /* immutable; shared by all messages of a thread */

/* One text of preference lines: a file, the rows of a database. */
struct prefs_text {
    const char *name; /* for problems; copied */
    struct span text; /* copied */
};

/* Later texts override earlier ones. rs must outlive the result. Lines that can't be used, or that
 * users may not say, are problems and cost only themselves. user_rules: definitions of rules are
 * taken although the rule files do not say allow_user_rules. */
struct rules_prefs *rules_prefs_new(const struct ruleset *rs, const struct prefs_text *v, size_t n,
                                    bool user_rules);
void rules_prefs_free(struct rules_prefs *p);
size_t rules_prefs_size(const struct rules_prefs *p); /* bytes of memory */
const struct rule_problem *rules_prefs_problems(const struct rules_prefs *p, size_t *n);

/* With keep, rules_run leaves behind what rules_opinion needs; costs a copy of the hits. */
void rules_scratch_keep(struct rules_scratch *s, bool keep);

/* The answer under p for the message that s has just judged (rules_run, keep set). In the message's
 * arena; p must live as long. What was cut off by limits is added to m->facts.skipped. */
struct opinion *rules_opinion(struct rules_scratch *s, struct message *m,
                              const struct rules_prefs *p);

#endif
