/* URIDNSBL: lists of the domains, name servers and addresses of the message's web addresses.
 *
 * Rules of one list differ only in their test of the answer, so answers are gathered once for each
 * list (zone, type of record, what is asked) and message, and all its rules look at them. */
#include "rules/net.h"
#include "rules/plugin.h"

#include "dns/dns.h"
#include "relays/ip_pattern.h"
#include "rules/eval.h"

enum { DOMAINS_MAX = 20, LISTS_MAX = 256 };

enum what {
    DOMAINS,      /* domains, and addresses in their place */
    DOMAINS_ONLY, /* tflags domains_only */
    IPS_ONLY,     /* tflags ips_only */
    NS_DOMAINS,   /* registered domains of name servers */
    NS_HOSTS,     /* name servers as they are called */
    ADDRESSES,    /* addresses of the hosts and their name servers (tflags a) */
    NOTHING       /* addresses of name servers alone: not looked up by SpamAssassin 4.0 */
};

struct list {
    struct span zone;
    enum dns_type type;
    enum what what;
    bool notrim; /* the host instead of its domain */
    size_t index;
};

struct uridnsbl_rule {
    const struct list *list;
    bool tested;
    struct net_test test;
};

/* Known when the rules are loaded. */
struct uridnsbl_conf {
    struct list lists[LISTS_MAX];
    size_t n;
    struct map skip; /* uridnsbl_skip_domain, lower case */
    bool has_skip;
    bool name_servers; /* some rule is about name servers: only then they are asked for */
};

/* Of one message. */
struct gathered {
    unsigned round;
    struct answer {
        const struct net_answer *a;
        struct span domain; /* what was looked up */
    } * v;
    size_t n, cap;
};
struct uridnsbl {
    struct span *hosts, *domains; /* pairs */
    size_t n;
    struct span *unique; /* domains, each once */
    size_t nunique;
    struct gathered lists[LISTS_MAX];
};

/* --- which hosts --- */

static bool skipped(const struct uridnsbl_conf *u, struct span domain)
{
    return u && u->has_skip && map_get(&u->skip, domain);
}

bool uridnsbl_skipped(const struct rules_ctx *c, struct span domain)
{
    return skipped(plugin_has(c->conf, "URIDNSBL"), domain);
}

/* Links with text first, then forms, images, others, what only stood in the text, empty links. */
static unsigned place_of(const struct uri *u)
{
    if (uri_has_type(u, "a")) {
        for (size_t i = 0; i < u->nanchors; i++)
            if (u->anchors[i].n)
                return 0;
        return 5;
    }
    if (uri_has_type(u, "form"))
        return 1;
    if (uri_has_type(u, "img"))
        return 2;
    return u->ntypes == 1 && uri_has_type(u, "parsed") ? 4 : 3;
}

static bool has(const struct span *v, size_t n, struct span s)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq(v[i], s))
            return true;
    return false;
}

static void add_hosts(struct rules_ctx *c, struct uridnsbl *u, const struct uri *uri, size_t max)
{
    for (size_t i = 0; i < uri->nhosts && u->n < max; i++) {
        struct span host = arena_lower(c->a, uri->hosts[i]);
        struct span domain = arena_lower(c->a, uri->domains[i]);
        if (!domain.n || has(u->hosts, u->n, host) || uridnsbl_skipped(c, domain) ||
            uridnsbl_skipped(c, host))
            continue;
        u->hosts[u->n] = host;
        u->domains[u->n++] = domain;
        if (!has(u->unique, u->nunique, domain))
            u->unique[u->nunique++] = domain;
    }
}

static struct uridnsbl *state(struct rules_ctx *c)
{
    if (c->net->uridnsbl)
        return c->net->uridnsbl;
    struct uridnsbl *u = c->net->uridnsbl = ARENA_NEW(c->a, struct uridnsbl);
    double limit = conf_number(c->conf, "uridnsbl_max_domains", DOMAINS_MAX);
    size_t max = limit > 0 && limit < 1000 ? (size_t)limit : 0;
    bool skip_mailto = conf_bool(c->conf, "uridnsbl_skip_mailto", true);
    const struct uris *uris = &c->text->uris;
    u->hosts = arena_array(c->a, max + 1, sizeof *u->hosts);
    u->domains = arena_array(c->a, max + 1, sizeof *u->domains);
    u->unique = arena_array(c->a, max + 1, sizeof *u->unique);
    for (unsigned place = 0; place <= 5; place++)
        for (size_t i = 0; i < uris->n && u->n < max; i++)
            if (!(skip_mailto && span_istarts(uris->v[i].key, SPAN("mailto:"))) &&
                place_of(&uris->v[i]) == place)
                add_hosts(c, u, &uris->v[i], max);
    return u;
}

const struct span *uridnsbl_hosts(struct rules_ctx *c, size_t *n)
{
    struct uridnsbl *u = state(c);
    *n = u->n;
    return u->hosts;
}

const struct span *uridnsbl_domains(struct rules_ctx *c, size_t *n)
{
    struct uridnsbl *u = state(c);
    *n = u->nunique;
    return u->unique;
}

/* --- questions --- */

/* \d+.\d+.\d+.\d+, in range or not. */
static bool looks_like_ip(struct span s)
{
    unsigned dots = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && i && s.p[i - 1] != '.' && i + 1 < s.n)
            dots++;
        else if (!ascii_isdigit(s.p[i]))
            return false;
    }
    return dots == 3;
}

static bool public_ip(struct span s)
{
    return ip_pattern_is_v4(s) && !ip_pattern_private(s);
}

static void ask_list(struct rules_ctx *c, const struct list *l, struct gathered *g,
                     struct span domain)
{
    struct span name = looks_like_ip(domain) ? net_reversed(c->a, domain) : domain;
    if (!name.n)
        return;
    const struct net_answer *a = net_ask(c, net_join(c->a, name, l->zone), l->type, false);
    if (a && a->n)
        *ARENA_PUSH(c->a, g->v, g->n, g->cap) = (struct answer){a, domain};
}

static void ask_addresses(struct rules_ctx *c, const struct list *l, struct gathered *g,
                          struct span host)
{
    const struct net_answer *a = net_ask(c, host, DNS_A, true);
    for (size_t i = 0; a && i < a->n; i++)
        ask_list(c, l, g, a->text[i]);
}

static void ask_name_servers(struct rules_ctx *c, const struct list *l, struct gathered *g,
                             struct span domain)
{
    const struct net_answer *a = net_ask(c, domain, DNS_NS, true);
    for (size_t i = 0; a && i < a->n; i++) {
        struct span ns = arena_lower(c->a, a->text[i]);
        while (ns.n && ns.p[ns.n - 1] == '.')
            ns.n--;
        bool ip = looks_like_ip(ns);
        if (!ns.n || (ip && !public_ip(ns)))
            continue;
        if (l->what == ADDRESSES && !ip)
            ask_addresses(c, l, g, ns);
        else if (l->what == NS_DOMAINS)
            ask_list(c, l, g, ip ? ns : ctx_registered_domain(c, ns));
        else if (l->what == NS_HOSTS)
            ask_list(c, l, g, ns);
    }
}

static bool name_servers_wanted(const struct rules_ctx *c)
{
    const struct uridnsbl_conf *u = plugin_has(c->conf, "URIDNSBL");
    return u && u->name_servers;
}

static void ask_host(struct rules_ctx *c, const struct list *l, struct gathered *g,
                     struct span host, struct span domain)
{
    bool ip = looks_like_ip(host) || (host.n && host.p[0] == '[');
    if (ip && !public_ip(host))
        return;
    switch (l->what) {
    case IPS_ONLY:
        if (ip)
            ask_list(c, l, g, host);
        break;
    case DOMAINS_ONLY:
    case DOMAINS:
        if (!ip || l->what == DOMAINS)
            ask_list(c, l, g, ip || l->notrim ? host : domain);
        break;
    case ADDRESSES:
        if (!ip) {
            ask_addresses(c, l, g, host);
            if (name_servers_wanted(c))
                ask_name_servers(c, l, g, domain);
        }
        break;
    case NS_DOMAINS:
    case NS_HOSTS:
        if (!ip)
            ask_name_servers(c, l, g, domain);
        break;
    case NOTHING:
        break;
    }
}

static const struct gathered *gather(struct rules_ctx *c, const struct list *l)
{
    struct uridnsbl *u = state(c);
    struct gathered *g = &u->lists[l->index];
    if (g->round == c->net->round)
        return g;
    *g = (struct gathered){.round = c->net->round};
    for (size_t i = 0; i < u->n; i++)
        ask_host(c, l, g, u->hosts[i], u->domains[i]);
    return g;
}

static bool listed(const struct uridnsbl_rule *r, const struct net_answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        bool address = r->list->type == DNS_A;
        if (r->tested ? net_test_hits(&r->test, a->text[i], address)
                      : !address || span_starts(a->text[i], SPAN("127.")))
            return true;
    }
    return false;
}

static double check_uridnsbl(struct rules_ctx *c, const struct eval_call *call)
{
    const struct uridnsbl_rule *r = call->prepared;
    if (!c->net || conf_bool(c->conf, "skip_uribl_checks", false) || !r->list)
        return 0;
    const struct gathered *g = gather(c, r->list);
    for (size_t i = 0; i < g->n; i++)
        if (listed(r, g->v[i].a))
            return 1;
    return 0;
}

/* --- load --- */

static void read_skip(struct arena *a, const struct conf *conf, struct uridnsbl_conf *u)
{
    const struct conf_lines *l = conf_lines(conf, "uridnsbl_skip_domain");
    u->skip = map_in(a);
    u->has_skip = true;
    for (size_t i = 0; l && i < l->n; i++) {
        struct span rest = l->v[i].value, word;
        while ((word = span_word(&rest, " \t")).p)
            *map_at(&u->skip, arena_lower(a, word)) = u;
    }
}

static struct uridnsbl_conf *uridnsbl_conf(struct arena *a, const struct conf *conf)
{
    void **made = plugin_made(conf, "URIDNSBL");
    if (!*made) {
        *made = ARENA_NEW(a, struct uridnsbl_conf);
        read_skip(a, conf, *made);
    }
    return *made;
}

static const struct list *list_of(struct uridnsbl_conf *u, const struct list *want)
{
    for (size_t i = 0; i < u->n; i++) {
        const struct list *l = &u->lists[i];
        if (span_ieq(l->zone, want->zone) && l->type == want->type && l->what == want->what &&
            l->notrim == want->notrim)
            return l;
    }
    if (u->n == LISTS_MAX)
        return NULL;
    u->lists[u->n] = *want;
    u->lists[u->n].index = u->n;
    return &u->lists[u->n++];
}

static const struct directive {
    const char *name;
    enum what what;
    bool subtest;
} directives[] = {
    {"uridnsbl", NOTHING, false},        {"uridnssub", NOTHING, true},
    {"urirhsbl", DOMAINS, false},        {"urirhssub", DOMAINS, true},
    {"urinsrhsbl", NS_DOMAINS, false},   {"urinsrhssub", NS_DOMAINS, true},
    {"urifullnsrhsbl", NS_HOSTS, false}, {"urifullnsrhssub", NS_HOSTS, true},
};

/* The last line about the rule, of any of the directives. */
static const struct directive *find(const struct conf *conf, const char *rule, struct span *rest)
{
    const struct directive *found = NULL;
    for (size_t k = 0; k < sizeof directives / sizeof *directives; k++) {
        const struct conf_lines *l = conf_lines(conf, directives[k].name);
        for (size_t i = 0; l && i < l->n; i++) {
            struct span value = l->v[i].value;
            if (!span_eq(span_word(&value, " \t"), span_str(rule)))
                continue;
            found = &directives[k];
            *rest = value;
        }
    }
    return found;
}

static enum what what_of(const struct conf *conf, const char *rule, const struct directive *d)
{
    if (d->what == NOTHING)
        return net_tflag(conf, rule, "a") ? ADDRESSES : NOTHING;
    if (d->what != DOMAINS)
        return d->what;
    return net_tflag(conf, rule, "ips_only")       ? IPS_ONLY
           : net_tflag(conf, rule, "domains_only") ? DOMAINS_ONLY
                                                   : DOMAINS;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    struct uridnsbl_rule *r = call->prepared = ARENA_NEW(a, struct uridnsbl_rule);
    struct uridnsbl_conf *u = uridnsbl_conf(a, conf);
    struct span rest;
    const struct directive *d = find(conf, call->rule, &rest);
    if (!d)
        return 0; /* no list: never hits */
    struct list want = {.zone = span_word(&rest, " \t"), .what = what_of(conf, call->rule, d)};
    struct span type = span_word(&rest, " \t");
    want.type = span_ieq(type, SPAN("TXT")) ? DNS_TXT : DNS_A;
    u->name_servers |= want.what == NS_DOMAINS || want.what == NS_HOSTS || want.what == NOTHING ||
                       (want.what == ADDRESSES && net_tflag(conf, call->rule, "ns"));
    want.notrim = net_tflag(conf, call->rule, "notrim");
    if (!want.zone.n || (want.type == DNS_A && !span_ieq(type, SPAN("A"))))
        return err_set(e, "%s: a zone and the type A or TXT are wanted", d->name);
    r->list = list_of(u, &want);
    if (!r->list)
        return err_set(e, "more than %d lists of domains", LISTS_MAX);
    r->tested = d->subtest;
    return r->tested ? net_test_uri(a, span_trim(rest), &r->test, e) : 0;
}

const struct eval_fn_def eval_uridnsbl[] = {
    {"check_uridnsbl", "URIDNSBL", check_uridnsbl, prepare, .net = true, .asks = true},
    {NULL},
};
