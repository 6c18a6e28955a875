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

/* The policies that hold for a recipient: those that go on, then the one that is taken. */
struct chosen {
    uint32_t *v;
    size_t n;
};

static struct chosen choose(const struct policy_set *ps, const struct policy_view *v,
                            struct arena *a)
{
    size_t count = policy_set_count(ps);
    struct chosen c = {arena_array(a, count, sizeof *c.v), 0};
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && policy_match(ps, i, v, NULL) != MATCH_YES)
            continue;
        c.v[c.n++] = (uint32_t)i;
        if (!policy_set_get(ps, i)->go_on)
            break;
    }
    return c;
}

/* What is known before the scan. The first policy that is certain ends it; of those that may yet
 * hold, one that scans is enough. */
static bool may_want_scan(const struct policy_set *ps, const struct policy_view *v)
{
    size_t count = policy_set_count(ps);
    for (size_t i = 0; i < count; i++) {
        const struct policy *p = policy_set_get(ps, i);
        enum match m = i + 1 == count ? MATCH_YES : policy_match(ps, i, v, NULL);
        if (p->go_on || m == MATCH_NO)
            continue;
        if (p->scan)
            return true;
        if (m == MATCH_YES)
            return false;
    }
    return false;
}

bool verdict_wants_scan(const struct policy_set *ps, const struct message *m, struct arena *a)
{
    struct policy_view v = policy_view_of(ps, m, NULL, a);
    v.stage = STAGE_RCPT;
    v.m = NULL;
    v.content = NULL;
    if (!m->has_envelope || m->env.nrcpts == 0) {
        v.rcpt = SPAN("");
        return may_want_scan(ps, &v);
    }
    for (size_t i = 0; i < m->env.nrcpts; i++) {
        v.rcpt = m->env.rcpts[i].addr;
        if (may_want_scan(ps, &v))
            return true;
    }
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

/* Spam and doubtful senders can't be cut out of a message, and configuration refuses the word;
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
    /* The stricter answer wins when rules and engine failed: defer before hold before pass. */
    const struct skipped *rules = rules_skipped(f);
    if (rules)
        return fail(d, FAIL_DEFER, "rules could not run", rules->why);
    const char *why = virus_why_unscanned(f->virus.state);
    if (virus->enabled && why && fail(d, virus_policy(virus, f->virus.state), why, f->virus.detail))
        return true;
    const struct digest_facts *digests = &f->digests;
    return digests->failed && fail(d, digests->on_failed, digests->failed, SPAN_NONE);
}

/* What sender authentication asks for, when that stops the message. */
static bool sender_decides(struct decision *d, const struct auth_order *o)
{
    enum outcome outcome = possible(o->outcome);
    return stops(outcome) && conclude(d, outcome, o->reason, o->detail);
}

static struct span score_detail(struct arena *a, double score, double limit)
{
    /* One decimal is what people read; more when one decimal would contradict the comparison. */
    bool above = reaches(score, limit);
    int digits = reaches(round(score * 10) / 10, round(limit * 10) / 10) == above ? 1 : 3;
    return arena_printf(a, "score %.*f %s %.*f", digits, score, above ? ">=" : "<", digits, limit);
}

static const struct policy_action *deciding(const struct policy *p)
{
    for (size_t i = 0; i < p->actions.n; i++)
        if (p->actions.v[i].kind <= ACTION_DISCARD)
            return &p->actions.v[i];
    return NULL;
}

/* The last one that decides: what a script says comes before what the policy says. */
static const struct policy_action *order_of(const struct decision *d)
{
    const struct policy_action *x = NULL;
    for (size_t i = 0; !x && i < d->napplied; i++)
        if (d->applied[i].script || d->applied[i].policy == d->policy)
            x = deciding(d->applied[i].policy);
    return x;
}

static const struct policy_action *action_of(const struct decision *d, enum action_kind kind)
{
    for (size_t i = 0; i < d->napplied; i++)
        for (size_t k = 0; k < d->applied[i].policy->actions.n; k++)
            if (d->applied[i].policy->actions.v[k].kind == kind)
                return &d->applied[i].policy->actions.v[k];
    return NULL;
}

static bool has_action(const struct decision *d, enum action_kind kind)
{
    return action_of(d, kind) != NULL;
}

bool decision_touches_signed(const struct decision *d)
{
    for (size_t i = 0; i < d->napplied; i++)
        if (d->applied[i].policy->touch_signed)
            return true;
    return false;
}

/* Why the infected parts can't be taken out; absent: they can. */
static struct span uncleanable(const struct decision *d, const struct virus_facts *v)
{
    if (!v->cleanable)
        return v->uncleanable.p ? v->uncleanable : SPAN("its parts were not looked at");
    for (size_t i = 0; i < v->nparts; i++)
        if (v->parts[i].sealed && !decision_touches_signed(d))
            return SPAN("in a signed or encrypted part");
    return SPAN_NONE;
}

/* What becomes of an infected message. */
static enum outcome on_virus(struct decision *d, const struct virus_facts *v, struct arena *a,
                             struct span *detail)
{
    static const struct policy_action by_setting = {.kind = ACTION_CLEAN};
    const struct policy_action *x = action_of(d, ACTION_CLEAN);
    *detail = v->name;
    if (!x && d->policy->on_virus == OUT_CLEAN)
        x = &by_setting;
    if (!x)
        return d->policy->on_virus;
    struct span why = uncleanable(d, v);
    if (why.p) {
        *detail =
            arena_printf(a, "%.*s; can't be taken out: %.*s", SPAN_ARG(v->name), SPAN_ARG(why));
        return OUT_HOLD;
    }
    d->clean = x;
    return OUT_CLEAN;
}

/* What an action of the policy says; false: it leaves the message to the checks. */
static bool ordered(struct decision *d, struct arena *a)
{
    static const enum outcome outcomes[] = {[ACTION_HOLD] = OUT_HOLD,
                                            [ACTION_REJECT] = OUT_REJECT,
                                            [ACTION_DEFER] = OUT_DEFER,
                                            [ACTION_DISCARD] = OUT_DISCARD};
    const struct policy_action *x = order_of(d);
    if (!x && has_action(d, ACTION_DELETE_RECIPIENT))
        return conclude(d, OUT_DISCARD, "policy", arena_printf(a, "%s", d->policy->name));
    if (!x || x->kind == ACTION_ACCEPT || x->kind == ACTION_TAG)
        return false;
    d->order = x;
    return conclude(d, outcomes[x->kind], "policy",
                    x->kind == ACTION_HOLD && strcmp(x->text, "policy") != 0
                        ? span_str(x->text)
                        : arena_printf(a, "%s", d->policy->name));
}

static void decide(struct decision *d, const struct virus_settings *virus, const struct message *m,
                   struct arena *a)
{
    const struct policy *p = d->policy;
    const struct facts *f = &m->facts;
    const struct rules_facts *r = d->opinion ? &d->opinion->rules : &f->rules;
    d->required = d->opinion && d->opinion->own_required ? r->required : p->required_score;
    if (ordered(d, a))
        return;
    bool spared = has_action(d, ACTION_ACCEPT), marked = has_action(d, ACTION_TAG);
    if (!p->scan) {
        struct span reason = arena_printf(a, "policy %s does not scan", p->name);
        conclude(d, OUT_ACCEPT, reason.p, SPAN_NONE);
        return;
    }
    bool infected = virus->enabled && f->virus.state == VIRUS_FOUND;
    bool high = r->ran && reaches(r->score, p->reject_score);
    d->spam = r->ran && reaches(r->score, d->required);
    enum outcome on_spam = spared || marked ? OUT_ACCEPT
                           : high           ? possible(p->on_high_spam)
                           : d->spam        ? possible(p->on_spam)
                                            : OUT_ACCEPT;
    if (marked) {
        on_spam = OUT_TAG;
        d->spam = true;
    } else if (spared) {
        d->spam = false;
    }
    struct span virus_detail = SPAN_NONE,
                detail = r->ran ? score_detail(a, r->score, high ? p->reject_score : d->required)
                                : SPAN_NONE;

    enum outcome of_virus = infected ? on_virus(d, &f->virus, a, &virus_detail) : OUT_ACCEPT;
    if (stops(of_virus)) {
        conclude(d, of_virus, "virus", virus_detail);
        return;
    }
    if (sender_decides(d, &f->auth.order))
        return;
    if (on_spam == OUT_REJECT || on_spam == OUT_DISCARD) {
        conclude(d, on_spam, "spam", detail);
        return;
    }
    if (checks_failed(d, virus, f))
        return;
    if (stops(on_spam))
        conclude(d, on_spam, "spam", detail);
    else if (infected)
        conclude(d, of_virus == OUT_ACCEPT ? on_spam : of_virus, "virus", virus_detail);
    else if (spared || marked)
        conclude(d, on_spam, "policy", arena_printf(a, "%s", p->name));
    else if (d->spam || high)
        conclude(d, on_spam, "spam", detail);
    else if (possible(f->auth.order.outcome) == OUT_TAG)
        conclude(d, OUT_TAG, f->auth.order.reason, f->auth.order.detail);
    else if (!d->unscanned)
        conclude(d, OUT_ACCEPT, "clean", detail);
    else
        d->outcome = OUT_ACCEPT;
}

/* --- grouping --- */

static const struct opinion *opinion_of(const struct message *m, size_t rcpt)
{
    return m->opinions ? m->opinions[rcpt] : NULL;
}

/* What makes recipients belong together. */
struct group_key {
    const struct policy_set *ps;
    struct chosen policies;
    const struct policy *scripts[2];
    size_t nscripts;
    const struct opinion *opinion;
};

/* What a script wants comes in front of the policies: for the recipient, then for the message. */
static size_t scripts_for(const struct wishes *w, const struct message *m, size_t rcpt,
                          const struct policy *out[])
{
    size_t n = 0;
    if (w && w->each && rcpt < m->env.nrcpts && w->each[rcpt])
        out[n++] = w->each[rcpt];
    if (w && w->all)
        out[n++] = w->all;
    return n;
}

static bool same(const struct decision *d, const struct group_key *k)
{
    if (d->napplied != k->nscripts + k->policies.n || d->opinion != k->opinion)
        return false;
    for (size_t i = 0; i < k->nscripts; i++)
        if (d->applied[i].policy != k->scripts[i])
            return false;
    for (size_t i = 0; i < k->policies.n; i++)
        if (d->applied[k->nscripts + i].policy != policy_set_get(k->ps, k->policies.v[i]))
            return false;
    return true;
}

static void find_parts(const struct policy_set *ps, size_t i, struct parts *parts, struct arena *a,
                       struct applied *x)
{
    x->parts = arena_array(a, parts->n, sizeof *x->parts);
    for (size_t k = 0; k < parts->n; k++)
        if (policy_means_part(ps, i, parts, &parts->v[k]))
            x->parts[x->nparts++] = &parts->v[k];
    if (x->nparts)
        x->why = arena_printf(a, "%.*s", SPAN_ARG(part_name_shown(x->parts[0]))).p;
}

static struct decision *group_of(struct verdict *out, const struct group_key *k,
                                 struct parts *parts, struct arena *a)
{
    for (size_t i = 0; i < out->n; i++)
        if (same(&out->v[i], k))
            return &out->v[i];
    struct decision *d = &out->v[out->n++];
    d->parts = parts;
    d->opinion = k->opinion;
    d->applied = arena_array(a, k->nscripts + k->policies.n, sizeof *d->applied);
    for (size_t i = 0; i < k->nscripts; i++)
        d->applied[d->napplied++] = (struct applied){.policy = k->scripts[i], .script = true};
    for (size_t i = 0; i < k->policies.n; i++) {
        struct applied *x = &d->applied[d->napplied++];
        d->policy = x->policy = policy_set_get(k->ps, k->policies.v[i]);
        if (parts && x->policy->parts.given)
            find_parts(k->ps, k->policies.v[i], parts, a, x);
    }
    return d;
}

/* The group of one recipient; rcpt absent: of a message without recipients. */
static struct decision *place(struct verdict *out, const struct policy_set *ps,
                              const struct message *m, const struct wishes *script,
                              struct policy_view *v, size_t i, struct arena *a)
{
    struct group_key k = {.ps = ps, .opinion = opinion_of(m, i)};
    policy_view_judge(ps, v, k.opinion ? &k.opinion->rules : &m->facts.rules);
    k.nscripts = scripts_for(script, m, i, k.scripts);
    k.policies = choose(ps, v, a);
    return group_of(out, &k, v->parts, a);
}

void verdict_decide(const struct policy_set *ps, const struct virus_settings *virus,
                    const struct message *m, struct parts *parts, const struct wishes *script,
                    struct arena *a, struct verdict *out)
{
    size_t nrcpts = m->has_envelope ? m->env.nrcpts : 0;
    struct policy_view v = policy_view_of(ps, m, parts, a);
    uint32_t *of = arena_array(a, nrcpts, sizeof *of);
    out->v = arena_array(a, nrcpts ? nrcpts : 1, sizeof *out->v);
    out->n = 0;
    for (size_t i = 0; i < nrcpts; i++) {
        v.rcpt = m->env.rcpts[i].addr;
        struct decision *d = place(out, ps, m, script, &v, i, a);
        of[i] = (uint32_t)(d - out->v);
        d->nrcpts++;
    }
    if (nrcpts == 0)
        place(out, ps, m, script, &v, 0, a);
    for (size_t g = 0; g < out->n; g++) {
        struct decision *d = &out->v[g];
        d->rcpts = arena_array(a, d->nrcpts, sizeof *d->rcpts);
        d->nrcpts = 0;
        for (size_t i = 0; i < nrcpts; i++)
            if (of[i] == g)
                d->rcpts[d->nrcpts++] = (uint32_t)i;
        decide(d, virus, m, a);
    }
}
