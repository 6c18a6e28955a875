/* What Bayes makes of a message: its tokens, what is known of them, one probability (semantics 9).
 * Room-private; learning itself is asked for through rules/lesson.h. */
#ifndef GATEHOUSE_RULES_BAYES_H
#define GATEHOUSE_RULES_BAYES_H

#include "learn/store.h"
#include "rules/context.h"

struct bayes_token {
    unsigned char id[LEARN_TOKEN_SIZE];
    struct span text;
    double p;
    struct learn_seen_token seen;
};

/* One message's answer; made once. */
struct bayes {
    struct learn_tokens tokens;
    struct span ids; /* of them, for the store */
    bool tokenized, judged, has_score;
    double score;
    uint32_t spam, ham; /* messages that were learned */
    struct bayes_token *v;
    size_t n, spammy, hammy; /* those that decided, the strongest first */
    size_t known;            /* tokens that the store has */
};

/* Whether rules of Bayes run: it is wanted, and enough was learned. */
bool bayes_available(const struct rules_ctx *c);
/* The message's tokens. scanned: with what is only worked out when a message is judged. */
const struct bayes *bayes_tokens(struct rules_ctx *c, bool scanned);
/* NULL: it has no opinion. */
const struct bayes *bayes_judge(struct rules_ctx *c);

/* The message's identity as SpamAssassin makes it, and its Message-ID without brackets (absent when
 * it has none); when it came (seconds). */
struct span bayes_made_id(struct rules_ctx *c);
struct span bayes_msgid(struct rules_ctx *c);
uint32_t bayes_time(struct rules_ctx *c);
/* bayes_ignore_from, bayes_ignore_to. */
bool bayes_ignores(struct rules_ctx *c);

/* The ruleset with the scores that hold while Bayes runs (sets 2 and 3), made at first need. */
struct rules_prefs;
const struct rules_prefs *bayes_view(struct rules_scratch *s);

#endif
