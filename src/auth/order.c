#include "auth/order.h"

/* How much an outcome takes from the message; accept takes nothing. */
static int strictness(enum outcome o)
{
    static const int rank[] = {
        [OUT_ACCEPT] = 0, [OUT_TAG] = 1,    [OUT_CLEAN] = 2,   [OUT_DEFER] = 3,
        [OUT_HOLD] = 4,   [OUT_REJECT] = 5, [OUT_DISCARD] = 6,
    };
    return rank[o];
}

static void order(struct message *m, enum outcome o, const char *reason, struct span detail)
{
    struct auth_order *out = &m->facts.auth.order;
    if (strictness(o) > strictness((enum outcome)out->outcome))
        *out = (struct auth_order){o, reason, detail};
}

static void dmarc_order(const struct settings *set, struct message *m)
{
    const struct dmarc_fact *d = &m->facts.auth.dmarc;
    const struct dmarc_settings *s = &set->dmarc;
    if (d->bad_from)
        order(m, s->on_bad_from, "From field", d->why);
    if (d->result != DMARC_FAIL || d->disposition == DMARC_POLICY_NONE)
        return;
    struct span detail = arena_printf(m->arena,
                                      "%.*s asks to %s mail that neither its SPF nor its "
                                      "DKIM vouches for",
                                      SPAN_ARG(d->domain), dmarc_policy_name(d->disposition));
    order(m, d->disposition == DMARC_POLICY_REJECT ? s->on_reject : s->on_quarantine, "DMARC",
          detail);
}

void auth_order(const struct settings *set, struct message *m)
{
    const struct auth_facts *f = &m->facts.auth;
    const struct spf_fact *spf = spf_main(f);
    m->facts.auth.order = (struct auth_order){0};
    dmarc_order(set, m);
    if (spf->result == SPF_FAIL)
        order(m, set->spf.on_fail, "SPF",
              spf->explanation.n ? arena_printf(m->arena, "%.*s explains: %.*s",
                                                SPAN_ARG(spf->domain), SPAN_ARG(spf->explanation))
                                 : arena_printf(m->arena, "%.*s does not send from this address",
                                                SPAN_ARG(spf->domain)));
}
