/* What a filter says to an MTA: verdicts, texts of refusal, and the edits that are allowed between
 * the end of the message and its verdict. All append packets to a buffer.
 *
 * A byte 0 can't be told to an MTA; it is left out of strings. Names and values of header fields:
 * folds are LF and white space, no CR (it is left out). With MILTER_LEADING_SPACE a value stands
 * behind the colon as it is given, so it begins with its own space; without it the MTA puts one
 * there. */
#ifndef GATEHOUSE_MILTER_EDIT_H
#define GATEHOUSE_MILTER_EDIT_H

#include "milter/packet.h"

enum milter_verdict {
    MILTER_CONTINUE = 'c',
    MILTER_ACCEPT = 'a',
    MILTER_DISCARD = 'd', /* not at connect and HELO */
    MILTER_REJECT = 'r',
    MILTER_TEMPFAIL = 't',
    MILTER_SKIP = 's' /* answer to a piece of the body, when MILTER_CAN_SKIP was chosen */
};

enum {
    MILTER_REPLY_LINES = 32, /* libmilter's limits */
    MILTER_REPLY_LINE = 980
};

void milter_verdict(struct buf *b, enum milter_verdict v);

/* "550 5.7.1 text", lines separated by LF or CRLF; only the first one carries code and enhanced
 * code, which are repeated in front of the others. Every % is doubled, control characters become
 * '?'; lines beyond the limits are cut. false, and nothing is added, when the code is not 4xx or
 * 5xx, or the class of the enhanced code is another one. */
bool milter_reply_text(struct buf *b, struct span text);

/* ---- edits ---- */

/* Below all others. */
void milter_add_header(struct buf *b, struct span name, struct span value);
/* Before the field that has this index in the message as it is delivered: 0 stands above the MTA's
 * own Received field, 1 below it. */
void milter_insert_header(struct buf *b, uint32_t index, struct span name, struct span value);
/* The nth field of that name, from 1, in the message as it was shown (the MTA's own Received does
 * not count). After a deletion Postfix counts anew and Sendmail does not: go from the last one to
 * the first. */
void milter_change_header(struct buf *b, uint32_t nth, struct span name, struct span value);
void milter_delete_header(struct buf *b, uint32_t nth, struct span name);
/* A piece of the new body (CRLF), of any size; all pieces in a row, nothing between them. An empty
 * body is one empty piece. */
void milter_replace_body(struct buf *b, struct span bytes);
/* Addresses without brackets; args: "RET=FULL ENVID=x", or absent. */
void milter_change_sender(struct buf *b, struct span addr, struct span args);
void milter_add_rcpt(struct buf *b, struct span addr, struct span args);
void milter_delete_rcpt(struct buf *b, struct span addr);
void milter_quarantine(struct buf *b, struct span reason);
/* Still at work: the MTA's clock starts anew. Only after the end of the message. */
void milter_progress(struct buf *b);

#endif
