/* DMARC aggregate reports: what a receiver saw of a domain's mail in one day, counted by source and
 * result. Written as RFC 9990 has it (policies found by tree walk) or as RFC 7489 appendix C
 * (public suffix list), read in both forms and in those that are seen beside them.
 *
 * One form for three things: a report of ours, one that came from somebody else, and what a single
 * message adds to ours (a report of one row with count 1). Addresses of people have no place in it:
 * of envelopes it holds domains.
 *
 * Everything read is a stranger's: texts are valid UTF-8 without control characters, at most
 * AGG_TEXT_MAX bytes; words with a closed meaning hold one of their values. */
#ifndef GATEHOUSE_REPORTS_AGGREGATE_H
#define GATEHOUSE_REPORTS_AGGREGATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

enum {
    AGG_TEXT_MAX = 512,     /* bytes of a text; what is longer is cut */
    AGG_ROWS_MAX = 50000,   /* of one report; more are left out */
    AGG_AUTHS_MAX = 20,     /* DKIM and SPF results of one row (RFC 9990 allows 100) */
    AGG_AUTHS_ALL = 200000, /* of one report */
    AGG_POLICIES_MAX = 4,   /* reports of ours about one domain and day: its record changed */
    AGG_DEPTH_MAX = 16,     /* elements within elements */
    AGG_XML_MAX = 32 << 20  /* bytes of XML */
};

struct agg_auth {
    bool spf; /* else dkim */
    struct span domain;
    struct span selector; /* dkim */
    struct span scope;    /* spf: "mfrom" or "helo", or empty */
    struct span result;
    struct span human;
};

struct agg_row {
    struct span ip; /* as ip_text has it */
    uint64_t count;
    struct span disposition;                             /* "none", "quarantine", "reject" */
    struct span dkim, spf;                               /* aligned: "pass", "fail" */
    struct span reason, comment;                         /* of the first override; empty: none */
    struct span header_from, envelope_from, envelope_to; /* domains; empty: not told */
    struct agg_auth *auth;
    size_t nauth, auth_cap;
};

struct agg_policy {
    struct span domain; /* where the record stands */
    struct span record; /* its text; known for reports of ours alone */
    struct span method; /* "treewalk", "psl", or empty */
    struct span p, sp, np, adkim, aspf, pct, fo, testing; /* empty: not told */
};

struct agg_report {
    struct span org, email, contact, id, error;
    int64_t begin, end; /* seconds since 1970 */
    struct agg_policy policy;
    struct agg_row *rows;
    size_t n, cap;
    size_t left_out; /* rows that can't be read or are too many */
};

/* Messages of a report, and how many of them are aligned by DKIM or SPF. */
struct agg_sum {
    uint64_t messages, aligned;
};
struct agg_sum agg_sum(const struct agg_report *r);

/* Between processes. Decoding copies into the arena and checks every length. */
void agg_encode(struct buf *b, const struct agg_report *r);
bool agg_decode(struct cursor *c, struct arena *a, struct agg_report *out);
/* Auth results alone, as text (JSON) for the store; and back: false when it is none. */
void agg_auth_text(struct buf *b, const struct agg_auth *v, size_t n);
bool agg_auth_parse(struct arena *a, struct span text, struct agg_row *out);

/* What dmarc_parse makes of policy.record, into the other fields of policy. */
void agg_policy_fill(struct arena *a, struct agg_policy *p);

/* Appends the XML. The form follows policy.method: "psl" is RFC 7489's. */
void agg_write(struct buf *b, const struct agg_report *r);
/* 0, or -1 with e. Document type declarations (and with them entities) are refused. */
int agg_read(struct span xml, struct arena *a, struct agg_report *out, struct err *e);

/* A text of a stranger as all texts here are: trimmed, cut, valid, without control characters. */
struct span agg_clean(struct arena *a, struct span s);

#endif
