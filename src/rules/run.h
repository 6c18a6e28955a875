/* The steps of one judgement, for those who repeat some of them. Room-private. */
#ifndef GATEHOUSE_RULES_RUN_H
#define GATEHOUSE_RULES_RUN_H

#include "rules/ruleset_private.h"

/* What is left of a judgement for opinions: hits before the metas, and the message as read. */
struct kept_hits {
    struct hit *v;
    size_t n;
    struct rules_ctx *ctx;
};

/* What rules see of c->mime: relays, text, attachments. */
void run_texts(struct rules_ctx *c, struct laps *laps);
/* Every rule but the metas. */
void run_rules(struct rules_ctx *c);
/* Metas, and what ends the judgement early. */
void run_ending(struct rules_ctx *c);

void run_function(struct rules_ctx *c, struct rule *r); /* an eval or uri_detail rule */
void run_mime_rule(struct rules_ctx *c, const struct subject *s, struct rule *r);
struct span run_pristine(const struct rules_ctx *c); /* the message as `full` rules see it */

#endif
