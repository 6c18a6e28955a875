/* What rules cost (`gatehouse check --cost`). */
#ifndef GATEHOUSE_CLI_CHECK_COST_H
#define GATEHOUSE_CLI_CHECK_COST_H

#include <jansson.h>

#include "config/settings.h"
#include "rules/ruleset.h"

/* Measured on the messages of paths (ended by NULL), judged without the network; estimated from the
 * patterns when there are none. Printed, or returned as JSON. NULL: printed, or nothing could be
 * judged: then *failed, and why is on standard error. */
json_t *check_cost(const struct settings *s, const struct ruleset *rs, char **paths, bool json,
                   bool *failed);

#endif
