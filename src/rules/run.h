/* The steps of one judgement, for those who repeat some of them. Room-private. */
#ifndef GATEHOUSE_RULES_RUN_H
#define GATEHOUSE_RULES_RUN_H

#include "rules/ruleset_private.h"

struct rules_prefs;

/* What is left of a judgement for opinions: hits before the metas, and the message as read. */
struct kept_hits {
    struct hit *v;
    unsigned *count; /* of each */
    double *value;
    size_t n;
    struct rules_ctx *ctx;
};

/* What rules see of c->mime: relays, text, attachments. */
void run_texts(struct rules_ctx *c, struct laps *laps);
/* Every rule but the metas. */
void run_rules(struct rules_ctx *c);
/* Rules that p has on its own, after those of the base. */
void run_lone_rules(struct rules_ctx *c, const struct rules_prefs *p);
/* The hits of the base that count under p, after run_rules. */
void run_sift(struct rules_ctx *c, const struct rules_prefs *p);
/* Metas, and what ends the judgement early. */
void run_ending(struct rules_ctx *c);

void run_function(struct rules_ctx *c, struct rule *r); /* an eval or uri_detail rule */
void run_mime_rule(struct rules_ctx *c, const struct subject *s, struct rule *r);
struct span run_pristine(const struct rules_ctx *c); /* the message as `full` rules see it */

#endif
