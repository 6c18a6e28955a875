/* One message judged (semantics 7.1). */
#include "rules/ruleset_private.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "relays/template.h"
#include "rules/bayes.h"
#include "rules/eval_state.h"
#include "rules/geo.h"
#include "rules/plugin.h"
#include "rules/prefs_private.h"
#include "rules/report_private.h"
#include "rules/run.h"
#include "rules/shortcircuit.h"

struct rules_scratch *rules_scratch_new(const struct ruleset *rs)
{
    struct rules_scratch *s = xcalloc(1, sizeof *s);
    size_t n = rs->nrules + 1;
    s->set = rs;
    s->value = xcalloc(n, sizeof *s->value);
    s->count = xcalloc(n, sizeof *s->count);
    s->limited = xcalloc(n, sizeof *s->limited);
    s->doubts = xcalloc(n, sizeof *s->doubts);
    s->arena = arena_new(0);
    s->touched = arena_array(s->arena, 2 * n, sizeof *s->touched); /* what was taken back may hit */
    s->subrules = arena_array(s->arena, n / 64 + 1, sizeof *s->subrules);
    s->absent = xcalloc(rs->nsubjects + 1, sizeof *s->absent);
    s->prefilter = prefilter_scratch_new();
    s->templates = template_memory_new();
    s->headers = header_requests_new();
    for (size_t i = 0; i < rs->nsubjects; i++)
        if (rs->subjects[i].prefilter)
            prefilter_scratch_fit(s->prefilter, rs->subjects[i].prefilter);
    return s;
}

void rules_scratch_free(struct rules_scratch *s)
{
    if (!s)
        return;
    prefilter_scratch_free(s->prefilter);
    template_memory_free(s->templates);
    header_requests_free(s->headers);
    profile_free(s->profile);
    free(s->value);
    free(s->count);
    free(s->limited);
    free(s->doubts);
    arena_free(s->arena);
    for (size_t i = 0; i < s->set->nsubjects; i++)
        free(s->absent[i].v);
    free(s->absent);
    rules_prefs_free(s->learned);
    free(s);
}

static void reset(struct rules_scratch *s, struct arena *a)
{
    const struct ruleset *rs = s->set;
    for (size_t i = 0; i < s->ntouched; i++)
        s->value[s->touched[i]] = s->count[s->touched[i]] = 0;
    s->ntouched = 0;
    memset(s->subrules, 0, (rs->nrules / 64 + 1) * sizeof *s->subrules);
    s->hits = NULL;
    s->nhits = s->hits_cap = 0;
    s->adjusted.rule = NULL;
    s->tags = map_in(a);
    s->lesson = NULL;
}

/* --- headers --- */

static void run_header_subject(struct rules_ctx *c, size_t place, struct subject *s)
{
    struct span text;
    bool there = header_get_at(c, place, &text);
    lap(profile_laps(c->scratch->profile), STAGE_HEADERS);
    if (there)
        match_subject(c, s, &text, 1);
    else
        match_absent(c, s);
}

/* Requests that are made of other headers are always asked for. */
static void run_headers(struct rules_ctx *c)
{
    const struct ruleset *rs = c->set;
    const struct mime_fields *f = &c->mime->root->fields;
    for (size_t i = 0; i < rs->nheaders; i++) {
        const struct header_place *h = &rs->headers[i];
        bool maybe = h->made_of_others || mime_may_have(f, h->name_bit);
        if (!maybe && !h->may_hit_absent)
            continue;
        struct subject *s = &rs->subjects[h->subject];
        if (maybe)
            run_header_subject(c, i, s);
        else
            match_absent(c, s);
        lap(profile_laps(c->scratch->profile), STAGE_CONFIRM);
    }
}

/* --- MIME headers --- */

/* The value of one node; raw ones are "" when missing, and if-unset counts only for the others. */
static struct span node_value(struct rules_ctx *c, const struct subject *s, struct mime_part *p,
                              struct span if_unset)
{
    if (span_ieq(s->name, SPAN("ALL"))) {
        struct buf b = {0};
        for (size_t i = 0; i < p->fields.n; i++) {
            buf_add(&b, p->fields.v[i].name);
            buf_str(&b, ": ");
            buf_add(&b, mime_decoded(c->mime, &p->fields.v[i]));
            buf_str(&b, "\n");
        }
        struct span out = arena_dup(c->a, buf_span(&b));
        buf_free(&b);
        return out;
    }
    struct mime_field *f = mime_last(&p->fields, s->name);
    if (!f)
        return s->raw ? SPAN("") : if_unset;
    return s->raw ? f->raw : mime_decoded(c->mime, f);
}

void run_mime_rule(struct rules_ctx *c, const struct subject *s, struct rule *r)
{
    unsigned node = 0;
    if (r->negate) {
        hit_add(c, r, 1, SPAN_NONE);
        return;
    }
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!p->type.n)
            continue;
        node++;
        if (r->def->range_to && (node < r->def->range_from || node > r->def->range_to))
            continue;
        struct span v = node_value(c, s, p, r->def->if_unset);
        match_rule(c, r, &v, 1, 0);
        if (c->scratch->count[r->index])
            return;
    }
}

static void run_mime_subject(struct rules_ctx *c, struct subject *s)
{
    struct span *values = NULL;
    size_t n = 0, cap = 0;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p))
        if (p->type.n)
            *ARENA_PUSH(c->a, values, n, cap) = node_value(c, s, p, SPAN(""));
    if (n)
        match_subject(c, s, values, n);
}

static void run_mime_headers(struct rules_ctx *c)
{
    for (size_t i = 0; i < c->set->nmimeheaders; i++) {
        struct subject *s = c->set->mimeheaders[i];
        run_mime_subject(c, s);
        for (size_t k = 0; k < s->nspecial; k++)
            run_mime_rule(c, s, s->special[k]);
    }
}

/* --- evals --- */

static bool detail_matches(const struct detail_test *t, const struct regex *re, const struct uri *u)
{
    bool any = false;
    if (span_eq(t->key, SPAN("raw")))
        any = regex_hit(re, u->key);
    for (size_t i = 0; span_eq(t->key, SPAN("type")) && i < u->ntypes; i++)
        any |= regex_hit(re, span_str(u->types[i])) != t->negate;
    for (size_t i = 0; span_eq(t->key, SPAN("cleaned")) && i < u->ncleaned; i++)
        any |= regex_hit(re, u->cleaned[i]) != t->negate;
    for (size_t i = 0; span_eq(t->key, SPAN("text")) && i < u->nanchors; i++)
        any |= regex_hit(re, u->anchors[i]) != t->negate;
    for (size_t i = 0; span_eq(t->key, SPAN("domain")) && i < u->nhosts; i++)
        any |= regex_hit(re, u->domains[i]) != t->negate;
    for (size_t i = 0; span_eq(t->key, SPAN("host")) && i < u->nhosts; i++)
        any |= regex_hit(re, u->hosts[i]) != t->negate;
    return span_eq(t->key, SPAN("raw")) ? any != t->negate : any;
}

static void run_uri_detail(struct rules_ctx *c, struct rule *r)
{
    for (size_t i = 0; i < c->text->uris.n; i++) {
        bool all = true;
        for (size_t k = 0; all && k < r->def->ndetails; k++)
            all = detail_matches(&r->def->details[k], r->details[k], &c->text->uris.v[i]);
        if (all) {
            hit_add(c, r, 1, c->text->uris.v[i].key);
            return;
        }
    }
}

static void run_eval(struct rules_ctx *c, struct rule *r)
{
    unsigned long before = regex_limit_hits();
    double value = r->call->def->fn(c, r->call);
    if (value != 0)
        hit_add(c, r, value, SPAN_NONE);
    if (regex_limit_hits() != before)
        hit_limited(c, r);
}

void run_function(struct rules_ctx *c, struct rule *r)
{
    if (r->details)
        run_uri_detail(c, r);
    else
        run_eval(c, r);
}

/* One reading of the clock tells where a function ends and where the next one begins. */
static void run_evals(struct rules_ctx *c)
{
    struct stopwatch *watch = c->scratch->profile;
    unsigned long limited = regex_limit_hits();
    uint64_t from = profile_start(watch);
    for (size_t i = 0; i < c->set->nevals; i++) {
        const struct eval_run *e = &c->set->eval_runs[i];
        double value = 0;
        if (e->html && c->text->nhtml == 0)
            continue;
        if (e->fn)
            value = e->fn(c, e->call);
        else
            run_function(c, e->rule);
        if (value != 0)
            hit_add(c, e->rule, value, SPAN_NONE);
        if (regex_limit_hits() != limited) {
            hit_limited(c, e->rule);
            limited = regex_limit_hits();
        }
        from = profile_next(watch, e->index, from);
    }
}

/* --- metas --- */

static double value_of(void *values, uint32_t index)
{
    return ((const double *)values)[index];
}

static struct meta_run *meta_run_of(struct rules_ctx *c)
{
    struct meta_run **at = &c->scratch->metas;
    while (*at && (*at)->plan != c->set->plan)
        at = &(*at)->next;
    if (!*at)
        *at = meta_run_new(c->scratch->arena, c->set->plan);
    return *at;
}

/* Only metas are computed whose conditions the hits fulfil; those that hold for the empty message
 * hit unless something they name has changed. */
static void run_metas(struct rules_ctx *c)
{
    struct rules_scratch *s = c->scratch;
    struct meta_run *run = meta_run_of(c);
    bool compute, division = false;
    meta_run_begin(run);
    for (size_t i = 0; i < s->nhits; i++)
        meta_run_expect(run, s->hits[i].index);
    for (size_t i = 0; i < s->nhits; i++)
        meta_run_changed(run, s->hits[i].index);
    for (size_t i = 0; (i = meta_run_next(run, i, &compute)) != SIZE_MAX; i++) {
        const struct meta_code *m = &run->plan->code[i];
        double v = m->base;
        if (compute)
            v = meta_eval_ops(m->ops, m->nops, m->numbers, value_of, s->value, &division);
        if (v != 0)
            hit_add(c, c->set->metas[i], v, SPAN_NONE);
        if (s->value[m->rule] != m->base)
            meta_run_changed(run, m->rule);
    }
}

/* --- all --- */

/* The message without an mbox separator in front. Header and body are slices of the raw bytes,
 * unless their line ends had to be repaired (mime/mime.h). */
static struct span pristine(const struct mime *m)
{
    struct span head = m->header_bytes, body = m->body_bytes;
    if (!head.p)
        return m->raw;
    if (head.p >= m->raw.p && head.p <= m->raw.p + m->raw.n)
        return span_from(m->raw, (size_t)(head.p - m->raw.p));
    char *p = arena_raw(m->arena, head.n + body.n);
    memcpy(p, head.p, head.n);
    if (body.n)
        memcpy(p + head.n, body.p, body.n);
    return span_of(p, head.n + body.n);
}

struct span run_pristine(const struct rules_ctx *c)
{
    return pristine(c->mime);
}

static void run_captures(struct rules_ctx *c)
{
    for (size_t i = 0; i < c->set->ncaptures; i++) {
        struct rule *r = c->set->captures[i];
        struct text *t = c->text;
        struct span one;
        switch (r->def->kind) {
        case RULE_HEADER: {
            struct header_req req;
            if (!header_req_parse(c->a, r->def->header, &req))
                break;
            if (!header_get(c, &req, &one))
                one = r->def->if_unset.p ? r->def->if_unset : SPAN("");
            match_rule(c, r, &one, 1, 0);
            break;
        }
        case RULE_BODY:
            match_rule(c, r, t->body.v, t->body.n, 0);
            break;
        case RULE_RAWBODY:
            match_rule(c, r, t->rawbody.v, t->rawbody.n, 0);
            break;
        case RULE_URI:
            match_rule(c, r, t->uris.cleaned, t->uris.ncleaned, 0);
            break;
        default:
            one = pristine(c->mime);
            match_rule(c, r, &one, 1, 0);
        }
    }
}

static void run_lines(struct rules_ctx *c, enum subject_kind kind, const struct span *v, size_t n)
{
    struct subject *s = c->set->only[kind];
    if (s && n)
        match_subject(c, s, v, n);
}

void run_rules(struct rules_ctx *c)
{
    const struct ruleset *rs = c->set;
    struct text *t = c->text;
    struct laps *laps = profile_laps(c->scratch->profile);
    run_captures(c);
    for (size_t i = 0; i < rs->nearly_body; i++)
        match_rule(c, rs->early_body[i], t->body.v, t->body.n, 0);
    run_headers(c);
    lap(laps, STAGE_CONFIRM);
    run_evals(c); /* may edit the body */
    lap(laps, STAGE_EVALS);
    run_lines(c, SUBJECT_BODY, t->body.v, t->body.n);
    run_lines(c, SUBJECT_URI, t->uris.cleaned, t->uris.ncleaned);
    run_mime_headers(c);
    run_lines(c, SUBJECT_RAWBODY, t->rawbody.v, t->rawbody.n);
    struct span full = pristine(c->mime);
    run_lines(c, SUBJECT_FULL, &full, 1);
    lap(laps, STAGE_CONFIRM);
}

void run_ending(struct rules_ctx *c)
{
    run_metas(c);
    shortcircuit_run(c);
    lap(profile_laps(c->scratch->profile), STAGE_METAS);
}

const struct rules_prefs *bayes_view(struct rules_scratch *s)
{
    if (!s->learned)
        s->learned = rules_learned_new(s->set);
    return s->learned;
}

void run_texts(struct rules_ctx *c, struct laps *laps)
{
    const struct ruleset *rs = c->set;
    struct text_limits limits = rs->text_limits;
    limits.laps = laps;
    c->eval_state = NULL;
    c->fetched_all = false;
    c->relays = relays_parse(c->mime, &rs->conf->relays, c->templates);
    lap(laps, STAGE_RELAYS);
    c->text = text_make(c->mime, &rs->conf->uri, &limits);
    plugins_extract(c);
    lap(laps, STAGE_ATTACHMENTS);
}

/* The hits so far, for opinions (rules/prefs.h). */
static void keep(struct rules_ctx *c)
{
    struct rules_scratch *s = c->scratch;
    struct kept_hits *k = s->kept = ARENA_NEW(c->a, struct kept_hits);
    k->n = s->nhits;
    k->v = arena_array(c->a, s->nhits + 1, sizeof *k->v);
    k->count = arena_array(c->a, s->nhits + 1, sizeof *k->count);
    k->value = arena_array(c->a, s->nhits + 1, sizeof *k->value);
    for (size_t i = 0; i < s->nhits; i++) {
        k->v[i] = s->hits[i];
        k->count[i] = s->count[s->hits[i].rule->index];
        k->value[i] = s->value[s->hits[i].rule->index];
    }
}

void run_read(struct rules_ctx *c, struct laps *laps)
{
    const struct ruleset *rs = c->set;
    struct message *m = c->m;
    struct span raw = m->raw;
    if (rs->message_size && raw.n > rs->message_size) {
        raw = span_sub(raw, 0, rs->message_size);
        facts_skip(
            &m->facts, m->arena, "rules/message_size", /* not "rules": they did run */
            arena_printf(m->arena, "only the first %zu of %zu bytes are judged", raw.n, m->raw.n));
    }
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    laps_begin(laps);
    c->mime = mime_parse(m->arena, raw, &limits);
    lap(laps, STAGE_PARSE);
    run_texts(c, laps);
}

/* Enough was learned: from here on the scores are those with Bayes. */
static void run_learned(struct rules_ctx *c)
{
    const struct rules_prefs *p = bayes_view(c->scratch);
    c->set = c->scratch->set = &p->set;
    run_sift(c, p);
    run_lone_rules(c, p);
}

void run_judge(struct rules_ctx *c)
{
    struct laps *laps = profile_laps(c->scratch->profile);
    const struct ruleset *base = c->scratch->set = c->set;
    laps_begin(laps);
    reset(c->scratch, c->a);
    asn_tell(c);
    plugin_tags(c);
    virus_tag(c);
    run_rules(c);
    if (c->scratch->keep)
        keep(c);
    if (bayes_available(c))
        run_learned(c);
    run_ending(c);
    hits_report(c);
    report_facts(c);
    if (c->scratch->keep) {
        c->scratch->kept->ctx = ARENA_NEW(c->a, struct rules_ctx);
        *c->scratch->kept->ctx = *c;
    }
    c->scratch->set = base;
    lap(laps, STAGE_REPORT);
    profile_message(c->scratch->profile, c->scratch->count);
}
