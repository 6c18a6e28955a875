/* Shortcircuit: rules that end the judgement. Room-private. */
#ifndef GATEHOUSE_RULES_SHORTCIRCUIT_H
#define GATEHOUSE_RULES_SHORTCIRCUIT_H

#include "rules/ruleset_private.h"

/* At load, once rules and their priorities are known. */
void shortcircuit_prepare(struct ruleset *rs);

/* When all rules have run: takes back the hits that would not have happened, adds SHORTCIRCUIT with
 * a score of its own (scratch->shortcircuit_score), sets the tags. */
void shortcircuit_run(struct rules_ctx *c);

#endif
