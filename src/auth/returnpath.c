#include "auth/returnpath.h"

#include <stdlib.h>

#include "auth/keyfile.h"
#include "auth/name.h"
#include "base/log.h"
#include "base/xalloc.h"

struct returnpath {
    struct arena *arena;
    const struct settings *set;
    struct srs srs, batv; /* nsecrets 0: it is off, or its file can't be read */
};

static void open_kind(struct returnpath *r, struct srs *out, const char *file,
                      returnpath_problem_fn *problem, void *ctx)
{
    struct secrets found;
    struct err e;
    if (secrets_read(file, r->arena, &found, &e) > 0) {
        out->secrets = found.v;
        out->nsecrets = found.n;
    } else if (problem) {
        problem(ctx, e.text);
    } else {
        log_event(LOG_FAULT, NULL, "return-path-key-unusable", F_STR("why", e.text));
    }
}

struct returnpath *returnpath_open(const struct settings *set, returnpath_problem_fn *problem,
                                   void *ctx)
{
    if (!set->srs.domain && set->batv.domains.n == 0)
        return NULL;
    struct returnpath *r = xcalloc(1, sizeof *r);
    r->arena = arena_new(0);
    r->set = set;
    r->srs = (struct srs){.domain = set->srs.domain, .max_age = set->srs.lifetime};
    r->batv = (struct srs){.max_age = set->batv.lifetime};
    if (set->srs.domain && set->srs.key_file)
        open_kind(r, &r->srs, set->srs.key_file, problem, ctx);
    if (set->batv.domains.n && set->batv.key_file)
        open_kind(r, &r->batv, set->batv.key_file, problem, ctx);
    return r;
}

void returnpath_free(struct returnpath *r)
{
    if (!r)
        return;
    arena_free(r->arena);
    free(r);
}

static struct span domain_of(struct arena *a, struct span address)
{
    size_t at = span_rfind(address, '@');
    struct span domain = at == SIZE_MAX ? SPAN("") : span_from(address, at + 1), out;
    return name_canonical(a, domain, &out) ? out : arena_lower(a, domain);
}

/* "example.org", or ".example.org" and all below it. */
static bool batv_has(const struct returnpath *r, struct span domain)
{
    for (size_t i = 0; i < r->set->batv.domains.n; i++) {
        struct span entry = span_str(r->set->batv.domains.v[i]);
        bool below = entry.n && entry.p[0] == '.';
        if (span_ieq(span_from(entry, below), domain) || (below && span_iends(domain, entry)))
            return true;
    }
    return false;
}

void returnpath_read(const struct returnpath *r, struct arena *a, struct span rcpt, usec now,
                     struct returnpath_found *out)
{
    *out = (struct returnpath_found){.kind = RETURN_NOT};
    if (!r)
        return;
    if (r->set->srs.domain &&
        (out->result = srs_reverse(&r->srs, a, rcpt, now, &out->address)) != SRS_NONE) {
        out->kind = RETURN_SRS;
        out->unknown = r->srs.nsecrets == 0;
    } else if (batv_has(r, domain_of(a, rcpt)) &&
               (out->result = batv_verify(&r->batv, a, rcpt, now, &out->address)) != SRS_NONE) {
        out->kind = RETURN_BATV;
        out->unknown = r->batv.nsecrets == 0;
    }
}

bool returnpath_wants_tag(const struct returnpath *r, struct span domain)
{
    return r && r->batv.nsecrets && batv_has(r, domain);
}

enum returnpath_kind returnpath_kind(const struct returnpath *r, struct arena *a,
                                     struct span sender, bool ours)
{
    if (!r || !sender.n)
        return RETURN_NOT;
    if (batv_has(r, domain_of(a, sender)))
        return r->batv.nsecrets ? RETURN_BATV : RETURN_NOT;
    return !ours && r->srs.nsecrets ? RETURN_SRS : RETURN_NOT;
}

enum returnpath_made returnpath_make(const struct returnpath *r, struct arena *a,
                                     enum returnpath_kind kind, struct span sender, usec now,
                                     struct span *out)
{
    struct span made = sender;
    *out = sender;
    bool fits = kind == RETURN_SRS    ? srs_forward(&r->srs, a, sender, now, &made)
                : kind == RETURN_BATV ? batv_sign(&r->batv, a, sender, now, &made)
                                      : true;
    if (!fits)
        return RETURN_TOO_LONG;
    *out = made;
    return span_eq(made, sender) ? RETURN_SAME : RETURN_CHANGED;
}
