/* Sending the reports of a day: a few at a time, each to where its domain wants it, at no more than
 * reports.rate a minute.
 *
 * A report that was stored for sending is marked and not sent again; so is one that nobody wants.
 * When the DNS does not answer it is left for the next run. A crash between storing and marking
 * sends it twice, under the same id. */
#ifndef GATEHOUSE_REPORTS_DISPATCH_H
#define GATEHOUSE_REPORTS_DISPATCH_H

#include "dns/dns.h"
#include "reports/keeper.h"
#include "reports/made.h"

struct dispatch;

/* What became of a report at one destination; of the report as a whole where `to` is empty. Valid
 * during the call. */
struct dispatch_line {
    const struct report_made *made; /* NULL: it was not made, domain alone is known */
    struct span domain, to;
    const char *outcome; /* "sent", "would be sent", or why not */
    bool sent;
};

struct dispatch_numbers {
    uint64_t reports, mails, skipped, failed, later;
};

struct dispatch_events {
    /* Puts the mail on its way. stored is to be called once, perhaps from inside; bytes are valid
     * during the call. */
    void (*send)(void *ctx, const struct report_made *r, struct span to, struct span bytes,
                 void (*stored)(void *stored_ctx, bool ok, const char *why), void *stored_ctx);
    void (*told)(void *ctx, const struct dispatch_line *l); /* may be NULL */
    /* The last call. why: NULL, or why it came to nothing. */
    void (*done)(void *ctx, const struct dispatch_numbers *n, const char *why);
};

struct dispatch_order {
    enum reports_kind kind;
    int64_t day;        /* its begin, seconds since 1970 */
    struct span domain; /* this one alone; empty: all */
    bool dry;           /* nothing is sent or marked */
    bool again;         /* also what was sent already */
};

struct dispatch *dispatch_start(uv_loop_t *loop, const struct settings *set, struct keeper *k,
                                struct dns *dns, const struct dispatch_order *o,
                                const struct dispatch_events *ev, void *ctx);
/* Ends it after the reports at hand; done comes. */
void dispatch_stop(struct dispatch *d);

/* The day before, as its begin. */
int64_t dispatch_yesterday(usec now);
/* "2026-11-21", "yesterday", "today". */
bool dispatch_day(struct span text, usec now, int64_t *begin);

#endif
