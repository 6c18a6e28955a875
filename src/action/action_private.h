/* What the files of this room share. */
#ifndef GATEHOUSE_ACTION_ACTION_PRIVATE_H
#define GATEHOUSE_ACTION_ACTION_PRIVATE_H

#include "action/action.h"
#include "base/buf.h"
#include "rules/report.h"

/* Text of doubtful origin for a header or a reply: other bytes than printable ASCII become '?', and
 * it is cut at max. */
void add_plain(struct buf *b, struct span s, size_t max);
/* A reply: LF stands between its lines. */
void add_plain_lines(struct buf *b, struct span s, size_t max);

/* What the rules' report speaks about for one group: its threshold, its verdict. */
struct report_on spam_report(const struct settings *set, const struct conf *conf,
                             const struct message *m, const struct decision *d, struct arena *a);
/* The X-Spam-* fields of one group, in the style its policy wants; LF line ends. */
void add_spam_headers(struct buf *b, const struct report_on *r, const struct decision *d);

#endif
