/* spamd's replies (semantics 10.1), byte by byte. */
#ifndef GATEHOUSE_SPAMC_REPLY_H
#define GATEHOUSE_SPAMC_REPLY_H

#include "spamc/session.h"

struct spamc_verdict {
    bool spam;
    struct span shown; /* the score as SpamAssassin shows it */
    double score, required;
    struct span names, report;
    /* For RSPAMC alone. */
    const char *action;  /* rspamd's word */
    struct span subject; /* rewritten; or absent */
};

/* Everything in front of the body of the reply. length: of the body. */
void spamc_reply_head(struct buf *b, const struct spamc_request *r, const struct spamc_verdict *v,
                      uint64_t length);
/* The whole reply to CHECK, SYMBOLS, REPORT and REPORT_IFSPAM. */
void spamc_reply(struct buf *b, const struct spamc_request *r, const struct spamc_verdict *v);
/* The reply to TELL: what was done; "local", "remote". */
void spamc_reply_tell(struct buf *b, const struct spamc_tell *did);
/* The reply to RSPAMC, up to the symbols; then one line each, then nothing more. */
void spamc_reply_rspamc(struct buf *b, const struct spamc_verdict *v);
void spamc_reply_symbol(struct buf *b, struct span name, double score);

/* How much of an edited message HEADERS tells: up to and with the first blank line. */
size_t spamc_header_size(struct span message);

#endif
