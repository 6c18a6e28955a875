/* What clients of the scanner protocols (spamd, rspamd) are told beside the decision. */
#ifndef GATEHOUSE_FLOW_ANSWER_H
#define GATEHOUSE_FLOW_ANSWER_H

#include "flow/frames.h"
#include "verdict/verdict.h"

struct conf; /* rules/conf.h */

/* Whether the topmost Received field of m names its client's address: the MTA that asks about the
 * message has put it there. An attacker can do the same, and gains nothing by it but the freedom to
 * choose the names that stand beside his own address. */
bool answer_stamped(const struct message *m);

/* The answer, in m's arena. want: bits of enum scan_want; conf: of the rules that ran, or NULL when
 * none did. A message has one answer, so one group counts for all: of those that get it the
 * strictest; when nobody gets it, the mildest. So nobody loses mail by another one's policy. A
 * virus becomes a hit, because these protocols have no other word for it. */
void answer_make(const struct settings *set, const struct conf *conf, const struct message *m,
                 const struct verdict *v, unsigned want, struct scan_answer *out);

#endif
