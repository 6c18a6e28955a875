/* TLS reports: between our processes, as JSON, and the record that asks for them. */
#include "reports/tlsrpt.h"

#include "base/json.h"
#include "reports/aggregate.h"
#include "reports/rua.h"

/* --- between processes --- */

static struct span get(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.n ? arena_dup(a, span_sub(s, 0, AGG_TEXT_MAX)) : SPAN("");
}

static size_t get_count(struct cursor *c, size_t most, size_t smallest)
{
    size_t n = cursor_u32(c);
    if (n <= most && n <= c->rest.n / smallest)
        return n;
    c->failed = true;
    return 0;
}

#define FAILURE_TEXTS(f)                                                                           \
    &(f)->type, &(f)->sending_ip, &(f)->mx, &(f)->helo, &(f)->receiving_ip, &(f)->info, &(f)->code
enum { FAILURE_TEXTS_N = 7 };

static void put_list(struct buf *b, const struct span *v, size_t n)
{
    buf_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        buf_lstr(b, v[i]);
}

static void put_policy(struct buf *b, const struct tls_policy *p)
{
    buf_lstr(b, p->type);
    buf_lstr(b, p->domain);
    put_list(b, p->strings, p->nstrings);
    put_list(b, p->mx, p->nmx);
    buf_u64(b, p->successes);
    buf_u64(b, p->failures);
    buf_u32(b, (uint32_t)p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct span *texts[] = {FAILURE_TEXTS(&p->v[i])};
        for (size_t k = 0; k < FAILURE_TEXTS_N; k++)
            buf_lstr(b, *texts[k]);
        buf_u64(b, p->v[i].count);
    }
}

void tls_encode(struct buf *b, const struct tls_report *r)
{
    buf_lstr(b, r->org);
    buf_lstr(b, r->contact);
    buf_lstr(b, r->id);
    buf_u64(b, (uint64_t)r->begin);
    buf_u64(b, (uint64_t)r->end);
    buf_u32(b, (uint32_t)r->n);
    for (size_t i = 0; i < r->n; i++)
        put_policy(b, &r->policies[i]);
}

static struct span *get_list(struct cursor *c, struct arena *a, size_t *n)
{
    *n = get_count(c, TLS_STRINGS_MAX, 4);
    struct span *v = arena_array(a, *n, sizeof *v);
    for (size_t i = 0; i < *n; i++)
        v[i] = get(c, a);
    return v;
}

static void get_policy(struct cursor *c, struct arena *a, struct tls_policy *p)
{
    p->type = get(c, a);
    p->domain = get(c, a);
    p->strings = get_list(c, a, &p->nstrings);
    p->mx = get_list(c, a, &p->nmx);
    p->successes = cursor_u64(c);
    p->failures = cursor_u64(c);
    p->n = p->cap = get_count(c, TLS_FAILURES_MAX, FAILURE_TEXTS_N * 4 + 8);
    p->v = arena_array(a, p->n, sizeof *p->v);
    for (size_t i = 0; i < p->n; i++) {
        struct span *texts[] = {FAILURE_TEXTS(&p->v[i])};
        for (size_t k = 0; k < FAILURE_TEXTS_N; k++)
            *texts[k] = get(c, a);
        p->v[i].count = cursor_u64(c);
    }
}

bool tls_decode(struct cursor *c, struct arena *a, struct tls_report *out)
{
    enum { POLICY_MIN = 2 * 4 + 2 * 4 + 2 * 8 + 4 };
    *out = (struct tls_report){0};
    out->org = get(c, a);
    out->contact = get(c, a);
    out->id = get(c, a);
    out->begin = (int64_t)cursor_u64(c);
    out->end = (int64_t)cursor_u64(c);
    out->n = out->cap = get_count(c, TLS_POLICIES_MAX, POLICY_MIN);
    out->policies = arena_array(a, out->n, sizeof *out->policies);
    for (size_t i = 0; i < out->n && !c->failed; i++)
        get_policy(c, a, &out->policies[i]);
    return !c->failed;
}

/* --- as JSON (section 4.4) --- */

static void put_time(struct buf *b, const char *key, int64_t t)
{
    struct tm tm;
    char text[32];
    time_t seconds = (time_t)t;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_text(b, key, span_str(text));
}

static void write_list(struct buf *b, const char *key, const struct span *v, size_t n)
{
    if (!n)
        return;
    json_open(b, key, '[');
    for (size_t i = 0; i < n; i++)
        json_text(b, NULL, v[i]);
    json_close(b, '[');
}

static void write_text(struct buf *b, const char *key, struct span s)
{
    if (s.n)
        json_text(b, key, s);
}

static void write_failure(struct buf *b, const struct tls_failure *f)
{
    json_open(b, NULL, '{');
    json_text(b, "result-type", f->type);
    write_text(b, "sending-mta-ip", f->sending_ip);
    write_text(b, "receiving-mx-hostname", f->mx);
    write_text(b, "receiving-mx-helo", f->helo);
    write_text(b, "receiving-ip", f->receiving_ip);
    json_count(b, "failed-session-count", f->count);
    write_text(b, "additional-information", f->info);
    write_text(b, "failure-reason-code", f->code);
    json_close(b, '{');
}

static void write_policy(struct buf *b, const struct tls_policy *p)
{
    json_open(b, NULL, '{');
    json_open(b, "policy", '{');
    json_text(b, "policy-type", p->type);
    write_list(b, "policy-string", p->strings, p->nstrings);
    json_text(b, "policy-domain", p->domain);
    write_list(b, "mx-host", p->mx, p->nmx);
    json_close(b, '{');
    json_open(b, "summary", '{');
    json_count(b, "total-successful-session-count", p->successes);
    json_count(b, "total-failure-session-count", p->failures);
    json_close(b, '{');
    if (p->n) {
        json_open(b, "failure-details", '[');
        for (size_t i = 0; i < p->n; i++)
            write_failure(b, &p->v[i]);
        json_close(b, '[');
    }
    json_close(b, '{');
}

void tls_write(struct buf *b, const struct tls_report *r)
{
    json_open(b, NULL, '{');
    json_text(b, "organization-name", r->org);
    json_open(b, "date-range", '{');
    put_time(b, "start-datetime", r->begin);
    put_time(b, "end-datetime", r->end);
    json_close(b, '{');
    json_text(b, "contact-info", r->contact);
    json_text(b, "report-id", r->id);
    json_open(b, "policies", '[');
    for (size_t i = 0; i < r->n; i++)
        write_policy(b, &r->policies[i]);
    json_close(b, '[');
    json_close(b, '{');
    buf_char(b, '\n');
}

/* --- the record (section 3) --- */

bool tls_is_record(struct span txt)
{
    return span_eq(span_trim(span_sub(txt, 0, span_find(txt, ';'))), SPAN("v=TLSRPTv1"));
}

size_t tls_record_parse(struct arena *a, struct span txt, struct span *out, size_t most)
{
    size_t n = 0;
    if (!tls_is_record(txt))
        return 0;
    while (txt.n && n == 0) {
        struct span one = span_trim(span_word(&txt, ";"));
        if (!span_istarts(one, SPAN("rua")))
            continue;
        size_t equals = span_find(one, '=');
        struct span uris = equals == SIZE_MAX ? SPAN_NONE : span_from(one, equals + 1);
        while (uris.n && n < most) {
            struct span address;
            if (rua_mailto(a, span_trim(span_word(&uris, ",")), &address))
                out[n++] = address;
        }
    }
    return n;
}
