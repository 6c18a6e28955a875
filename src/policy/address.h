/* Patterns over addresses and other short texts. */
#ifndef GATEHOUSE_POLICY_ADDRESS_H
#define GATEHOUSE_POLICY_ADDRESS_H

#include "base/span.h"

/* Whether a policy's pattern matches an address, ASCII case folded: "user@dom", "@dom" or "dom",
 * ".dom" (dom and everything below), "user@" (in any domain), "<>" (the null sender), or a glob
 * over the whole address with * and ?. */
bool address_matches(const char *pattern, struct span addr);

/* A glob with * and ? over bytes, ASCII case folded. */
bool glob_matches(struct span glob, struct span text);

#endif
