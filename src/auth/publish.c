#include "auth/publish.h"

static void text(struct message *m, const char *name, struct span v)
{
    if (v.n)
        facts_add(&m->facts, m->arena, name, v);
}

static void word(struct message *m, const char *name, const char *v)
{
    text(m, name, span_str(v));
}

static void spf(struct message *m, const char *name, const struct spf_fact *f)
{
    struct arena *a = m->arena;
    if (f->result == SPF_NOT_RUN)
        return;
    word(m, name, spf_result_name(f->result));
    text(m, arena_printf(a, "%s.domain", name).p, f->domain);
    text(m, arena_printf(a, "%s.mechanism", name).p, f->mechanism);
    text(m, arena_printf(a, "%s.explanation", name).p, f->explanation);
    text(m, arena_printf(a, "%s.why", name).p, f->why);
    if (f->result == SPF_TEMPERROR)
        facts_skip(&m->facts, a, name, f->why);
}

static void dkim(struct message *m)
{
    const struct auth_facts *f = &m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++) {
        const struct dkim_fact *d = &f->dkim[i];
        struct span v = arena_printf(
            m->arena, "%s d=%.*s s=%.*s a=%.*s bits=%u%s%s%s%.*s", dkim_result_name(d->result),
            SPAN_ARG(d->domain), SPAN_ARG(d->selector), SPAN_ARG(d->algorithm), d->bits,
            d->author ? " author" : "", d->body_limited ? " body-limited" : "",
            d->why.n ? ": " : "", SPAN_ARG(d->why));
        text(m, arena_printf(m->arena, "%s.%zu", d->domainkeys ? "domainkeys" : "dkim", i + 1).p,
             v);
        if (d->result == DKIM_TEMPERROR)
            facts_skip(&m->facts, m->arena, "dkim", d->why);
    }
}

static void arc(struct message *m)
{
    const struct arc_fact *f = &m->facts.auth.arc;
    if (f->result == ARC_NOT_RUN)
        return;
    word(m, "arc", arc_result_name(f->result));
    for (size_t i = 0; i < f->nsealers; i++)
        text(m, arena_printf(m->arena, "arc.sealer.%zu", i + 1).p, f->sealers[i]);
    text(m, "arc.trusted", f->trusted);
    text(m, "arc.why", f->why);
}

static void dmarc(struct message *m)
{
    const struct dmarc_fact *f = &m->facts.auth.dmarc;
    if (f->result == DMARC_NOT_RUN)
        return;
    word(m, "dmarc", dmarc_result_name(f->result));
    text(m, "dmarc.domain", f->domain);
    if (f->record_domain.n) {
        text(m, "dmarc.organisation", f->organisation);
        text(m, "dmarc.record", f->record);
        word(m, "dmarc.policy", dmarc_policy_name(f->policy));
        word(m, "dmarc.disposition", dmarc_policy_name(f->disposition));
    }
    word(m, "dmarc.override", f->override);
    word(m, "dmarc.aligned",
         f->spf_aligned && f->dkim_aligned ? "spf dkim"
         : f->spf_aligned                  ? "spf"
         : f->dkim_aligned                 ? "dkim"
                                           : NULL);
    text(m, "dmarc.why", f->why);
    if (f->bad_from)
        word(m, "from.ambiguous", "yes");
    if (f->result == DMARC_TEMPERROR)
        facts_skip(&m->facts, m->arena, "dmarc", f->why);
}

void auth_publish(struct message *m)
{
    const struct auth_facts *f = &m->facts.auth;
    spf(m, "spf.helo", &f->helo);
    spf(m, "spf", &f->mailfrom);
    spf(m, "spf.pra", &f->pra);
    dkim(m);
    arc(m);
    dmarc(m);
}
