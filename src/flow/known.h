/* What mail of the same domains was like before: reputation of domains that SPF or a signature
 * vouches for, learned from each verdict. Needs message.memory; without it nothing is said. */
#ifndef GATEHOUSE_FLOW_KNOWN_H
#define GATEHOUSE_FLOW_KNOWN_H

#include "config/settings.h"
#include "message/message.h"

/* The sender is authenticated (or not): facts "reputation.domain" and "reputation.dkim". */
void known_recall(const struct settings *set, struct message *m);
/* The verdict is there. */
void known_learn(const struct settings *set, const struct message *m);

#endif
