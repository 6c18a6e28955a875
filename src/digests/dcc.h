/* DCC: what dccifd is told and what it answers (its ASCII protocol, dccifd(8); the X-DCC field,
 * dcc(8)). Bytes in, bytes out. */
#ifndef GATEHOUSE_DIGESTS_DCC_H
#define GATEHOUSE_DIGESTS_DCC_H

#include "base/buf.h"
#include "message/message.h"

enum dcc_op {
    DCC_CHECK, /* count the message and tell the counts */
    DCC_QUERY, /* only tell them */
    DCC_REPORT /* count it as spam, as if to many */
};

/* What goes in front of the message: options, client, HELO, sender, recipients. Sender and
 * recipients stay here: "unknown", as SpamAssassin says it. */
void dcc_head(struct buf *out, enum dcc_op op, const struct peer *peer);

/* The answer of dccifd: two lines of results, then the X-DCC field, folded. Fills state, header,
 * brand and counts; false: something else (f->why tells). */
bool dcc_answer(struct span answer, struct dcc_fact *f);
/* "X-DCC-BRAND-Metrics: HOST 1049; Body=1 Fuz1=many rep=5%": the counts of one field. */
bool dcc_counts(struct span field, struct dcc_fact *f);

#endif
