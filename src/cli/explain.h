/* `gatehouse scan --explain`. */
#ifndef GATEHOUSE_CLI_EXPLAIN_H
#define GATEHOUSE_CLI_EXPLAIN_H

#include "cli/format.h"

/* What the policies do with a judged message, at which stage and why, for each recipient. */
void explain_judged(struct buf *out, const struct judged *j, const struct policy_set *ps,
                    bool as_json);

#endif
