/* What other processes have for the store, as bytes: what a message or a connection adds to reports
 * of ours, and reports of others that came by mail. One blob holds any number of items. */
#ifndef GATEHOUSE_REPORTS_ITEM_H
#define GATEHOUSE_REPORTS_ITEM_H

#include "reports/store.h"

enum { ITEMS_MAX = 24 << 20 }; /* bytes of the items of one message */

void item_saw(struct buf *b, const struct agg_report *r);
void item_saw_tls(struct buf *b, const struct tls_report *r);
void item_put(struct buf *b, const struct agg_report *r, const struct report_origin *o);
void item_put_tls(struct buf *b, const struct tls_report *r, const struct report_origin *o);

struct items_done {
    /* Each report of others; may be NULL. */
    void (*told)(void *ctx, enum report_stored what, struct span org, struct span id,
                 struct span domain, const struct report_origin *o);
    void *ctx;
    uint64_t stored, refused, unreadable;
};
/* Carries out what the blob says, in the transaction that is open. 0, or -1 and e: nothing of it
 * is to stay. What can't be decoded is counted and passed over. */
int items_apply(struct report_store *s, struct span blob, struct items_done *done, struct err *e);

#endif
