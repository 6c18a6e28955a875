/* Learning from messages, as SpamAssassin's sa-learn and spamd do it. */
#ifndef GATEHOUSE_RULES_LESSON_H
#define GATEHOUSE_RULES_LESSON_H

#include "learn/store.h"
#include "rules/ruleset.h"

/* Whether the rule files want Bayes at all (plugin Bayes, use_learner, use_bayes). */
bool rules_learn(const struct ruleset *rs);
/* And that clients teach (bayes_learn_during_report). */
bool rules_learn_told(const struct ruleset *rs);
/* How many tokens a store may have before the oldest go (bayes_expiry_max_db_size), and how many
 * stay then; 0 for both: never (bayes_auto_expire 0). */
struct rules_expiry {
    uint64_t most, keep;
};
struct rules_expiry rules_expiry(const struct ruleset *rs);

/* Reads m (without what SpamAssassin or we have written into it) and says what is to be learned;
 * in m's arena, whose exhaustion may jump out. */
void rules_lesson(const struct ruleset *rs, struct message *m, enum learn_class what,
                  struct learn_lesson *out);

/* Auto-learning: what the judgement of m, done by s just now, teaches (facts.rules.learn). false:
 * nothing. */
bool rules_auto_lesson(const struct rules_scratch *s, struct message *m, struct learn_lesson *out);
/* The tokens that decided about m and were not of use for a day: they are to be kept. */
bool rules_touch_lesson(const struct rules_scratch *s, struct message *m, struct learn_lesson *out);

/* What Bayes thinks of m and why, for people: the tokens that decide, the strongest first, or all.
 * m->learned must be there. */
struct rules_opinion_token {
    struct span text; /* as SpamAssassin names them: "H*r:example", "UD:example.com" */
    double probability;
    uint32_t spam, ham;
};
struct rules_bayes {
    bool has_score;
    double score;
    size_t tokens, known;
    struct rules_opinion_token *v;
    size_t n;
};
void rules_bayes(const struct ruleset *rs, struct message *m, bool all, struct rules_bayes *out);

#endif
