#include "flow/known.h"

#include "reputation/reputation.h"

enum { SIGNERS_MAX = 5 }; /* of one message that are looked up; more are no proof of anything */

struct known {
    enum reputation_kind kind;
    struct span domain;
};

/* Domains that are proven, each once. */
static size_t proven(const struct message *m, struct known v[SIGNERS_MAX + 1])
{
    const struct auth_facts *f = &m->facts.auth;
    size_t n = 0;
    if (f->mailfrom.result == SPF_PASS && f->mailfrom.domain.n)
        v[n++] = (struct known){REP_DOMAIN, f->mailfrom.domain};
    for (size_t i = 0; i < f->ndkim && n <= SIGNERS_MAX; i++) {
        bool fresh = f->dkim[i].result == DKIM_PASS && f->dkim[i].domain.n;
        for (size_t k = 0; k < n; k++)
            fresh = fresh && !(v[k].kind == REP_DKIM && span_ieq(v[k].domain, f->dkim[i].domain));
        if (fresh)
            v[n++] = (struct known){REP_DKIM, f->dkim[i].domain};
    }
    return n;
}

void known_recall(const struct settings *set, struct message *m)
{
    struct known v[SIGNERS_MAX + 1];
    size_t n = m->memory && set->reputation.enabled ? proven(m, v) : 0;
    for (size_t i = 0; i < n; i++) {
        struct reputation r;
        char text[REPUTATION_TEXT_SIZE];
        if (reputation_get(m->memory, &set->reputation, v[i].kind, v[i].domain, clock_wall(), &r))
            facts_add(&m->facts, m->arena,
                      v[i].kind == REP_DKIM ? "reputation.dkim" : "reputation.domain",
                      arena_printf(m->arena, "%.*s %s", SPAN_ARG(v[i].domain),
                                   reputation_text(&r, text)));
    }
}

void known_learn(const struct settings *set, const struct message *m)
{
    struct known v[SIGNERS_MAX + 1];
    const struct rules_facts *r = &m->facts.rules;
    bool virus = m->facts.virus.state == VIRUS_FOUND;
    bool bad = virus || r->score >= r->required;
    if (!m->memory || !set->reputation.enabled || (!r->ran && !virus) ||
        (!bad && r->score > r->required / 2))
        return;
    size_t n = proven(m, v);
    for (size_t i = 0; i < n; i++)
        reputation_learn(m->memory, &set->reputation, v[i].kind, v[i].domain, bad, clock_wall());
}
