#include "verdict/verdict.h"

#include <math.h>

const char *outcome_name(enum outcome o)
{
    static const char *const names[] = {
        [OUT_ACCEPT] = "accept",   [OUT_TAG] = "tag",       [OUT_CLEAN] = "clean",
        [OUT_HOLD] = "hold",       [OUT_REJECT] = "reject", [OUT_DEFER] = "defer",
        [OUT_DISCARD] = "discard",
    };
    return (size_t)o < sizeof names / sizeof *names ? names[o] : "unknown";
}

const char *virus_why_unscanned(enum virus_state s)
{
    switch (s) {
    case VIRUS_CLEAN:
    case VIRUS_FOUND:
        return NULL;
    case VIRUS_NOT_RUN:
        return "virus check did not run";
    case VIRUS_NO_ENGINE:
        return "no virus engine";
    case VIRUS_TOO_LARGE:
        return "too large for the virus engine";
    case VIRUS_ENCRYPTED:
        return "encrypted, the virus engine can't look inside";
    case VIRUS_ERROR:
        break;
    }
    return "virus engine does not answer";
}

/* --- which policy --- */

static bool any_address(const struct strings *patterns, struct span addr)
{
    for (size_t i = 0; i < patterns->n; i++)
        if (address_matches(patterns->v[i], addr))
            return true;
    return patterns->n == 0;
}

static bool any_network(const struct cidrs *nets, const struct peer *peer)
{
    for (size_t i = 0; i < nets->n; i++)
        if (peer->has_ip && cidr_has(&nets->v[i], &peer->ip))
            return true;
    return nets->n == 0;
}

static bool any_name(const struct strings *names, struct span name)
{
    for (size_t i = 0; i < names->n; i++)
        if (span_eq(span_str(names->v[i]), name))
            return true;
    return names->n == 0;
}

/* The first policy whose conditions all hold; the last one, the default, always does. */
static const struct policy *policy_for(const struct policies *p, const struct message *m,
                                       struct span rcpt)
{
    for (size_t i = 0; i + 1 < p->n; i++) {
        const struct policy *x = &p->v[i];
        if (any_network(&x->clients, &m->peer) && any_name(&x->listeners, m->peer.listener) &&
            any_address(&x->senders, m->env.from) && any_address(&x->recipients, rcpt))
            return x;
    }
    return &p->v[p->n - 1];
}

bool verdict_wants_scan(const struct policies *p, const struct message *m)
{
    if (!m->has_envelope || m->env.nrcpts == 0)
        return p->v[p->n - 1].scan;
    for (size_t i = 0; i < m->env.nrcpts; i++)
        if (policy_for(p, m, m->env.rcpts[i].addr)->scan)
            return true;
    return false;
}

/* --- what to do --- */

/* Scores are sums of numbers with at most three decimals; summing them in binary may
 * leave 4.999999. */
static bool reaches(double score, double limit)
{
    return llround(score * 1000) >= llround(limit * 1000);
}

static bool stops(enum outcome o)
{
    return o == OUT_HOLD || o == OUT_REJECT || o == OUT_DEFER || o == OUT_DISCARD;
}

static bool conclude(struct decision *d, enum outcome o, const char *reason, struct span detail)
{
    d->outcome = o;
    d->reason = reason;
    d->detail = detail;
    return true;
}

/* Taking dangerous parts out is not among the actions yet, and configuration refuses the word;
 * should it get here all the same, the message is kept rather than passed. */
static enum outcome possible(enum outcome o)
{
    return o == OUT_CLEAN ? OUT_HOLD : o;
}

/* A check gave no answer. false: the message may pass, marked. */
static bool fail(struct decision *d, enum on_fail on, const char *reason, struct span detail)
{
    if (on == FAIL_DEFER)
        return conclude(d, OUT_DEFER, reason, detail);
    if (on == FAIL_HOLD)
        return conclude(d, OUT_HOLD, reason, detail);
    if (!d->unscanned) {
        d->unscanned = true;
        d->reason = reason;
        d->detail = detail;
    }
    return false;
}

static enum on_fail virus_policy(const struct virus_settings *s, enum virus_state state)
{
    switch (state) {
    case VIRUS_NO_ENGINE:
        return s->on_no_engine;
    case VIRUS_TOO_LARGE:
        return s->on_too_large;
    case VIRUS_ENCRYPTED:
        return s->on_encrypted;
    default:
        return s->on_error;
    }
}

static const struct skipped *rules_skipped(const struct facts *f)
{
    for (size_t i = 0; i < f->nskipped; i++)
        if (strcmp(f->skipped[i].check, "rules") == 0)
            return &f->skipped[i];
    return NULL;
}

static bool checks_failed(struct decision *d, const struct virus_settings *virus,
                          const struct facts *f)
{
    /* The stricter answer wins when both checks failed: defer before hold before pass. */
    const struct skipped *rules = rules_skipped(f);
    if (rules)
        return fail(d, FAIL_DEFER, "rules could not run", rules->why);
    const char *why = virus_why_unscanned(f->virus.state);
    return virus->enabled && why &&
           fail(d, virus_policy(virus, f->virus.state), why, f->virus.detail);
}

static struct span score_detail(struct arena *a, double score, double limit)
{
    /* One decimal is what people read; more when one decimal would contradict the comparison. */
    bool above = reaches(score, limit);
    int digits = reaches(round(score * 10) / 10, round(limit * 10) / 10) == above ? 1 : 3;
    return arena_printf(a, "score %.*f %s %.*f", digits, score, above ? ">=" : "<", digits, limit);
}

static void decide(struct decision *d, const struct virus_settings *virus, const struct message *m,
                   struct arena *a)
{
    const struct policy *p = d->policy;
    const struct facts *f = &m->facts;
    const struct rules_facts *r = d->opinion ? &d->opinion->rules : &f->rules;
    d->required = d->opinion && d->opinion->own_required ? r->required : p->required_score;
    if (!p->scan) {
        struct span reason = arena_printf(a, "policy %s does not scan", p->name);
        conclude(d, OUT_ACCEPT, reason.p, SPAN_NONE);
        return;
    }
    bool infected = virus->enabled && f->virus.state == VIRUS_FOUND;
    bool high = r->ran && reaches(r->score, p->reject_score);
    d->spam = r->ran && reaches(r->score, d->required);
    enum outcome on_spam = high      ? possible(p->on_high_spam)
                           : d->spam ? possible(p->on_spam)
                                     : OUT_ACCEPT;
    enum outcome on_virus = possible(p->on_virus);
    struct span detail =
        r->ran ? score_detail(a, r->score, high ? p->reject_score : d->required) : SPAN_NONE;

    if (infected && stops(on_virus)) {
        conclude(d, on_virus, "virus", f->virus.name);
        return;
    }
    if (on_spam == OUT_REJECT || on_spam == OUT_DISCARD) {
        conclude(d, on_spam, "spam", detail);
        return;
    }
    if (checks_failed(d, virus, f))
        return;
    if (stops(on_spam))
        conclude(d, on_spam, "spam", detail);
    else if (infected)
        conclude(d, on_virus == OUT_TAG ? OUT_TAG : on_spam, "virus", f->virus.name);
    else if (d->spam || high)
        conclude(d, on_spam, "spam", detail);
    else if (!d->unscanned)
        conclude(d, OUT_ACCEPT, "clean", detail);
    else
        d->outcome = OUT_ACCEPT;
}

/* --- grouping --- */

static struct decision *group_of(struct verdict *out, const struct policy *p,
                                 const struct opinion *o)
{
    for (size_t i = 0; i < out->n; i++)
        if (out->v[i].policy == p && out->v[i].opinion == o)
            return &out->v[i];
    struct decision *d = &out->v[out->n++];
    d->policy = p;
    d->opinion = o;
    return d;
}

static const struct opinion *opinion_of(const struct message *m, size_t rcpt)
{
    return m->opinions ? m->opinions[rcpt] : NULL;
}

void verdict_decide(const struct policies *p, const struct virus_settings *virus,
                    const struct message *m, struct arena *a, struct verdict *out)
{
    size_t nrcpts = m->has_envelope ? m->env.nrcpts : 0;
    size_t most = nrcpts < p->n || m->opinions ? nrcpts : p->n;
    out->v = arena_array(a, most ? most : 1, sizeof *out->v);
    out->n = 0;
    const struct policy **chosen = arena_array(a, nrcpts, sizeof *chosen);
    for (size_t i = 0; i < nrcpts; i++) {
        chosen[i] = policy_for(p, m, m->env.rcpts[i].addr);
        group_of(out, chosen[i], opinion_of(m, i))->nrcpts++;
    }
    if (nrcpts == 0)
        group_of(out, &p->v[p->n - 1], opinion_of(m, 0));
    for (size_t g = 0; g < out->n; g++) {
        struct decision *d = &out->v[g];
        d->rcpts = arena_array(a, d->nrcpts, sizeof *d->rcpts);
        d->nrcpts = 0;
        for (size_t i = 0; i < nrcpts; i++)
            if (chosen[i] == d->policy && opinion_of(m, i) == d->opinion)
                d->rcpts[d->nrcpts++] = (uint32_t)i;
        decide(d, virus, m, a);
    }
}
