/* Aggregate reports as bytes between our processes, and what follows from a policy's record. */
#include "reports/aggregate.h"

#include <jansson.h>

#include "auth/dmarc.h"
#include "base/json.h"
#include "base/utf8.h"

struct agg_sum agg_sum(const struct agg_report *r)
{
    struct agg_sum s = {0};
    for (size_t i = 0; i < r->n; i++) {
        const struct agg_row *w = &r->rows[i];
        s.messages += w->count;
        if (span_eq(w->dkim, SPAN("pass")) || span_eq(w->spf, SPAN("pass")))
            s.aligned += w->count;
    }
    return s;
}

struct span agg_clean(struct arena *a, struct span s)
{
    s = span_sub(span_trim(s), 0, AGG_TEXT_MAX);
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        size_t len = utf8_length(span_from(s, at));
        unsigned char c = (unsigned char)s.p[at];
        if (len == 0) { /* cut in the middle, or never valid */
            at++;
            continue;
        }
        if (len == 1 && (c < ' ' || c == 0x7f))
            out[n++] = ' ';
        else
            for (size_t i = 0; i < len; i++)
                out[n++] = s.p[at + i];
        at += len;
    }
    out[n] = 0;
    return span_of(out, n);
}

/* --- between processes --- */

static struct span get(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.n ? arena_dup(a, span_sub(s, 0, AGG_TEXT_MAX)) : SPAN("");
}

/* Texts of a report and of its policy, in the order in which they travel. The record is last: it
 * may be longer. */
#define REPORT_TEXTS(r)                                                                            \
    &(r)->org, &(r)->email, &(r)->contact, &(r)->id, &(r)->error, &(r)->policy.domain,             \
        &(r)->policy.method, &(r)->policy.p, &(r)->policy.sp, &(r)->policy.np, &(r)->policy.adkim, \
        &(r)->policy.aspf, &(r)->policy.pct, &(r)->policy.fo, &(r)->policy.testing
#define ROW_TEXTS(w)                                                                               \
    &(w)->ip, &(w)->disposition, &(w)->dkim, &(w)->spf, &(w)->reason, &(w)->comment,               \
        &(w)->header_from, &(w)->envelope_from, &(w)->envelope_to
#define AUTH_TEXTS(x) &(x)->domain, &(x)->selector, &(x)->scope, &(x)->result, &(x)->human
#define LENGTH(v)     (sizeof(v) / sizeof *(v))

static void put_row(struct buf *b, const struct agg_row *w)
{
    const struct span *texts[] = {ROW_TEXTS(w)};
    for (size_t i = 0; i < LENGTH(texts); i++)
        buf_lstr(b, *texts[i]);
    buf_u64(b, w->count);
    buf_u32(b, (uint32_t)w->nauth);
    for (size_t i = 0; i < w->nauth; i++) {
        const struct agg_auth *x = &w->auth[i];
        const struct span *words[] = {AUTH_TEXTS(x)};
        buf_u8(b, x->spf);
        for (size_t k = 0; k < LENGTH(words); k++)
            buf_lstr(b, *words[k]);
    }
}

void agg_encode(struct buf *b, const struct agg_report *r)
{
    const struct span *texts[] = {REPORT_TEXTS(r)};
    for (size_t i = 0; i < LENGTH(texts); i++)
        buf_lstr(b, *texts[i]);
    buf_lstr(b, r->policy.record);
    buf_u64(b, (uint64_t)r->begin);
    buf_u64(b, (uint64_t)r->end);
    buf_u32(b, (uint32_t)r->n);
    for (size_t i = 0; i < r->n; i++)
        put_row(b, &r->rows[i]);
}

/* The smallest encodings, so that a count can be checked against the bytes that are left. */
enum { ROW_MIN = 9 * 4 + 8 + 4, AUTH_MIN = 1 + 5 * 4 };

static void get_row(struct cursor *c, struct arena *a, struct agg_row *w)
{
    struct span *texts[] = {ROW_TEXTS(w)};
    for (size_t i = 0; i < LENGTH(texts); i++)
        *texts[i] = get(c, a);
    w->count = cursor_u64(c);
    w->nauth = cursor_u32(c);
    if (w->nauth > AGG_AUTHS_MAX || w->nauth > c->rest.n / AUTH_MIN) {
        c->failed = true;
        w->nauth = 0;
    }
    w->auth = arena_array(a, w->nauth, sizeof *w->auth);
    w->auth_cap = w->nauth;
    for (size_t i = 0; i < w->nauth; i++) {
        struct agg_auth *x = &w->auth[i];
        struct span *words[] = {AUTH_TEXTS(x)};
        x->spf = cursor_u8(c) != 0;
        for (size_t k = 0; k < LENGTH(words); k++)
            *words[k] = get(c, a);
    }
}

bool agg_decode(struct cursor *c, struct arena *a, struct agg_report *out)
{
    *out = (struct agg_report){0};
    struct span *texts[] = {REPORT_TEXTS(out)};
    for (size_t i = 0; i < LENGTH(texts); i++)
        *texts[i] = get(c, a);
    out->policy.record = arena_dup(a, span_sub(cursor_lstr(c), 0, DMARC_RECORD_MAX));
    out->begin = (int64_t)cursor_u64(c);
    out->end = (int64_t)cursor_u64(c);
    out->n = out->cap = cursor_u32(c);
    if (out->n > AGG_ROWS_MAX || out->n > c->rest.n / ROW_MIN) {
        c->failed = true;
        out->n = 0;
    }
    out->rows = arena_array(a, out->n, sizeof *out->rows);
    for (size_t i = 0; i < out->n && !c->failed; i++)
        get_row(c, a, &out->rows[i]);
    return !c->failed;
}

/* --- auth results as text --- */

void agg_auth_text(struct buf *b, const struct agg_auth *v, size_t n)
{
    json_open(b, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        json_open(b, NULL, '{');
        json_text(b, "type", v[i].spf ? SPAN("spf") : SPAN("dkim"));
        json_text(b, "domain", v[i].domain);
        if (v[i].selector.n)
            json_text(b, "selector", v[i].selector);
        if (v[i].scope.n)
            json_text(b, "scope", v[i].scope);
        json_text(b, "result", v[i].result);
        if (v[i].human.n)
            json_text(b, "human", v[i].human);
        json_close(b, '{');
    }
    json_close(b, '[');
}

static struct span member(struct arena *a, const json_t *o, const char *name)
{
    const json_t *s = json_object_get(o, name);
    return json_is_string(s) ? agg_clean(a, span_of(json_string_value(s), json_string_length(s)))
                             : SPAN("");
}

bool agg_auth_parse(struct arena *a, struct span text, struct agg_row *out)
{
    json_t *all = json_loadb(text.p, text.n, 0, NULL);
    size_t i;
    json_t *o;
    json_array_foreach(all, i, o)
    {
        if (out->nauth == AGG_AUTHS_MAX)
            break;
        struct agg_auth *x = ARENA_PUSH(a, out->auth, out->nauth, out->auth_cap);
        x->spf = span_eq(member(a, o, "type"), SPAN("spf"));
        x->domain = member(a, o, "domain");
        x->selector = member(a, o, "selector");
        x->scope = member(a, o, "scope");
        x->result = member(a, o, "result");
        x->human = member(a, o, "human");
    }
    bool ok = json_is_array(all);
    json_decref(all);
    return ok;
}

/* --- the policy --- */

void agg_policy_fill(struct arena *a, struct agg_policy *p)
{
    struct dmarc_record r;
    if (!dmarc_parse(a, p->record, &r))
        return;
    p->p = span_str(dmarc_policy_name(r.p));
    p->sp = span_str(dmarc_policy_name(r.sp));
    p->np = span_str(dmarc_policy_name(r.np));
    p->adkim = r.strict_dkim ? SPAN("s") : SPAN("r");
    p->aspf = r.strict_spf ? SPAN("s") : SPAN("r");
    p->pct = arena_printf(a, "%u", r.percent);
    p->fo = r.fo.n ? agg_clean(a, r.fo) : SPAN("0");
    p->testing = r.testing ? SPAN("y") : SPAN("n");
}
