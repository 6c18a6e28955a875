/* DNSEval: lists of addresses and domains in the DNS.
 *
 * A check_rbl rule asks its list about addresses or names and hits on any answer, or on one that
 * its own test likes; check_rbl_sub rules look at the answers of all rules of their set. So each
 * function is a source of names; what is done with them is the same for all. */
#include "rules/eval_state.h"
#include "rules/net.h"
#include "rules/plugin.h"

#include "dns/dns.h"
#include "relays/ip_pattern.h"
#include "rules/eval.h"

enum {
    RECEIVED_MAX = 9, /* SpamAssassin's num_check_received */
    SETS_MAX = 256
};

enum whose { ALL_IPS, LAST_EXTERNAL, NOT_FIRST_HOP, FIRST_TRUSTED, UNTRUSTED };

struct rbl {
    struct span set, zone;
    enum dns_type type;
    enum whose whose;
    struct net_test test; /* NET_ANY: none */
    bool nice, domains_only, ips_only;
    struct rbl_set *in;
};

/* Rules that ask for one set, known when the rules are loaded. */
struct rbl_set {
    size_t index;
    const struct eval_call **asking;
    size_t n, cap;
};
struct rbl_sets {
    struct map by_name;
    size_t n;
};

/* Of one message. */
struct ips {
    struct span *v;
    size_t n, cap;
};
struct dnseval {
    struct ips untrusted, external, originating;
    bool any; /* there is an address to ask about */
    struct rbl_answers {
        unsigned round;
        struct span *text; /* A records in 127/8 and TXT */
        size_t n, cap;
    } sets[SETS_MAX];
};

/* --- addresses --- */

static bool has(const struct ips *l, struct span ip)
{
    for (size_t i = 0; i < l->n; i++)
        if (span_eq(l->v[i], ip))
            return true;
    return false;
}

static void add(struct rules_ctx *c, struct ips *l, struct span ip)
{
    if (ip.n)
        *ARENA_PUSH(c->a, l->v, l->n, l->cap) = ip;
}

/* Each once, without private ones. */
static void add_public(struct rules_ctx *c, struct ips *l, const struct ips *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!has(l, from->v[i]) && !ip_pattern_private(from->v[i]))
            add(c, l, from->v[i]);
}

static void find_originating(struct rules_ctx *c, struct ips *out)
{
    const struct relays_settings *r = &c->conf->relays;
    for (size_t i = 0; i < r->noriginating; i++) {
        struct span text = header_scalar(c, arena_cstr(c->a, r->originating_ip_headers[i])), ip;
        for (size_t at = 0; ip_pattern_find(text, at, &ip); at = (size_t)(ip.p - text.p) + ip.n)
            add(c, out, ip);
    }
}

static struct dnseval *state(struct rules_ctx *c)
{
    if (c->net->dnseval)
        return c->net->dnseval;
    struct dnseval *d = c->net->dnseval = ARENA_NEW(c->a, struct dnseval);
    struct ips untrusted = {0};
    for (size_t i = 0; i < c->relays->ntrusted; i++)
        if (!c->relays->trusted[i]->internal)
            add(c, &d->external, c->relays->trusted[i]->ip);
    for (size_t i = 0; i < c->relays->nuntrusted; i++) {
        add(c, &d->external, c->relays->untrusted[i]->ip);
        add(c, &untrusted, c->relays->untrusted[i]->ip);
    }
    add_public(c, &d->untrusted, &untrusted);
    find_originating(c, &d->originating);
    d->any = d->untrusted.n + d->originating.n > 0;
    return d;
}

static void reverse(struct ips *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct span swap = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = swap;
    }
}

/* The addresses that a rule asks about, in SpamAssassin's order, which decides which are left when
 * there are too many. */
static struct ips wanted(struct rules_ctx *c, const struct rbl *r)
{
    struct dnseval *d = state(c);
    struct ips out = {0};
    if (!d->any)
        return out;
    if (r->whose == LAST_EXTERNAL || r->whose == NOT_FIRST_HOP) {
        add_public(c, &out, &d->external);
        if (r->whose == LAST_EXTERNAL && out.n > 1)
            out.n = 1;
        else if (r->whose == NOT_FIRST_HOP && out.n > 1)
            out.n--;
    } else {
        struct ips foreign = {0};
        for (size_t i = 0; i < d->originating.n; i++)
            if (!netset_has(&c->conf->relays.trusted, d->originating.v[i]))
                add(c, &foreign, d->originating.v[i]);
        add_public(c, &out, &d->untrusted);
        add_public(c, &out, &foreign);
        if (r->whose == FIRST_TRUSTED && out.n > 1)
            out.n = 1;
        else if (r->whose == UNTRUSTED && out.n)
            out.v++, out.n--;
        else if (r->whose == ALL_IPS)
            reverse(&out);
    }
    if (out.n > RECEIVED_MAX)
        out.n = RECEIVED_MAX;
    while (!r->nice && out.n && netset_has(&c->conf->relays.trusted, out.v[0]))
        out.v++, out.n--;
    return out;
}

/* --- names and what is done with them --- */

/* One question of a rule: planned, or its answers gathered (into: where to). */
static void ask(struct rules_ctx *c, const struct rbl *r, struct span name,
                struct rbl_answers *into)
{
    const struct net_answer *a = net_ask(c, net_join(c->a, name, r->zone), r->type, false);
    for (size_t i = 0; into && a && i < a->n; i++) {
        if (r->type != DNS_A || span_starts(a->text[i], SPAN("127.")))
            *ARENA_PUSH(c->a, into->text, into->n, into->cap) = a->text[i];
    }
}

static void ask_ips(struct rules_ctx *c, const struct eval_call *call, struct rbl_answers *into)
{
    const struct rbl *r = call->prepared;
    struct ips ips = wanted(c, r);
    for (size_t i = 0; i < ips.n; i++) {
        struct span name = net_reversed(c->a, ips.v[i]);
        if (name.n)
            ask(c, r, name, into);
    }
}

/* A host name or an address, as the rule's flags allow. */
static void ask_host(struct rules_ctx *c, const struct rbl *r, struct span host,
                     struct rbl_answers *into)
{
    if (ip_pattern_is(host)) {
        host = r->domains_only ? SPAN_NONE : net_reversed(c->a, host);
        if (host.n)
            ask(c, r, host, into);
    } else if (!r->ips_only && net_host_valid(c, host)) {
        ask(c, r, host, into);
    }
}

/* The domain of an address: dots at both ends off, doubled ones squeezed; without a dot: none. */
static struct span domain_of(struct rules_ctx *c, struct span address)
{
    size_t at = span_find(address, '@');
    struct span s = at == SIZE_MAX ? SPAN_NONE : span_from(address, at + 1);
    size_t end = 0, w = 0;
    while (end < s.n && s.p[end] != '@' && !ascii_isspace(s.p[end]))
        end++;
    s = span_sub(s, 0, end);
    while (s.n && s.p[0] == '.')
        s = span_from(s, 1);
    while (s.n && s.p[s.n - 1] == '.')
        s.n--;
    if (span_find(s, '.') == SIZE_MAX)
        return SPAN_NONE;
    char *out = arena_raw(c->a, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '.' || w == 0 || out[w - 1] != '.')
            out[w++] = ascii_lower(s.p[i]);
    return span_of(out, w);
}

static void ask_address(struct rules_ctx *c, const struct rbl *r, struct span address,
                        struct rbl_answers *into)
{
    struct span host = domain_of(c, address);
    if (host.n)
        ask_host(c, r, host, into);
}

static void ask_from_host(struct rules_ctx *c, const struct eval_call *call,
                          struct rbl_answers *into)
{
    size_t n;
    struct span *v = header_all_from(c, &n);
    for (size_t i = 0; i < n; i++)
        ask_address(c, call->prepared, v[i], into);
}

static void ask_from_domain(struct rules_ctx *c, const struct eval_call *call,
                            struct rbl_answers *into)
{
    size_t n;
    struct span *v = header_all_from(c, &n);
    for (size_t i = 0; i < n; i++) {
        struct span host = domain_of(c, v[i]);
        if (host.n && !ip_pattern_is(host))
            host = ctx_registered_domain(c, host);
        if (host.n)
            ask_host(c, call->prepared, host, into);
    }
}

static void ask_envfrom(struct rules_ctx *c, const struct eval_call *call, struct rbl_answers *into)
{
    ask_address(c, call->prepared, header_scalar(c, "EnvelopeFrom:addr"), into);
}

static void ask_headers(struct rules_ctx *c, const struct eval_call *call, struct rbl_answers *into)
{
    struct span rest = call->nargs > 3 ? call->args[3]
                                       : conf_value(c->conf, "rbl_headers",
                                                    SPAN("EnvelopeFrom,Reply-To,Disposition-"
                                                         "Notification-To,X-WebmailclientIP,"
                                                         "X-Source-IP"));
    struct span name;
    while ((name = span_word(&rest, ",")).p) {
        struct span address = header_scalar(c, arena_printf(c->a, "%.*s:addr", SPAN_ARG(name)).p);
        if (domain_of(c, address).n) {
            ask_address(c, call->prepared, address, into);
            continue;
        }
        struct span text = header_scalar(c, arena_cstr(c->a, name)), line;
        while (span_line(&text, &line))
            ask_host(c, call->prepared, line, into);
    }
}

/* The oldest relay: its address and names. */
static void ask_rcvd(struct rules_ctx *c, const struct eval_call *call, struct rbl_answers *into)
{
    if (!c->relays->nuntrusted)
        return;
    const struct relay *r = c->relays->untrusted[c->relays->nuntrusted - 1];
    const struct span hosts[] = {r->ip, r->by, r->helo, r->rdns};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (hosts[i].n)
            ask_host(c, call->prepared, hosts[i], into);
}

/* The list of a third party that the message names: in the sender's domain ("a--NAME.") or in a
 * field Accreditor. */
static void ask_accreditor(struct rules_ctx *c, const struct eval_call *call,
                           struct rbl_answers *into)
{
    struct span sender = arena_lower(c->a, header_scalar(c, "EnvelopeFrom:addr"));
    struct span wanted_name = eval_arg(call, 3), field = header_scalar(c, "Accreditor"), one;
    struct span dotted = arena_printf(c->a, "a--%.*s.", SPAN_ARG(wanted_name));
    size_t at = span_search(sender, dotted);
    bool named = wanted_name.n >= 3 && at != SIZE_MAX && at > 0 &&
                 (sender.p[at - 1] == '@' || sender.p[at - 1] == '.');
    while (!named && (one = span_word(&field, ",")).p)
        named = span_eq(arena_lower(c->a, span_word(&one, " \t\r\n;")), wanted_name);
    if (named)
        ask_ips(c, call, into);
}

/* The name servers' first host, as the authority of an empty answer tells it (SOA). */
static void ask_ns_from(struct rules_ctx *c, const struct eval_call *call, struct rbl_answers *into)
{
    struct span at = domain_of(c, header_scalar(c, "EnvelopeFrom:addr"));
    const struct net_answer *a = at.n ? net_ask(c, at, DNS_NS, true) : NULL;
    if (!a || a->n)
        return;
    while (at.n) {
        size_t dot = span_find(at, '.');
        const struct net_answer *soa = net_ask(c, at, DNS_SOA, true);
        if (!soa)
            return;
        if (soa->n) {
            if (uri_fqdn_valid(soa->text[0]))
                ask(c, call->prepared, soa->text[0], into);
            return;
        }
        at = dot == SIZE_MAX ? SPAN_NONE : span_from(at, dot + 1);
    }
}

/* --- rules --- */

typedef void ask_fn(struct rules_ctx *, const struct eval_call *, struct rbl_answers *);

static bool hits(const struct net_test *t, const struct rbl_answers *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (net_test_hits(t, a->text[i], true))
            return true;
    return false;
}

static double run(struct rules_ctx *c, const struct eval_call *call, ask_fn *fn)
{
    const struct rbl *r = call->prepared;
    struct rbl_answers answers = {0};
    if (!net_available(c))
        return 0;
    fn(c, call, c->net->planning ? NULL : &answers);
    return hits(&r->test, &answers);
}

#define RULE(name, source)                                                                         \
    static double name(struct rules_ctx *c, const struct eval_call *call)                          \
    {                                                                                              \
        return run(c, call, source);                                                               \
    }
RULE(check_rbl, ask_ips)
RULE(check_rbl_txt, ask_ips)
RULE(check_rbl_accreditor, ask_accreditor)
RULE(check_rbl_envfrom, ask_envfrom)
RULE(check_rbl_from_host, ask_from_host)
RULE(check_rbl_from_domain, ask_from_domain)
RULE(check_rbl_headers, ask_headers)
RULE(check_rbl_rcvd, ask_rcvd)
RULE(check_rbl_ns_from, ask_ns_from)

static ask_fn *source_of(const struct eval_call *call)
{
    static const struct {
        double (*fn)(struct rules_ctx *, const struct eval_call *);
        ask_fn *source;
    } table[] = {
        {check_rbl, ask_ips},
        {check_rbl_txt, ask_ips},
        {check_rbl_accreditor, ask_accreditor},
        {check_rbl_envfrom, ask_envfrom},
        {check_rbl_from_host, ask_from_host},
        {check_rbl_from_domain, ask_from_domain},
        {check_rbl_headers, ask_headers},
        {check_rbl_rcvd, ask_rcvd},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].fn == call->def->fn)
            return table[i].source;
    return ask_ns_from;
}

/* The answers of all rules of the set, gathered once a judgement. */
static double check_rbl_sub(struct rules_ctx *c, const struct eval_call *call)
{
    const struct rbl *r = call->prepared;
    if (!net_available(c) || c->net->planning)
        return 0;
    struct rbl_answers *a = &state(c)->sets[r->in->index];
    if (a->round != c->net->round) {
        *a = (struct rbl_answers){.round = c->net->round};
        for (size_t i = 0; i < r->in->n; i++)
            source_of(r->in->asking[i])(c, r->in->asking[i], a);
    }
    return hits(&r->test, a);
}

/* SpamAssassin 4.0 asks for A and MX of the sender's domain, but looks for errors only in answers
 * that hold such records, so that the rule never hits: the questions are spared. */
static double check_dns_sender(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

/* --- load --- */

static struct rbl_set *set_of(struct arena *a, const struct conf *conf, struct span name,
                              struct err *e)
{
    struct rbl_sets **made = (struct rbl_sets **)plugin_made(conf, "DNSEval");
    if (!*made) {
        *made = ARENA_NEW(a, struct rbl_sets);
        (*made)->by_name = map_in(a);
    }
    struct rbl_set **slot = (struct rbl_set **)map_at(&(*made)->by_name, name);
    if (!*slot) {
        if ((*made)->n == SETS_MAX) {
            err_set(e, "more than %d sets of lists", SETS_MAX);
            return NULL;
        }
        *slot = ARENA_NEW(a, struct rbl_set);
        (*slot)->index = (*made)->n++;
    }
    return *slot;
}

static enum whose whose_of(struct span set)
{
    static const struct {
        const char *suffix;
        enum whose whose;
    } table[] = {
        {"-lastexternal", LAST_EXTERNAL},
        {"-notfirsthop", NOT_FIRST_HOP},
        {"-firsttrusted", FIRST_TRUSTED},
        {"-untrusted", UNTRUSTED},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_ends(set, span_str(table[i].suffix)))
            return table[i].whose;
    return ALL_IPS;
}

/* Set, server, test. */
static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    struct rbl *r = call->prepared = ARENA_NEW(a, struct rbl);
    if (call->nargs < 2)
        return err_set(e, "the name of a set and a server are wanted");
    r->set = call->args[0];
    r->zone = call->args[1];
    r->type = strcmp(call->def->name, "check_rbl_txt") == 0 ? DNS_TXT : DNS_A;
    r->whose = whose_of(r->set);
    r->nice = net_tflag(conf, call->rule, "nice");
    r->domains_only = net_tflag(conf, call->rule, "domains_only");
    r->ips_only = net_tflag(conf, call->rule, "ips_only");
    r->in = set_of(a, conf, r->set, e);
    if (!r->in)
        return -1;
    *ARENA_PUSH(a, r->in->asking, r->in->n, r->in->cap) = call;
    return call->nargs > 2 && call->args[2].n ? net_test_rbl(a, call->args[2], &r->test, e) : 0;
}

/* Set, test. */
static int prepare_sub(struct arena *a, const struct conf *conf, struct eval_call *call,
                       struct err *e)
{
    struct rbl *r = call->prepared = ARENA_NEW(a, struct rbl);
    if (call->nargs < 2)
        return err_set(e, "the name of a set and a test are wanted");
    if (span_starts(call->args[1], SPAN("sb:")))
        return err_set(e, "rules for SenderBase are out of use");
    r->in = set_of(a, conf, call->args[0], e);
    return r->in ? net_test_rbl(a, call->args[1], &r->test, e) : -1;
}

#define ASKS(fn)                                                                                   \
    {                                                                                              \
#fn, "DNSEval", fn, prepare, .net = true, .asks = true                                     \
    }
const struct eval_fn_def eval_dns[] = {
    ASKS(check_rbl),
    ASKS(check_rbl_txt),
    ASKS(check_rbl_accreditor),
    ASKS(check_rbl_envfrom),
    ASKS(check_rbl_from_host),
    ASKS(check_rbl_from_domain),
    ASKS(check_rbl_headers),
    ASKS(check_rbl_ns_from),
    ASKS(check_rbl_rcvd),
    {"check_rbl_sub", "DNSEval", check_rbl_sub, prepare_sub, .net = true},
    {"check_dns_sender", "DNSEval", check_dns_sender, .net = true},
    {NULL},
};
