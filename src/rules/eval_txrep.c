/* TxRep and AWL (semantics 9.4): the score of a message is pulled towards what its sender has sent
 * before. Both run last (priority 1000) and remember the message in what the scanner keeps between
 * messages (message.memory); without it they do not hit. */
#include "rules/eval.h"
#include "rules/ruleset_private.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "reputation/txrep.h"

/* Through "%.3f", as SpamAssassin keeps it. */
static double rounded(double v)
{
    char text[64];
    snprintf(text, sizeof text, "%.3f", v);
    return strtod(text, NULL);
}

/* Points of the rules that have hit, without those that may not teach. */
static double points(const struct rules_ctx *c, unsigned without)
{
    const struct rules_scratch *s = c->scratch;
    double sum = 0;
    for (size_t i = 0; i < s->nhits; i++)
        if (!s->hits[i].rule->sub && !(s->hits[i].rule->def->tflags & without))
            sum += s->hits[i].rule->score;
    return sum;
}

/* A rule whose score is found while it runs. */
static double hit(struct rules_ctx *c, const struct eval_call *call, double delta)
{
    delta = rounded(delta);
    if (delta == 0)
        return 0;
    c->scratch->adjusted.rule = call->rule;
    c->scratch->adjusted.score = delta;
    return 1;
}

/* ---- AWL ---- */

/* The oldest relay with a public address. */
static bool oldest_public(const struct relays *r, struct ip *out)
{
    for (size_t i = r->n; i-- > 0;)
        if (!r->v[i].is_private && ip_parse(r->v[i].ip, out))
            return true;
    return false;
}

static double check_from_in_auto_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    struct span from = header_scalar(c, "From:addr");
    struct ip ip;
    if (!c->m->memory || span_trim(from).n == 0 ||
        !conf_bool(c->conf, "use_auto_welcomelist", true))
        return 0;
    bool has_ip = oldest_public(c->relays, &ip);
    double score = rounded(points(c, TFLAG_NOAUTOLEARN));
    struct awl_result r =
        awl_adjust(c->m->memory, conf_number(c->conf, "auto_welcomelist_factor", 0.5), from,
                   has_ip ? &ip : NULL, score, clock_wall());
    return hit(c, call, r.delta);
}

/* ---- TxRep ---- */

/* "1.2.3.4", "[1.2.3.4]", the author's domain or the author: nothing new. */
static bool says_more(const struct relay *r, struct span domain, struct span from)
{
    struct span helo = r->helo;
    if (helo.n == 0 || span_ieq(helo, domain) || span_ieq(helo, from))
        return false;
    if (helo.n > 2 && helo.p[0] == '[' && helo.p[helo.n - 1] == ']')
        helo = span_sub(helo, 1, helo.n - 1);
    return !span_eq(helo, r->ip);
}

/* The first relay outside the trusted ones; at low scores the oldest of all. */
static void origin(const struct rules_ctx *c, double score, struct txrep_query *q)
{
    const struct relays *r = c->relays;
    long trusted = (long)r->ntrusted;
    for (size_t i = 0; i < r->ntrusted + r->nuntrusted; i++) {
        const struct relay *rly = i < r->ntrusted ? r->trusted[i] : r->untrusted[i - r->ntrusted];
        struct ip ip;
        trusted--;
        if (says_more(rly, q->domain, q->from))
            q->helo = rly->helo;
        if (!ip_parse(rly->ip, &ip))
            continue;
        if ((trusted >= -1 || score < 2) && !rly->is_private) {
            q->origin = ip;
            q->has_origin = true;
        } else if (trusted >= 0 && !q->has_origin && rly->is_private) {
            q->has_origin = ip_parse(SPAN("127.0.0.1"), &q->origin);
        }
    }
}

/* Of all signatures that verify, the domains, as the tag DKIMDOMAIN has them. */
static struct span signing_domain(const struct rules_ctx *c)
{
    const struct auth_facts *f = &c->m->facts.auth;
    struct buf b = {0};
    for (size_t i = 0; i < f->ndkim; i++) {
        if (f->dkim[i].result != DKIM_PASS)
            continue;
        if (b.n)
            buf_char(&b, ' ');
        buf_add(&b, f->dkim[i].domain);
    }
    struct span out = b.n ? arena_lower(c->a, buf_span(&b)) : SPAN_NONE;
    buf_free(&b);
    return out;
}

static struct txrep_weights weights(const struct conf *conf)
{
    const struct txrep_weights *d = &txrep_defaults;
    return (struct txrep_weights){.email_ip =
                                      conf_number(conf, "txrep_weight_email_ip", d->email_ip),
                                  .email = conf_number(conf, "txrep_weight_email", d->email),
                                  .domain = conf_number(conf, "txrep_weight_domain", d->domain),
                                  .ip = conf_number(conf, "txrep_weight_ip", d->ip),
                                  .helo = conf_number(conf, "txrep_weight_helo", d->helo),
                                  .factor = conf_number(conf, "txrep_factor", d->factor)};
}

static double check_senders_reputation(struct rules_ctx *c, const struct eval_call *call)
{
    struct txrep_query q = {.from = header_scalar(c, "From:addr")};
    if (!c->m->memory || !conf_bool(c->conf, "use_txrep", false))
        return 0;
    if (q.from.n == 0)
        q.from = header_scalar(c, "EnvelopeFrom:addr");
    if (span_trim(q.from).n == 0)
        return 0;
    double score = points(c, TFLAG_NOAUTOLEARN | TFLAG_USERCONF | TFLAG_LEARN);
    q.domain = span_from(q.from, span_rfind(q.from, '@') + 1);
    origin(c, score, &q);
    struct span signer = signing_domain(c);
    if (signer.n)
        q.domain = signer;
    q.signed_by = signer.n || (c->m->facts.auth.mailfrom.result == SPF_PASS &&
                               conf_bool(c->conf, "txrep_spf", true));
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char id[2 * SHA256_DIGEST_LENGTH + 1];
    SHA256((const unsigned char *)c->mime->body_bytes.p, c->mime->body_bytes.n, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(id + 2 * i, 3, "%02x", digest[i]);
    struct span date = header_scalar(c, "Date"), msgid = header_scalar(c, "Message-ID");
    if (conf_bool(c->conf, "txrep_track_messages", true))
        q.msgid = arena_printf(c->a, "%s@%.*s@%.*s", id, SPAN_ARG(msgid), SPAN_ARG(date));
    if (c->relays->ninternal && !c->relays->nexternal) { /* it leaves: its recipients may answer */
        q.recipients = header_all_to(c, &q.nrecipients);
        q.welcome = conf_number(c->conf, "txrep_welcomelist_out",
                                conf_number(c->conf, "txrep_whitelist_out", 10));
    }
    struct txrep_weights w = weights(c->conf);
    return hit(c, call, txrep_adjust(c->m->memory, &w, &q, score, clock_wall()));
}

const struct eval_fn_def eval_txrep[] = {
    {"check_from_in_auto_welcomelist", "AWL", check_from_in_auto_welcomelist, .types = EVAL_HEAD},
    {"check_from_in_auto_whitelist", "AWL", check_from_in_auto_welcomelist, .types = EVAL_HEAD},
    {"check_senders_reputation", "TxRep", check_senders_reputation, .types = EVAL_HEAD},
    {NULL},
};
