/* One policy against what is known. Conditions are rows, in the order of the stages at which they
 * become known: the cheap ones come first, and what says no early ends it. */
#include <math.h>

#include "policy/set_private.h"

struct query {
    const struct policy_set *set;
    const struct rule *rule;
    size_t index;
    const struct policy_view *v;
};

/* --- connect --- */

static bool clients(const struct query *q)
{
    const struct cidrs *nets = &q->rule->policy->clients;
    for (size_t i = 0; i < nets->n; i++)
        if (q->v->peer->has_ip && cidr_has(&nets->v[i], &q->v->peer->ip))
            return true;
    return nets->n == 0;
}

static bool listeners(const struct query *q)
{
    const struct strings *names = &q->rule->policy->listeners;
    for (size_t i = 0; i < names->n; i++)
        if (span_eq(span_str(names->v[i]), q->v->peer->listener))
            return true;
    return names->n == 0;
}

static bool client_names(const struct query *q)
{
    return patterns_match(&q->rule->client_names, q->v->peer->name);
}

static bool helo(const struct query *q)
{
    return patterns_match(&q->rule->helo, q->v->peer->helo);
}

/* --- MAIL, RCPT --- */

/* Nobody is not a user called ''. */
static bool users(const struct query *q)
{
    return patterns_match(&q->rule->users, q->v->peer->auth_user) &&
           (q->v->peer->auth_user.n > 0 || !q->rule->users.any);
}

static bool senders(const struct query *q)
{
    bool file = q->v->m && !q->v->m->has_envelope;
    return !file && patterns_match(&q->rule->senders, q->v->from);
}

static bool recipients(const struct query *q)
{
    return patterns_match(&q->rule->recipients, q->v->rcpt);
}

static bool is_ours(const struct query *q, struct span domain)
{
    char key[DOMAIN_KEY_SIZE];
    size_t n = domain_key(domain, key);
    return n > 0 && q->set->domains && domains_has(q->set->domains, span_of(key, n));
}

static bool client_is_ours(const struct query *q)
{
    const struct peer *p = q->v->peer;
    const struct settings *set = q->set->set;
    bool ours = p->auth_user.n > 0;
    for (size_t i = 0; set && !ours && p->has_ip && i < set->relay.networks.n; i++)
        ours = cidr_has(&set->relay.networks.v[i], &p->ip);
    return ours;
}

static bool direction(const struct query *q)
{
    const struct strings *words = &q->rule->policy->direction;
    size_t at = span_rfind(q->v->rcpt, '@');
    bool to_us = at != SIZE_MAX && is_ours(q, span_from(q->v->rcpt, at + 1));
    const char *is = !client_is_ours(q) ? "inbound" : to_us ? "internal" : "outbound";
    for (size_t i = 0; i < words->n; i++)
        if (strcmp(words->v[i], is) == 0)
            return true;
    return words->n == 0;
}

/* --- the whole message --- */

static bool size(const struct query *q)
{
    return range_has(&q->rule->policy->size, (double)q->v->m->raw.n);
}

static bool score(const struct query *q)
{
    const struct rules_facts *r = q->v->rules;
    /* Sums of numbers with three decimals: 4.999999 is 5. */
    return r->ran && range_has(&q->rule->policy->score, round(r->score * 1000) / 1000);
}

static bool rules(const struct query *q)
{
    const struct rules_facts *r = q->v->rules;
    struct span *names = arena_array(q->v->m->arena, r->nhits + r->nsubrules, sizeof *names);
    for (size_t i = 0; i < r->nhits; i++)
        names[i] = span_str(r->hits[i].name);
    for (size_t i = 0; i < r->nsubrules; i++)
        names[r->nhits + i] = span_str(r->subrules[i]);
    return r->ran && patterns_match_set(&q->rule->rules, names, r->nhits + r->nsubrules);
}

static bool virus(const struct query *q)
{
    const struct virus_facts *f = &q->v->m->facts.virus;
    return f->state == VIRUS_FOUND && patterns_match(&q->rule->virus, f->name);
}

static bool has_auth(const struct auth_test *t)
{
    return t->spf.n + t->dkim.n + t->dmarc.n + t->arc.n + t->dkim_domain.n > 0;
}

static bool auth_word(const struct strings *want, const char *is)
{
    for (size_t i = 0; i < want->n; i++)
        if (strcmp(want->v[i], is) == 0)
            return true;
    return want->n == 0;
}

/* pass when any signature passes; otherwise what any of them says. */
static bool dkim(const struct strings *want, const struct auth_facts *f)
{
    bool pass = false;
    for (size_t i = 0; i < f->ndkim; i++)
        pass |= f->dkim[i].result == DKIM_PASS;
    if (want->n == 0 || pass || f->ndkim == 0)
        return auth_word(want, dkim_result_name(pass ? DKIM_PASS : DKIM_NONE));
    for (size_t i = 0; i < f->ndkim; i++)
        if (auth_word(want, dkim_result_name(f->dkim[i].result)))
            return true;
    return false;
}

static bool signed_by(const struct patterns *domains, const struct auth_facts *f)
{
    for (size_t i = 0; i < f->ndkim; i++)
        if (f->dkim[i].result == DKIM_PASS && patterns_match(domains, f->dkim[i].domain))
            return true;
    return domains->n == 0;
}

static bool auth(const struct query *q)
{
    const struct auth_test *t = &q->rule->policy->auth;
    const struct auth_facts *f = &q->v->m->facts.auth;
    return auth_word(&t->spf, spf_result_name(spf_main(f)->result)) && dkim(&t->dkim, f) &&
           auth_word(&t->dmarc, dmarc_result_name(f->dmarc.result)) &&
           auth_word(&t->arc, arc_result_name(f->arc.result)) &&
           signed_by(&q->rule->dkim_domain, f);
}

static bool header_test(const struct query *q, const struct header_test *t,
                        const struct patterns *patterns)
{
    struct mime *m = q->v->parts->mime;
    const struct mime_fields *f = &m->root->fields;
    struct span name = span_str(t->name);
    size_t i = mime_find(f, name, 0);
    if (t->present != WHETHER_ANY)
        return (i < f->n) == (t->present == WHETHER_YES);
    for (; i < f->n; i = mime_find(f, name, i + 1))
        if (patterns_match(patterns, mime_decoded(m, &f->v[i])))
            return true;
    return false;
}

static bool header(const struct query *q)
{
    const struct header_tests *h = &q->rule->policy->header;
    for (size_t i = 0; i < h->n; i++)
        if (!header_test(q, &h->v[i], &q->rule->header[i]))
            return false;
    return true;
}

static bool part_matches(const struct rule *r, struct parts *ps, struct part_facts *p)
{
    const struct part_test *t = &r->policy->parts;
    if (p->container || !patterns_match_any(&r->part_type, p->types, p->ntypes))
        return false;
    if (t->name.n && (p->nnames == 0 || !patterns_match_any(&r->part_name, p->names, p->nnames)))
        return false;
    if (t->size.given && !range_has(&t->size, (double)part_size(ps, p)))
        return false;
    if (t->content.n && !patterns_match(&r->part_content, part_content(ps, p)))
        return false;
    const struct span *members;
    size_t nmembers = t->members.n ? part_members(ps, p, &members) : 0;
    if (t->members.n && (nmembers == 0 || !patterns_match_any(&r->part_members, members, nmembers)))
        return false;
    return t->encrypted == WHETHER_ANY || part_encrypted(ps, p) == (t->encrypted == WHETHER_YES);
}

static bool parts(const struct query *q)
{
    for (size_t i = 0; i < q->v->parts->n; i++)
        if (part_matches(q->rule, q->v->parts, &q->v->parts->v[i]))
            return true;
    return false;
}

bool policy_means_part(const struct policy_set *ps, size_t i, struct parts *parts_,
                       struct part_facts *part)
{
    return part_matches(&ps->v[i], parts_, part);
}

/* --- all of them --- */

struct condition {
    const char *name;
    enum policy_stage stage;
    bool (*holds)(const struct query *q);
};

#define GIVEN(i, expression)                                                                       \
    case i:                                                                                        \
        return expression

static const struct condition conditions[] = {
    {"clients", STAGE_CONNECT, clients},
    {"listeners", STAGE_CONNECT, listeners},
    {"client_names", STAGE_CONNECT, client_names},
    {"helo", STAGE_HELO, helo},
    {"users", STAGE_MAIL, users},
    {"senders", STAGE_MAIL, senders},
    {"recipients", STAGE_RCPT, recipients},
    {"direction", STAGE_RCPT, direction},
    {"size", STAGE_END, size},
    {"score", STAGE_END, score},
    {"rules", STAGE_END, rules},
    {"virus", STAGE_END, virus},
    {"auth", STAGE_END, auth},
    {"header", STAGE_END, header},
    {"parts", STAGE_END, parts},
};
enum { CONDITIONS = sizeof conditions / sizeof conditions[0] };

static bool given(const struct policy *p, size_t i)
{
    switch (i) {
        GIVEN(0, p->clients.n > 0);
        GIVEN(1, p->listeners.n > 0);
        GIVEN(2, p->client_names.n > 0);
        GIVEN(3, p->helo.n > 0);
        GIVEN(4, p->users.n > 0);
        GIVEN(5, p->senders.n > 0);
        GIVEN(6, p->recipients.n > 0);
        GIVEN(7, p->direction.n > 0);
        GIVEN(8, p->size.given);
        GIVEN(9, p->score.given);
        GIVEN(10, p->rules.n > 0);
        GIVEN(11, p->virus.n > 0);
        GIVEN(12, has_auth(&p->auth));
        GIVEN(13, p->header.n > 0);
    default:
        return p->parts.given;
    }
}

enum policy_stage policy_stage_of(const struct policy *p)
{
    enum policy_stage last = STAGE_CONNECT;
    for (size_t i = 0; i < CONDITIONS; i++)
        if (given(p, i))
            last = conditions[i].stage;
    return last;
}

/* The default policy of a message without recipients: conditions on them hold for nobody. */
static bool known(const struct policy_view *v, const struct condition *c)
{
    if (v->stage < c->stage)
        return false;
    return c->stage != STAGE_END ||
           (v->m && (v->parts || (c->holds != header && c->holds != parts)));
}

static enum match content(const struct query *q, const char **why)
{
    enum match m = MATCH_YES;
    for (size_t i = 0; m == MATCH_YES && i < CONDITIONS; i++) {
        const struct condition *c = &conditions[i];
        if (c->stage < STAGE_END || !given(q->rule->policy, i))
            continue;
        *why = c->name;
        m = !known(q->v, c) ? MATCH_LATER : c->holds(q) ? MATCH_YES : MATCH_NO;
    }
    return m;
}

enum match policy_match(const struct policy_set *ps, size_t i, const struct policy_view *v,
                        const char **why)
{
    const struct query q = {ps, &ps->v[i], i, v};
    const char *unknown = NULL, *ignored;
    why = why ? why : &ignored;
    for (size_t k = 0; k < CONDITIONS && conditions[k].stage < STAGE_END; k++) {
        const struct condition *c = &conditions[k];
        if (!given(q.rule->policy, k))
            continue;
        *why = c->name;
        bool nobody = c->stage == STAGE_RCPT && !v->rcpt.p && v->stage == STAGE_END;
        if (!known(v, c))
            unknown = unknown ? unknown : c->name;
        else if (nobody || !c->holds(&q))
            return MATCH_NO;
    }
    enum match m;
    if (v->content && v->content[i] >= 0) {
        m = (enum match)v->content[i];
        *why = "content";
    } else {
        m = content(&q, why);
        if (v->content)
            v->content[i] = (signed char)m;
    }
    if (m == MATCH_YES && unknown) {
        *why = unknown;
        return MATCH_LATER;
    }
    return m;
}

struct policy_view policy_view_of(const struct policy_set *ps, const struct message *m,
                                  struct parts *parts_, struct arena *a)
{
    struct policy_view v = {.stage = STAGE_END,
                            .peer = &m->peer,
                            .from = m->env.from,
                            .m = m,
                            .rules = &m->facts.rules,
                            .parts = parts_,
                            .content = arena_raw(a, ps->n + 1)};
    memset(v.content, -1, ps->n + 1);
    return v;
}

void policy_view_judge(const struct policy_set *ps, struct policy_view *v,
                       const struct rules_facts *rules_)
{
    if (v->rules != rules_)
        memset(v->content, -1, ps->n);
    v->rules = rules_;
}

static const struct policy_action *deciding(const struct policy *p)
{
    for (size_t k = 0; k < p->actions.n; k++)
        if (action_decides(p->actions.v[k].kind))
            return &p->actions.v[k];
    return NULL;
}

const struct policy *policy_early(const struct policy_set *ps, const struct policy_view *v,
                                  const struct policy_action **action)
{
    for (size_t i = 0; i < ps->n; i++) {
        const struct policy *p = ps->v[i].policy;
        enum match m = p->go_on ? MATCH_NO : policy_match(ps, i, v, NULL);
        if (m == MATCH_NO)
            continue;
        const struct policy_action *a = m == MATCH_YES ? deciding(p) : NULL;
        if (!a ||
            (a->kind != ACTION_REJECT && a->kind != ACTION_DEFER && a->kind != ACTION_DISCARD))
            return NULL;
        *action = a;
        return p;
    }
    return NULL;
}

const char *policy_stage_name(enum policy_stage s)
{
    static const char *const names[] = {"connect", "helo", "mail", "rcpt", "end"};
    return names[s];
}
