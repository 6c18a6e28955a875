/* Questions to the engine about parts of a message.
 *
 * Which parts of an infected message are the infected ones, and whether it is clean without them:
 * the engine is asked about the decoded bytes of each part, then about the message with the parts
 * cut out in which it found something: by the same edits that will be made. Only when it finds
 * nothing in that is the message one that can be cleaned. Fills facts.virus.parts, cleanable and
 * uncleanable. */
#ifndef GATEHOUSE_FLOW_CLEANING_H
#define GATEHOUSE_FLOW_CLEANING_H

#include "config/settings.h"
#include "message/message.h"
#include "virus/virus.h"

typedef void cleaning_done(void *ctx);

/* What ClamAV does not look at when it is asked about a message: parts that are no text right below
 * multipart/signed and multipart/parallel (1.4.6; found by test_virus_gateway.py). Mail programs
 * show them as attachments, so the engine is asked about them alone. cleaning_blind: whether there
 * may be such parts. */
bool cleaning_blind(const struct message *m);
/* Only for a message that was found clean; what is found becomes the answer for the message. As
 * cleaning_run in all else. */
void cleaning_look(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                   cleaning_done *done, void *ctx);

/* since: when the scan of the message began (monotonic); from then on all of it has
 * virus.scan_timeout. done is called once, now or later. */
void cleaning_run(struct virus_pool *p, const struct settings *set, struct message *m, usec since,
                  cleaning_done *done, void *ctx);

#endif
