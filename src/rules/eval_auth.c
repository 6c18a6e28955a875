/* SPF, DKIM and DMARC: rules over what room auth found out (struct auth_facts), and the lists that
 * welcome authenticated senders. ADSP (RFC 5617), which is of the rules alone, is asked here. */
#include "rules/eval_state.h"
#include "rules/net.h"

#include "dns/dns.h"
#include "relays/ip_pattern.h"
#include "rules/eval.h"

/* --- SPF --- */

static const struct {
    const char *name;
    enum spf_result result;
} spf_names[] = {
    {"pass", SPF_PASS},           {"neutral", SPF_NEUTRAL},   {"none", SPF_NONE},
    {"fail", SPF_FAIL},           {"softfail", SPF_SOFTFAIL}, {"permerror", SPF_PERMERROR},
    {"temperror", SPF_TEMPERROR}, {"hardfail", SPF_FAIL},
};

static enum spf_result spf_named(struct span word)
{
    for (size_t i = 0; i < sizeof spf_names / sizeof *spf_names; i++)
        if (span_ieq(word, span_str(spf_names[i].name)))
            return spf_names[i].result;
    return SPF_NOT_RUN;
}

/* The value behind "NAME=" in a line, up to a space or ';'. */
static struct span value_after(struct span line, const char *name)
{
    size_t at = span_isearch(line, span_str(name));
    struct span rest = at == SIZE_MAX ? SPAN_NONE : span_from(line, at + strlen(name));
    return span_word(&rest, " \t;");
}

/* What a Received-SPF field of one of our own hosts says (RFC 7208 section 9.1), for "mfrom" or
 * "helo"; without a word about the identity it is MAIL FROM's. */
static enum spf_result received_spf(struct span field, bool helo)
{
    struct span rest = span_from(field, span_find(field, ':') + 1);
    enum spf_result r = spf_named(span_word(&rest, " \t\r\n(;"));
    struct span identity = value_after(field, "identity=");
    bool is_helo = span_ieq(identity, SPAN("helo"));
    bool known = !identity.n || is_helo || span_ieq(identity, SPAN("mfrom")) ||
                 span_ieq(identity, SPAN("mailfrom"));
    return known && is_helo == helo ? r : SPF_NOT_RUN;
}

/* Fields that our own hosts have added: the earliest decides, as it saw the client. */
static enum spf_result spf_by_header(struct rules_ctx *c, bool helo)
{
    enum spf_result found = SPF_NOT_RUN;
    bool newest = conf_bool(c->conf, "use_newest_received_spf_header", false);
    struct span all, line;
    if (conf_bool(c->conf, "ignore_received_spf_header", false))
        return found;
    all = header_scalar(c, "ALL-INTERNAL");
    while (span_line(&all, &line)) {
        enum spf_result r =
            span_istarts(line, SPAN("received-spf:")) ? received_spf(line, helo) : SPF_NOT_RUN;
        if (r != SPF_NOT_RUN)
            found = r;
        if (found != SPF_NOT_RUN && newest)
            break;
    }
    return found;
}

static const struct relay *last_external(const struct rules_ctx *c)
{
    return c->relays->nexternal ? c->relays->external[0] : NULL;
}

/* The sender whose domain is asked; empty: there is none, or it can't be known. */
static struct span spf_sender(struct rules_ctx *c)
{
    const struct relay *r = last_external(c);
    if (r && r->envfrom.n)
        return arena_lower(c->a, r->envfrom);
    if (c->relays->ntrusted && !c->conf->always_trust_envelope_sender && !c->m->has_envelope)
        return SPAN("");
    return arena_lower(c->a, header_scalar(c, "EnvelopeFrom:addr"));
}

/* Names that say nothing: addresses, and words without a dot. */
static bool helo_checkable(struct span helo)
{
    while (helo.n && (helo.p[0] == '[' || helo.p[0] == '!'))
        helo = span_from(helo, 1);
    while (helo.n && (helo.p[helo.n - 1] == ']' || helo.p[helo.n - 1] == '!'))
        helo.n--;
    return span_find(helo, '.') != SIZE_MAX && !ip_pattern_is_v4(helo);
}

static enum spf_result spf_of(struct rules_ctx *c, bool helo)
{
    const struct auth_facts *f = &c->m->facts.auth;
    enum spf_result r = spf_by_header(c, helo);
    const struct relay *relay = last_external(c);
    if (r != SPF_NOT_RUN || !f->ran || !relay)
        return r;
    if (helo)
        return helo_checkable(relay->helo) ? f->helo.result : SPF_NOT_RUN;
    return spf_sender(c).n ? f->mailfrom.result : SPF_NOT_RUN;
}

/* check_for_spf_[helo_]RESULT */
static double check_for_spf(struct rules_ctx *c, const struct eval_call *call)
{
    struct span name = span_from(span_str(call->def->name), sizeof "check_for_spf_" - 1);
    bool helo = span_starts(name, SPAN("helo_"));
    return spf_of(c, helo) == spf_named(span_from(name, helo ? 5 : 0));
}

static double check_spf_skipped_noenvfrom(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return !spf_sender(c).n;
}

static double spf_welcome(struct rules_ctx *c, unsigned kind)
{
    struct span sender = spf_sender(c);
    const struct conf_lists *l = &c->conf->lists;
    return sender.n && spf_of(c, false) == SPF_PASS &&
           (globs_match(&l->welcome_from_spf[kind], sender) ||
            globs_match(&l->welcome_auth[kind], sender));
}

static double check_for_spf_welcomelist_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return spf_welcome(c, LIST_OWN);
}

static double check_for_def_spf_welcomelist_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return spf_welcome(c, LIST_DEF);
}

/* --- DKIM --- */

/* Good by mathematics: what our own policy thinks of it is not SpamAssassin's. */
static bool verifies(const struct dkim_fact *d)
{
    return d->result == DKIM_PASS || d->result == DKIM_POLICY;
}

/* 0: not known, as Mail::DKIM has none for ed25519. */
static double key_bits(const struct dkim_fact *d)
{
    return span_starts(d->algorithm, SPAN("ed25519")) ? 0 : d->bits;
}

static double minimum_bits(const struct rules_ctx *c)
{
    return conf_number(c->conf, "dkim_minimum_key_bits", 1024);
}

/* The domain that signs: of the identity, else d=. */
static struct span signer(struct rules_ctx *c, const struct dkim_fact *d)
{
    size_t at = span_rfind(d->identity, '@');
    return arena_lower(c->a, at == SIZE_MAX ? d->domain : span_from(d->identity, at + 1));
}

static struct span author_domain(struct rules_ctx *c, struct span address)
{
    size_t at = span_rfind(address, '@');
    return at == SIZE_MAX ? SPAN_NONE : arena_lower(c->a, span_trim(span_from(address, at + 1)));
}

static bool is_author_domain(struct rules_ctx *c, struct span domain)
{
    size_t n;
    struct span *v = header_list(c, "From:addr", &n);
    for (size_t i = 0; i < n; i++)
        if (span_eq(author_domain(c, v[i]), domain))
            return true;
    return false;
}

/* "example.org" itself; ".example.org" and "*.example.org" the domain and what is below it. */
static bool acceptable(struct rules_ctx *c, struct span want, struct span domain)
{
    want = arena_lower(c->a, want);
    if (span_starts(want, SPAN("*.")))
        want = span_from(want, 1);
    if (!span_starts(want, SPAN(".")))
        return span_eq(want, domain);
    return span_eq(span_from(want, 1), domain) || span_ends(domain, want);
}

static bool any_acceptable(struct rules_ctx *c, const struct span *v, size_t n, struct span domain)
{
    for (size_t i = 0; i < n; i++)
        if (acceptable(c, v[i], domain))
            return true;
    return n == 0;
}

static bool signed_by(struct rules_ctx *c, bool valid, bool author, const struct span *v, size_t n)
{
    const struct auth_facts *f = &c->m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++) {
        const struct dkim_fact *d = &f->dkim[i];
        double bits = key_bits(d);
        struct span by = signer(c, d);
        if (valid && (!verifies(d) || (bits > 0 && bits < minimum_bits(c))))
            continue;
        if (by.n && (!author || is_author_domain(c, by)) && any_acceptable(c, v, n, by))
            return true;
    }
    return false;
}

static bool has_valid(const struct rules_ctx *c)
{
    const struct auth_facts *f = &c->m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++)
        if (verifies(&f->dkim[i]))
            return true;
    return false;
}

static double check_dkim_signed(struct rules_ctx *c, const struct eval_call *call)
{
    return c->m->facts.auth.ndkim &&
           (!call->nargs || signed_by(c, false, false, call->args, call->nargs));
}

static double check_dkim_valid(struct rules_ctx *c, const struct eval_call *call)
{
    return has_valid(c) && (!call->nargs || signed_by(c, true, false, call->args, call->nargs));
}

/* An author's signature of sufficient strength for that domain. */
static bool valid_author(struct rules_ctx *c, struct span domain)
{
    const struct auth_facts *f = &c->m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++)
        if (verifies(&f->dkim[i]) && key_bits(&f->dkim[i]) >= minimum_bits(c) &&
            span_eq(signer(c, &f->dkim[i]), domain))
            return true;
    return false;
}

static double check_dkim_valid_author_sig(struct rules_ctx *c, const struct eval_call *call)
{
    size_t n;
    struct span *v = header_list(c, "From:addr", &n);
    for (size_t i = 0; i < n; i++)
        if (valid_author(c, author_domain(c, v[i])))
            return signed_by(c, true, true, call->args, call->nargs);
    return 0;
}

static double check_dkim_valid_envelopefrom(struct rules_ctx *c, const struct eval_call *call)
{
    struct span domain = author_domain(c, header_scalar(c, "EnvelopeFrom:addr"));
    (void)call;
    return domain.n && has_valid(c) && signed_by(c, true, false, &domain, 1);
}

static double check_dkim_testing(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c; /* SpamAssassin 4 never sets what this rule reads */
    (void)call;
    return 0;
}

static double check_dkim_dependable(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->net && c->m->facts.auth.ran;
}

static double check_arc_signed(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->m->facts.auth.arc.instances > 0;
}

static double check_arc_valid(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->m->facts.auth.arc.result == ARC_PASS;
}

/* --- ADSP --- */

/* adsp_override DOMAIN [PRACTICES]: N, U, A, D, 1, 2, 3; 0: no line about that name. */
static char override_of(struct rules_ctx *c, struct span name)
{
    const struct conf_lines *l = conf_lines(c->conf, "adsp_override");
    char found = 0;
    for (size_t i = 0; l && i < l->n; i++) {
        struct span rest = l->v[i].value, domain = span_word(&rest, " \t");
        if (span_starts(domain, SPAN("@")))
            domain = span_from(domain, 1);
        if (!span_ieq(domain, name))
            continue;
        struct span what = arena_lower(c->a, span_word(&rest, " \t"));
        found = !what.n                              ? 'D'
                : span_eq(what, SPAN("custom_low"))  ? '1'
                : span_eq(what, SPAN("custom_med"))  ? '2'
                : span_eq(what, SPAN("custom_high")) ? '3'
                                                     : ascii_upper(what.p[0]);
    }
    return found;
}

/* The domain, then "*.parent" for each of its parents, then "*". */
static char find_override(struct rules_ctx *c, struct span domain)
{
    char found = override_of(c, domain);
    while (!found && domain.n) {
        size_t dot = span_find(domain, '.');
        domain = dot == SIZE_MAX ? SPAN("") : span_from(domain, dot + 1);
        found =
            override_of(c, domain.n ? arena_printf(c->a, "*.%.*s", SPAN_ARG(domain)) : SPAN("*"));
    }
    return found;
}

/* Several rules ask about the same author, each time that questions are planned. */
static char overridden(struct rules_ctx *c, struct span domain)
{
    struct eval_state *s = eval_state(c);
    if (!s->overridden.p || !span_eq(s->overridden, domain)) {
        s->override = find_override(c, domain);
        s->overridden = domain;
    }
    return s->override;
}

/* What a record says (RFC 5617 section 4.2.1), read as Mail::DKIM reads it: the last dkim= counts,
 * in its own case; "strict" and "nxdomain" are of older drafts. 0: it is no list of tags. */
static char practices(struct span text)
{
    struct span word = SPAN("unknown");
    while (text.n && text.p[text.n - 1] == ';')
        text.n--;
    while (text.n) {
        size_t end = span_find(text, ';'), equals;
        struct span tag = span_trim(span_sub(text, 0, end));
        text = end == SIZE_MAX ? SPAN("") : span_from(text, end + 1);
        if ((equals = span_find(tag, '=')) == SIZE_MAX)
            return 0;
        if (span_eq(span_trim(span_sub(tag, 0, equals)), SPAN("dkim")))
            word = span_trim(span_from(tag, equals + 1));
    }
    return span_eq(word, SPAN("all"))                                            ? 'A'
           : span_eq(word, SPAN("discardable")) || span_eq(word, SPAN("strict")) ? 'D'
           : span_ieq(word, SPAN("nxdomain"))                                    ? 'N'
                                                                                 : 'U';
}

/* Of several records the last one; without one that can be read the domain must exist. */
static char published(struct rules_ctx *c, struct span domain)
{
    struct span name = arena_printf(c->a, "_adsp._domainkey.%.*s", SPAN_ARG(domain));
    const struct net_answer *a = net_ask(c, name, DNS_TXT, true);
    char said = a && a->n && a->text[a->n - 1].n ? practices(a->text[a->n - 1]) : 0;
    if (said)
        return said;
    a = a ? net_ask(c, domain, DNS_MX_RR, false) : NULL;
    return a && a->rcode == DNS_RCODE_NXDOMAIN ? 'N' : 'U';
}

/* Something, a dot, and at least two letters or hyphens. */
static bool fqdn(struct span domain)
{
    size_t dot = span_rfind(domain, '.');
    bool ok = dot != SIZE_MAX && dot > 0 && domain.n - dot > 2;
    for (size_t i = dot + 1; ok && i < domain.n; i++)
        ok = ascii_isalpha(domain.p[i]) || domain.p[i] == '-';
    return ok;
}

static bool tempfailed(struct rules_ctx *c, struct span domain)
{
    const struct auth_facts *f = &c->m->facts.auth;
    for (size_t i = 0; i < f->ndkim; i++)
        if (f->dkim[i].result == DKIM_TEMPERROR && span_eq(signer(c, &f->dkim[i]), domain))
            return true;
    return false;
}

/* Kinds of practices ("N", "D", "*": all), then author domains that are meant. */
static double check_dkim_adsp(struct rules_ctx *c, const struct eval_call *call)
{
    struct span kinds = call->nargs ? call->args[0] : SPAN("A");
    bool hit = false, meant = call->nargs < 2;
    size_t n;
    struct span *v = header_list(c, "From:addr", &n);
    if (span_eq(kinds, SPAN("*")))
        kinds = SPAN("NAD123");
    for (size_t i = 0; c->net && (c->net->planning || c->m->facts.auth.ran) && i < n; i++) {
        struct span domain = author_domain(c, v[i]);
        meant |= call->nargs > 1 && any_acceptable(c, call->args + 1, call->nargs - 1, domain);
        if (!fqdn(domain) || valid_author(c, domain) || tempfailed(c, domain))
            continue;
        char found = overridden(c, domain);
        hit |= span_find(kinds, found ? found : published(c, domain)) != SIZE_MAX;
    }
    return hit && meant;
}

/* A signature that an entry of a list accepts for that author: of its domain, or the author's. */
static bool vouches(struct rules_ctx *c, struct span author, struct span want)
{
    const struct auth_facts *f = &c->m->facts.auth;
    size_t at = span_rfind(want, '@');
    if (at != SIZE_MAX)
        want = span_from(want, at + 1);
    want = arena_lower(c->a, want);
    bool below = span_starts(want, SPAN("*.")) || span_starts(want, SPAN("."));
    if (below)
        want = span_from(want, span_find(want, '.'));
    for (size_t i = 0; i < f->ndkim; i++) {
        double bits = key_bits(&f->dkim[i]);
        struct span by = signer(c, &f->dkim[i]);
        if (!verifies(&f->dkim[i]) || (bits > 0 && bits < minimum_bits(c)))
            continue;
        if (!want.n ? span_eq(by, author_domain(c, author))
            : below ? span_ends(by, want)
                    : span_eq(by, want))
            return true;
    }
    return false;
}

static double dkim_welcome(struct rules_ctx *c, unsigned kind)
{
    const struct globs *dkim = &c->conf->lists.welcome_from_dkim[kind];
    const struct globs *auth = &c->conf->lists.welcome_auth[kind];
    size_t n;
    struct span *v = header_list(c, "From:addr", &n);
    for (size_t i = 0; i < n && has_valid(c); i++) {
        struct span author = arena_lower(c->a, v[i]);
        for (size_t k = globs_next(dkim, author, 0); k < dkim->n;
             k = globs_next(dkim, author, k + 1))
            if (vouches(c, author, dkim->v[k].arg))
                return 1;
        if (globs_match(auth, author) && vouches(c, author, SPAN("")))
            return 1;
    }
    return 0;
}

static double check_for_dkim_welcomelist_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return dkim_welcome(c, LIST_OWN);
}

static double check_for_def_dkim_welcomelist_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return dkim_welcome(c, LIST_DEF);
}

/* --- DMARC --- */

static double failed_with(const struct rules_ctx *c, enum dmarc_policy policy)
{
    const struct dmarc_fact *d = &c->m->facts.auth.dmarc;
    return d->result == DMARC_FAIL && d->policy == policy;
}

static double check_dmarc_pass(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->m->facts.auth.dmarc.result == DMARC_PASS;
}

static double check_dmarc_reject(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return failed_with(c, DMARC_POLICY_REJECT);
}

static double check_dmarc_quarantine(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return failed_with(c, DMARC_POLICY_QUARANTINE);
}

static double check_dmarc_none(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return failed_with(c, DMARC_POLICY_NONE);
}

/* Only where somebody looked: mail without a known client is not asked about. */
static double check_dmarc_missing(struct rules_ctx *c, const struct eval_call *call)
{
    const struct dmarc_fact *d = &c->m->facts.auth.dmarc;
    (void)call;
    return d->result == DMARC_NONE && d->domain.n && !d->record_domain.n;
}

#define SPF(name)                                                                                  \
    {                                                                                              \
        "check_for_spf_" name, "SPF", check_for_spf, .net = true                                   \
    }
#define NET(plugin, fn)                                                                            \
    {                                                                                              \
#fn, plugin, fn, .net = true                                                               \
    }
#define ASKS(plugin, name, fn)                                                                     \
    {                                                                                              \
        name, plugin, fn, .net = true, .asks = true                                                \
    }
const struct eval_fn_def eval_auth[] = {
    SPF("pass"),
    SPF("neutral"),
    SPF("none"),
    SPF("fail"),
    SPF("softfail"),
    SPF("permerror"),
    SPF("temperror"),
    SPF("helo_pass"),
    SPF("helo_neutral"),
    SPF("helo_none"),
    SPF("helo_fail"),
    SPF("helo_softfail"),
    SPF("helo_permerror"),
    SPF("helo_temperror"),
    NET("SPF", check_spf_skipped_noenvfrom),
    NET("SPF", check_for_spf_welcomelist_from),
    NET("SPF", check_for_def_spf_welcomelist_from),
    NET("DKIM", check_dkim_signed),
    NET("DKIM", check_dkim_valid),
    {"check_dkim_verified", "DKIM", check_dkim_valid, .net = true},
    NET("DKIM", check_dkim_valid_author_sig),
    NET("DKIM", check_dkim_valid_envelopefrom),
    NET("DKIM", check_dkim_testing),
    {"check_dkim_signsome", "DKIM", check_dkim_testing, .net = true},
    ASKS("DKIM", "check_dkim_signall", check_dkim_adsp),
    ASKS("DKIM", "check_dkim_adsp", check_dkim_adsp),
    /* not tagged net in the rule files: it runs, and is false where no signature was verified */
    {"check_dkim_dependable", "DKIM", check_dkim_dependable},
    NET("DKIM", check_arc_signed),
    NET("DKIM", check_arc_valid),
    NET("DKIM", check_for_dkim_welcomelist_from),
    NET("DKIM", check_for_def_dkim_welcomelist_from),
    NET("DMARC", check_dmarc_pass),
    NET("DMARC", check_dmarc_reject),
    NET("DMARC", check_dmarc_quarantine),
    NET("DMARC", check_dmarc_none),
    NET("DMARC", check_dmarc_missing),
    {NULL},
};
