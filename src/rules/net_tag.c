/* Tags that questions are made of (_AUTHORDOMAIN_, _LASTEXTERNALIP_, _HEADER(X-Foo)_). */
#include "rules/eval_state.h"
#include "rules/geo.h"
#include "rules/net.h"

#include "rules/eval.h"

struct values {
    struct span *v;
    size_t n, cap;
};

static void add(struct rules_ctx *c, struct values *l, struct span s)
{
    for (size_t i = 0; i < l->n; i++)
        if (span_eq(l->v[i], s))
            return;
    if (s.n)
        *ARENA_PUSH(c->a, l->v, l->n, l->cap) = s;
}

static void add_words(struct rules_ctx *c, struct values *l, struct span text)
{
    struct span word;
    while ((word = span_word(&text, " \t\r\n")).p)
        add(c, l, word);
}

static void relay_tag(struct rules_ctx *c, struct values *l, struct span tag)
{
    const struct relays *r = c->relays;
    const struct relay *external = r->nexternal ? r->external[0] : NULL;
    const struct relay *trusted = r->ntrusted ? r->trusted[r->ntrusted - 1] : NULL;
    if (trusted && span_eq(tag, SPAN("FIRSTTRUSTEDIP")))
        add(c, l, trusted->ip);
    else if (trusted && span_eq(tag, SPAN("FIRSTTRUSTEDREVIP")))
        add(c, l, net_reversed(c->a, trusted->ip));
    else if (external && span_eq(tag, SPAN("LASTEXTERNALIP")))
        add(c, l, external->ip);
    else if (external && span_eq(tag, SPAN("LASTEXTERNALREVIP")))
        add(c, l, net_reversed(c->a, external->ip));
    else if (external && span_eq(tag, SPAN("LASTEXTERNALRDNS")))
        add(c, l, external->rdns);
    else if (external && span_eq(tag, SPAN("LASTEXTERNALHELO")))
        add(c, l, external->helo);
}

static void list_tag(struct rules_ctx *c, struct values *l, const struct span *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(c, l, v[i]);
}

/* Of signatures that verify, each value once. */
static void dkim_tag(struct rules_ctx *c, struct values *l, struct span tag)
{
    const struct auth_facts *f = &c->m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++) {
        const struct dkim_fact *d = &f->dkim[i];
        if (d->result == DKIM_PASS || d->result == DKIM_POLICY)
            add(c, l,
                span_eq(tag, SPAN("DKIMDOMAIN"))     ? d->domain
                : span_eq(tag, SPAN("DKIMIDENTITY")) ? d->identity
                                                     : d->selector);
    }
}

/* What a plugin has told (rules/plugin.h). */
static void fact_tag(struct rules_ctx *c, struct values *l, struct span tag)
{
    const struct facts *f = &c->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (strncmp(f->facts[i].name, "tag.", 4) == 0 &&
            span_eq(span_str(f->facts[i].name + 4), tag))
            add(c, l, f->facts[i].value);
}

const struct span *net_tag(struct rules_ctx *c, struct span tag, size_t *n)
{
    struct values l = {0};
    const struct span *v;
    size_t count;
    if (span_starts(tag, SPAN("HEADER(")) && span_ends(tag, SPAN(")")))
        add(c, &l, span_trim(header_scalar(c, arena_cstr(c->a, span_sub(tag, 7, tag.n - 1)))));
    else if (span_eq(tag, SPAN("SENDERDOMAIN")))
        add_words(c, &l, header_scalar(c, "X-SenderDomain"));
    else if (span_eq(tag, SPAN("AUTHORDOMAIN")))
        add_words(c, &l, header_scalar(c, "X-AuthorDomain"));
    else if (span_eq(tag, SPAN("URIHOSTS")) && (v = uridnsbl_hosts(c, &count)))
        list_tag(c, &l, v, count);
    else if (span_eq(tag, SPAN("URIDOMAINS")) && (v = uridnsbl_domains(c, &count)))
        list_tag(c, &l, v, count);
    else if (span_eq(tag, SPAN("DKIMDOMAIN")) || span_eq(tag, SPAN("DKIMIDENTITY")) ||
             span_eq(tag, SPAN("DKIMSELECTOR")))
        dkim_tag(c, &l, tag);
    else if ((v = asn_values(c, tag, &count)))
        list_tag(c, &l, v, count);
    else
        relay_tag(c, &l, tag);
    if (!l.n)
        fact_tag(c, &l, tag);
    *n = l.n;
    return l.n ? l.v : NULL;
}
