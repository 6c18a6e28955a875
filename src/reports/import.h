/* Reports of others, out of whatever they come in: a mail, a gzip or zip file, bare XML or JSON.
 * Pure: bytes in, reports out. Limits: reports/pack.h, reports/aggregate.h, reports/tlsrpt.h, and
 * those below. */
#ifndef GATEHOUSE_REPORTS_IMPORT_H
#define GATEHOUSE_REPORTS_IMPORT_H

#include "reports/aggregate.h"
#include "reports/tlsrpt.h"

enum {
    IMPORT_PARTS_MAX = 32,     /* attachments of one mail that are looked at */
    IMPORT_REPORTS_MAX = 64,   /* reports out of one mail or file */
    IMPORT_OPEN_MAX = 64 << 20 /* bytes unpacked out of it, all together */
};

struct import {
    /* One of them for each report; spans are valid during the call. */
    void (*agg)(void *ctx, const struct agg_report *r);
    void (*tls)(void *ctx, const struct tls_report *r);
    /* Something that looked like a report and can't be read; may be NULL. */
    void (*problem)(void *ctx, const char *why);
    void *ctx;
    size_t reports, problems; /* how many there were */
    size_t unpacked;          /* bytes */
};
void import_bytes(struct import *im, struct span bytes);

#endif
