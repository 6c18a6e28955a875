/* Reports in <state>/reports.db (SQLite): those in the making (what we see, counted), those that
 * came from others, and which of ours were sent. One writer at a time; readers beside it.
 *
 * A report of ours has the begin of its day, its domain and its policy as its key; each message
 * adds to the counts of one row. A report of others is kept once: the same organisation and report
 * id again is a duplicate, and refused, unless the one that is there was not authenticated and the
 * new one is. */
#ifndef GATEHOUSE_REPORTS_STORE_H
#define GATEHOUSE_REPORTS_STORE_H

#include "base/clock.h"
#include "reports/aggregate.h"
#include "reports/tlsrpt.h"

enum { REPORTS_DAY = 86400 }; /* seconds */

enum reports_kind { REPORTS_DMARC, REPORTS_TLS };
const char *reports_kind_name(enum reports_kind k);

/* Who brought a report of others. */
struct report_origin {
    usec at;
    struct span sender; /* domain of the mail's author, or the file; may be empty */
    bool verified;      /* DMARC says that it is from there */
};

enum report_stored { REPORT_FAILED_TO_STORE = -1, REPORT_STORED, REPORT_DUPLICATE, REPORT_NO_ROOM };

struct report_store;
struct report_store *report_store_open(const char *state, struct err *e);
struct report_store *report_store_open_read(const char *state, struct err *e);
/* Bytes of the database from which on reports of others are REPORT_NO_ROOM; 0 (as at first): any.
 */
void report_store_limit(struct report_store *s, uint64_t bytes);
void report_store_close(struct report_store *s);
/* After a failure: a damaged file is moved aside and a new one begun. */
void report_store_heal(struct report_store *s);

int report_store_begin(struct report_store *s, struct err *e);
int report_store_commit(struct report_store *s, struct err *e);
void report_store_rollback(struct report_store *s);

/* Adds to our report of the day that r->begin lies in. */
int report_store_saw(struct report_store *s, const struct agg_report *r, struct err *e);
int report_store_saw_tls(struct report_store *s, const struct tls_report *r, struct err *e);
/* One of others. */
enum report_stored report_store_put(struct report_store *s, const struct agg_report *r,
                                    const struct report_origin *o, struct err *e);
enum report_stored report_store_put_tls(struct report_store *s, const struct tls_report *r,
                                        const struct report_origin *o, struct err *e);

/* Removes up to `most` reports of each kind that ended before that time, with what belongs to them.
 * How many, or -1 and e. */
int report_store_expire(struct report_store *s, usec before, int most, struct err *e);

/* --- ours, to be sent --- */
struct report_item {
    int64_t serial, begin;
    struct span domain, policy; /* policy: the record (DMARC) */
    struct span method;
    uint64_t rows;
    bool sent;
};
/* In the arena; of a day. 0, or -1 and e. */
int report_store_day(struct report_store *s, enum reports_kind kind, int64_t begin, struct arena *a,
                     struct report_item **out, size_t *n, struct err *e);
int report_store_load(struct report_store *s, int64_t serial, struct arena *a,
                      struct agg_report *out, struct err *e);
int report_store_load_tls(struct report_store *s, int64_t serial, struct arena *a,
                          struct tls_report *out, struct err *e);
/* outcome: "sent", "nobody asks", ...; it will not be tried again. */
int report_store_done(struct report_store *s, enum reports_kind kind, int64_t serial,
                      struct span outcome, struct err *e);

/* --- for people --- */
struct report_filter {
    bool ours;
    struct span domain; /* and all below it; absent: any */
    int64_t from, to;   /* reports whose begin is in [from, to) */
    size_t limit;       /* sources; 0: all */
};

/* One line of the list of reports. Spans are valid during the call. */
struct report_line {
    int64_t serial, begin, end;
    struct span domain, org, id, sender, outcome;
    bool verified;
    uint64_t good, bad; /* messages aligned or not; sessions with TLS or without */
};
typedef void report_line_fn(void *ctx, const struct report_line *l);
int report_store_list(struct report_store *s, enum reports_kind kind, const struct report_filter *f,
                      report_line_fn *line, void *ctx, struct err *e);

/* DMARC by domain and source address, most messages first. */
struct report_source {
    struct span domain, ip;
    uint64_t messages, dkim, spf, aligned; /* aligned: by either */
    uint64_t none, quarantined, rejected;
    uint64_t reports;
};
typedef void report_source_fn(void *ctx, const struct report_source *x);
int report_store_sources(struct report_store *s, const struct report_filter *f,
                         report_source_fn *source, void *ctx, struct err *e);

/* TLS by domain, policy and, for failures, type and exchanger. */
struct report_tls_line {
    struct span domain, policy;
    uint64_t successes, failures; /* of the policy; 0, 0 on lines of failures */
    struct span type, mx, code;   /* of failures */
    uint64_t count;
};
typedef void report_tls_fn(void *ctx, const struct report_tls_line *x);
int report_store_tls(struct report_store *s, const struct report_filter *f, report_tls_fn *line,
                     void *ctx, struct err *e);

#endif
