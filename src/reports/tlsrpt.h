/* SMTP TLS reports (RFC 8460): how the TLS of deliveries to a domain went in one day. One form for
 * three things, as in reports/aggregate.h: a report of ours, one of somebody else, and what a
 * single connection adds to ours. Texts are cleaned as there. */
#ifndef GATEHOUSE_REPORTS_TLSRPT_H
#define GATEHOUSE_REPORTS_TLSRPT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

enum {
    TLS_POLICIES_MAX = 1000,  /* of one report */
    TLS_FAILURES_MAX = 10000, /* kinds of failures of one policy */
    TLS_STRINGS_MAX = 100,    /* policy-string, mx-host */
    TLS_JSON_MAX = 8 << 20,   /* bytes of JSON */
    TLS_JSON_NESTED = 50000,  /* arrays and objects in it */
    TLS_JSON_VALUES = 500000
};

struct tls_failure {
    struct span type; /* result-type (section 4.3): "certificate-expired" */
    struct span sending_ip, mx, helo, receiving_ip, info, code; /* empty: not told */
    uint64_t count;
};

struct tls_policy {
    struct span type; /* "tlsa", "sts", "no-policy-found" */
    struct span domain;
    struct span *strings, *mx;
    size_t nstrings, nmx;
    uint64_t successes, failures; /* sessions */
    struct tls_failure *v;
    size_t n, cap;
};

struct tls_report {
    struct span org, contact, id;
    int64_t begin, end; /* seconds since 1970 */
    struct tls_policy *policies;
    size_t n, cap;
    size_t left_out;
};

void tls_encode(struct buf *b, const struct tls_report *r);
bool tls_decode(struct cursor *c, struct arena *a, struct tls_report *out);

/* Appends the JSON. */
void tls_write(struct buf *b, const struct tls_report *r);
/* 0, or -1 with e. */
int tls_read(struct span json, struct arena *a, struct tls_report *out, struct err *e);

/* "v=TLSRPTv1; rua=mailto:...,https:...": the addresses of its mailto: URIs, at most `most`; 0 when
 * it is no such record, or names none. */
size_t tls_record_parse(struct arena *a, struct span txt, struct span *out, size_t most);
/* Whether it begins as one. */
bool tls_is_record(struct span txt);

#endif
