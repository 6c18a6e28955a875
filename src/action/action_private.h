/* What the files of this room share. */
#ifndef GATEHOUSE_ACTION_ACTION_PRIVATE_H
#define GATEHOUSE_ACTION_ACTION_PRIVATE_H

#include "action/action.h"
#include "base/buf.h"
#include "rules/report.h"

/* One field of the header block, as it stands in the message. */
struct field {
    struct span name;  /* without white space before the colon */
    struct span value; /* after the colon, with its folds, without the last line end */
    uint64_t at, size; /* the whole field with its line end */
};
/* Finds the next field at or after *at and moves *at behind it; lines without colon are passed
 * over. false at the blank line that ends the header block, or at the end. */
bool field_next(struct span raw, uint64_t *at, struct field *f);

/* Where new header fields go: 0, or behind an mbox "From " line. */
uint64_t header_start(struct span raw);
/* "\r\n" or "\n": how the first line ends. */
const char *line_end(struct span raw);

/* Text of doubtful origin for a header or a reply: other bytes than printable ASCII become '?', and
 * it is cut at max. */
void add_plain(struct buf *b, struct span s, size_t max);

/* What the rules' report speaks about for one group: its threshold, its verdict. */
struct report_on spam_report(const struct settings *set, const struct conf *conf,
                             const struct message *m, const struct decision *d, struct arena *a);
/* The X-Spam-* fields of one group, in the style its policy wants. */
void add_spam_headers(struct buf *b, const struct report_on *r, const struct decision *d,
                      const char *eol);

#endif
