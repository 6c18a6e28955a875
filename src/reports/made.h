/* A report of ours, finished: from the store's rows to the attachment, and to the mail that carries
 * it. */
#ifndef GATEHOUSE_REPORTS_MADE_H
#define GATEHOUSE_REPORTS_MADE_H

#include "config/settings.h"
#include "reports/store.h"

struct report_made {
    enum reports_kind kind;
    struct span domain;    /* about which */
    struct span submitter; /* the domain of reports.from */
    struct span id;     /* the same for the same day, domain and policy, however often it is made */
    struct span name;   /* of the file: "us!them!BEGIN!END!ID.xml.gz" */
    struct span text;   /* XML or JSON */
    struct span packed; /* gzip */
    uint64_t rows, good, bad;
    int64_t begin, end;
};
/* In the arena; the rows it is made of are not kept. 0, or -1 and e. */
int report_make(const struct settings *set, struct report_store *s, enum reports_kind kind,
                const struct report_item *item, bool text, struct arena *a, struct report_made *out,
                struct err *e);
/* Bytes of the attachment in a mail. */
uint64_t report_mailed_size(const struct report_made *r);
/* Appends the mail, CRLF line ends. now: its date. */
void report_mail(const struct settings *set, const struct report_made *r, struct span to, usec now,
                 struct buf *out);

#endif
