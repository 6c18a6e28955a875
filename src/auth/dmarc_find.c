#include "auth/dmarc.h"

#include <libpsl.h>

#include "auth/name.h"

struct find {
    enum dmarc_method method;
    const struct resolver *resolver;
    struct arena *a;
    struct dmarc_found *out;
    void (*done)(void *ctx);
    void *ctx;
    struct span domain, target; /* where it started, what is asked about now */
    bool waiting, running, ended;
};

struct span dmarc_organisation(struct arena *a, struct span domain)
{
    const char *name = psl_registrable_domain(psl_builtin(), arena_cstr(a, domain));
    return name ? arena_dup(a, span_str(name)) : domain;
}

/* --- the record of one name --- */

/* Several records are as good as none (RFC 7489 section 6.6.3, RFC 9989 section 4.10). */
static bool record_of(struct find *f, const struct dns_answer *a, struct dmarc_record *out)
{
    struct span txt, found = SPAN_NONE;
    for (size_t i = 0; i < a->n; i++) {
        if (!dns_txt_join(a->rdata[i], f->a, &txt) || !dmarc_is_record(txt))
            continue;
        if (found.p)
            return false;
        found = txt;
    }
    return found.p && dmarc_parse(f->a, found, out);
}

static void keep(struct find *f, const struct dmarc_record *record)
{
    f->out->has_record = true;
    f->out->record = *record;
    f->out->record_domain = f->target;
}

/* --- where to ask next --- */

/* RFC 9989 section 4.10.2. The record of the domain itself holds for it; the organisational domain
 * is where psd= says so, else the highest one with a record. */
static void tree_answer(struct find *f, const struct dmarc_record *record)
{
    bool start = span_eq(f->target, f->domain);
    size_t labels = name_labels(f->target);
    if (record) {
        if (record->psd == DMARC_PSD_YES && !start) {
            /* One label below. Policy: of the domain, of its organisation, else of the suffix. */
            f->out->organisation = name_tail(f->domain, labels + 1);
            if (!f->out->has_record || (!span_eq(f->out->record_domain, f->domain) &&
                                        !span_eq(f->out->record_domain, f->out->organisation)))
                keep(f, record);
            f->ended = true;
            return;
        }
        f->out->organisation = f->target;
        if (!f->out->has_record || !span_eq(f->out->record_domain, f->domain))
            keep(f, record);
        if (record->psd != DMARC_PSD_UNKNOWN) {
            f->ended = true;
            return;
        }
    }
    if (labels <= 1)
        f->ended = true;
    else
        f->target = name_tail(f->target, labels > DMARC_WALK_MAX ? DMARC_WALK_MAX - 1 : labels - 1);
}

static void suffix_answer(struct find *f, const struct dmarc_record *record)
{
    if (record)
        keep(f, record);
    f->ended = record || span_eq(f->target, f->out->organisation);
    f->target = f->out->organisation;
}

static void advance(struct find *f);

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct find *f = ctx;
    struct dmarc_record record;
    bool found = a->status == DNS_OK && record_of(f, a, &record);
    f->waiting = false;
    if (a->status == DNS_TEMPFAIL)
        f->out->tempfail = f->ended = true;
    else if (f->method == DMARC_TREE)
        tree_answer(f, found ? &record : NULL);
    else
        suffix_answer(f, found ? &record : NULL);
    advance(f);
}

static void ask(struct find *f)
{
    struct span name = arena_printf(f->a, "_dmarc.%.*s", SPAN_ARG(f->target));
    f->waiting = true;
    if (name_fits(name)) {
        resolver_ask(f->resolver, name, DNS_TXT, on_answer, f);
    } else {
        const struct dns_answer none = {.status = DNS_NONE};
        on_answer(f, &none);
    }
}

static void advance(struct find *f)
{
    if (f->running)
        return;
    f->running = true;
    while (!f->waiting && !f->ended)
        ask(f);
    f->running = false;
    if (!f->waiting) {
        void (*done)(void *ctx) = f->done;
        done(f->ctx);
    }
}

void dmarc_find(enum dmarc_method method, struct span domain, const struct resolver *r,
                struct arena *a, struct dmarc_found *out, void (*done)(void *ctx), void *ctx)
{
    struct find *f = ARENA_NEW(a, struct find);
    *f = (struct find){.method = method,
                       .resolver = r,
                       .a = a,
                       .out = out,
                       .done = done,
                       .ctx = ctx,
                       .domain = domain,
                       .target = domain};
    *out = (struct dmarc_found){0};
    out->organisation = method == DMARC_SUFFIX ? dmarc_organisation(a, domain) : domain;
    advance(f);
}
