/* Which parts of an infected message are the infected ones, and whether it is clean without them.
 *
 * The engine is asked about the decoded bytes of each part, then about the message with the parts
 * cut out in which it found something: by the same edits that will be made. Only when it finds
 * nothing in that is the message one that can be cleaned. Fills facts.virus.parts, cleanable and
 * uncleanable. */
#ifndef GATEHOUSE_FLOW_CLEANING_H
#define GATEHOUSE_FLOW_CLEANING_H

#include "config/settings.h"
#include "message/message.h"
#include "virus/virus.h"

/* since: when the scan of the message began (monotonic); from then on all of it has
 * virus.scan_timeout. done is called once, now or later. */
typedef void cleaning_done(void *ctx);
void cleaning_run(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                  cleaning_done *done, void *ctx);

#endif
