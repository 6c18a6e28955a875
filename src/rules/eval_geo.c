/* RelayCountry, ASN and URILocalBL. */
#include "rules/eval_state.h"

#include <stdlib.h>

#include "base/buf.h"
#include "relays/ip_pattern.h"
#include "rules/eval.h"
#include "rules/geo.h"
#include "rules/net.h"
#include "rules/plugin.h"
#include "pattern/regex.h"

/* --- RelayCountry --- */

struct geo_facts {
    struct span untrusted, external, auth, all; /* absent: the plugin did not run */
    struct span asn, told;                      /* by a database, by the DNS */
};

static void add_country(struct rules_ctx *c, struct buf *b, const struct relay *r)
{
    struct span cc = geo_country(geo_of(c->conf), c->a, r->ip);
    if (b->n)
        buf_char(b, ' ');
    buf_add(b, cc);
}

static struct span countries(struct rules_ctx *c, struct relay *const *v, size_t n)
{
    struct buf b = {0};
    for (size_t i = 0; i < n; i++)
        add_country(c, &b, v[i]);
    struct span out = arena_dup(c->a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* From the first relay on that authenticated its client. */
static struct span auth_countries(struct rules_ctx *c)
{
    const struct relays *r = c->relays;
    size_t i = 0;
    while (i < r->ntrusted && !r->trusted[i]->auth.n)
        i++;
    return countries(c, r->trusted + i, r->ntrusted - i);
}

static void relay_countries(struct rules_ctx *c, struct geo_facts *f)
{
    const struct relays *r = c->relays;
    f->untrusted = countries(c, r->untrusted, r->nuntrusted);
    f->external = countries(c, r->external, r->nexternal);
    f->auth = auth_countries(c);
    struct span internal = countries(c, r->internal, r->ninternal);
    f->all = arena_printf(c->a, "%.*s%s%.*s", SPAN_ARG(internal),
                          internal.n && f->external.n ? " " : "", SPAN_ARG(f->external));
    plugin_tag(c, "RELAYCOUNTRY", f->untrusted);
    plugin_tag(c, "RELAYCOUNTRYEXT", f->external);
    plugin_tag(c, "RELAYCOUNTRYAUTH", f->auth);
    plugin_tag(c, "RELAYCOUNTRYALL", f->all);
}

/* --- ASN --- */

struct span geo_asn_prefix(const struct conf *conf)
{
    struct span s = conf_value(conf, "asn_prefix", SPAN("AS"));
    bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
    return quoted ? span_sub(s, 1, s.n - 1) : s;
}

static void first_asn(struct rules_ctx *c, const struct geo *g, struct geo_facts *f)
{
    const struct relays *r = c->relays;
    if (!r->nexternal || r->external[0]->is_private)
        return;
    struct span ip = r->external[0]->ip, asn = geo_asn(g, c->a, ip);
    struct span org = geo_asn_owner(g, c->a, ip), prefix = geo_asn_prefix(c->conf);
    if (!asn.n)
        return;
    if (span_starts(asn, prefix))
        prefix = SPAN("");
    f->asn = asn;
    plugin_tag(c, "ASN",
               arena_printf(c->a, "%.*s%.*s%s%.*s", SPAN_ARG(prefix), SPAN_ARG(asn),
                            org.n ? " " : "", SPAN_ARG(org)));
}

void geo_extract(struct rules_ctx *c)
{
    const struct geo *g = geo_of(c->conf);
    if (!g)
        return;
    struct geo_facts *f = eval_state(c)->geo = ARENA_NEW(c->a, struct geo_facts);
    if (conf_plugin(c->conf, "RelayCountry") && geo_has_country(g))
        relay_countries(c, f);
    if (conf_plugin(c->conf, "ASN") && geo_has_asn(g) && conf_bool(c->conf, "asn_use_geodb", true))
        first_asn(c, g, f);
}

struct span geo_asn_found(struct rules_ctx *c)
{
    const struct geo_facts *f = eval_state(c)->geo;
    return f ? f->asn : SPAN_NONE;
}

void geo_asn_told(struct rules_ctx *c, struct span asn)
{
    struct eval_state *s = eval_state(c);
    if (!s->geo)
        s->geo = ARENA_NEW(c->a, struct geo_facts);
    s->geo->told = asn;
}

struct span geo_header(struct rules_ctx *c, struct span name)
{
    const struct geo_facts *f = eval_state(c)->geo;
    if (!f)
        return SPAN_NONE;
    return span_ieq(name, SPAN("X-Relay-Countries"))            ? f->untrusted
           : span_ieq(name, SPAN("X-Relay-Countries-External")) ? f->external
           : span_ieq(name, SPAN("X-Relay-Countries-Auth"))     ? f->auth
           : span_ieq(name, SPAN("X-Relay-Countries-All"))      ? f->all
           : span_ieq(name, SPAN("X-ASN"))                      ? (f->told.n ? f->told : f->asn)
                                                                : SPAN_NONE;
}

static int prepare_asn(struct arena *a, const struct conf *conf, struct eval_call *call,
                       struct err *e)
{
    (void)conf;
    struct span pattern = eval_arg(call, 0);
    if (!pattern.n)
        return err_set(e, "needs a regular expression");
    call->prepared = pattern.p[0] == '/' ? regex_new_delimited(a, pattern, e)
                                         : regex_new(a, pattern, SPAN_NONE, e);
    return call->prepared ? regex_check(call->prepared, e) : -1;
}

static double check_asn(struct rules_ctx *c, const struct eval_call *call)
{
    struct span tag = call->nargs > 1 ? eval_arg(call, 1) : SPAN("ASN");
    const struct facts *f = &c->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (strncmp(f->facts[i].name, "tag.", 4) == 0 &&
            span_eq(span_str(f->facts[i].name + 4), tag))
            return regex_hit(call->prepared, f->facts[i].value);
    return 0;
}

/* --- URILocalBL --- */

struct local_list {
    struct map countries, continents, isps, excluded;
    bool no_countries, no_continents; /* all but those */
    struct netset nets;
};

/* The words of every line of a directive that are about this rule. */
static bool next_words(const struct conf *conf, const char *directive, const char *rule, size_t *at,
                       struct span *words)
{
    const struct conf_lines *l = conf_lines(conf, directive);
    while (l && *at < l->n) {
        struct span rest = l->v[(*at)++].value, name = span_word(&rest, " \t");
        if (span_eq(name, span_str(rule))) {
            *words = span_trim(rest);
            return true;
        }
    }
    return false;
}

static void take_codes(struct arena *a, const struct conf *conf, const char *directive,
                       const char *rule, struct map *to, bool *negated)
{
    struct span words, word;
    for (size_t at = 0; next_words(conf, directive, rule, &at, &words);)
        while ((word = span_word(&words, " \t")).p) {
            bool no = word.p[0] == '!';
            char *code = (char *)(uintptr_t)arena_dup(a, span_from(word, no)).p;
            for (char *p = code; *p; p++)
                *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
            *map_at(to, span_str(code)) = to;
            *negated |= no;
        }
}

/* Capitals without white space: how names of providers are compared. */
static struct span provider(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            p[n++] = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 'a' + 'A') : s.p[i];
    return span_of(p, n);
}

static void take_providers(struct arena *a, const struct conf *conf, const char *rule,
                           struct map *to)
{
    struct span words;
    for (size_t at = 0; next_words(conf, "uri_block_isp", rule, &at, &words);)
        while (words.n) {
            bool quoted = words.p[0] == '"';
            size_t end = quoted ? span_find(span_from(words, 1), '"') : span_find(words, ' ');
            struct span name =
                quoted ? span_sub(span_from(words, 1), 0, end) : span_sub(words, 0, end);
            *map_at(to, provider(a, name)) = to;
            words =
                end == SIZE_MAX ? SPAN("") : span_trim(span_from(words, end + (quoted ? 2 : 0)));
        }
}

static int prepare_local(struct arena *a, const struct conf *conf, struct eval_call *call,
                         struct err *e)
{
    struct local_list *l = ARENA_NEW(a, struct local_list);
    struct span words, word;
    *l = (struct local_list){map_in(a), map_in(a), map_in(a), map_in(a), false, false, {0}};
    take_codes(a, conf, "uri_block_cc", call->rule, &l->countries, &l->no_countries);
    take_codes(a, conf, "uri_block_cont", call->rule, &l->continents, &l->no_continents);
    take_providers(a, conf, call->rule, &l->isps);
    for (size_t at = 0; next_words(conf, "uri_block_exclude", call->rule, &at, &words);)
        while ((word = span_word(&words, " \t")).p)
            *map_at(&l->excluded, arena_lower(a, word)) = l;
    for (size_t at = 0; next_words(conf, "uri_block_cidr", call->rule, &at, &words);)
        while ((word = span_word(&words, " \t")).p)
            if (!netset_add(&l->nets, a, arena_dup(a, word)))
                return err_set(e, "'%.*s' is no network", SPAN_ARG(word));
    call->prepared = l;
    return geo_open(a, conf, e) ? 0 : -1;
}

static bool in_list(const struct map *m, bool negated, struct span code)
{
    return m->n && (map_get(m, code) != NULL) != negated;
}

/* The addresses of one host: 1: hit, -1: excluded, 0: go on. Each kind of list looks at all of them
 * before the next one does. */
static int look_at(struct rules_ctx *c, const struct local_list *l, const struct span *ip, size_t n)
{
    const struct geo *g = geo_of(c->conf);
    for (size_t i = 0; i < n; i++)
        if (map_get(&l->excluded, ip[i]))
            return -1;
    for (size_t i = 0; i < n; i++) { /* without a database it is in none: "all but those" hits */
        bool known = geo_has_country(g);
        struct span country = known ? geo_country(g, c->a, ip[i]) : SPAN("");
        struct span continent = known ? geo_continent(g, c->a, ip[i]) : SPAN("");
        if (in_list(&l->countries, l->no_countries, country) ||
            in_list(&l->continents, l->no_continents, continent))
            return 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct span isp = l->isps.n ? geo_isp(g, c->a, ip[i]) : SPAN_NONE;
        if (isp.n && map_get(&l->isps, provider(c->a, isp)))
            return 1;
    }
    for (size_t i = 0; i < n && l->nets.n; i++)
        if (netset_has(&l->nets, ip[i]))
            return 1;
    return 0;
}

/* Hosts of links and of what looks like one, those excluded by their domain left out. */
struct link_hosts {
    struct span *addresses, *names;
    size_t naddresses, addresses_cap, nnames, names_cap;
};

static struct link_hosts link_hosts(struct rules_ctx *c, const struct local_list *l)
{
    struct link_hosts out = {0};
    for (size_t i = 0; i < c->text->uris.n; i++) {
        const struct uri *u = &c->text->uris.v[i];
        if (!uri_has_type(u, "a") && !uri_has_type(u, "parsed"))
            continue;
        for (size_t k = 0; k < u->nhosts; k++) {
            struct ip ip;
            if (map_get(&l->excluded, arena_lower(c->a, u->domains[k])))
                continue;
            if (ip_parse(u->hosts[k], &ip))
                *ARENA_PUSH(c->a, out.addresses, out.naddresses, out.addresses_cap) = u->hosts[k];
            else
                *ARENA_PUSH(c->a, out.names, out.nnames, out.names_cap) = u->hosts[k];
        }
    }
    return out;
}

static int look_at_name(struct rules_ctx *c, const struct local_list *l, struct span name)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    int found = 0;
    /* A database of providers alone is asked about IPv4 only. */
    for (size_t i = 0; i < 1 + (size_t)geo_has_country(geo_of(c->conf)) && !found; i++) {
        const struct net_answer *a = net_ask(c, name, types[i], false);
        found = a && a->n ? look_at(c, l, a->text, a->n) : 0;
    }
    return found;
}

/* Names are resolved only where no address has decided, as SpamAssassin does it. */
static double check_uri_local_bl(struct rules_ctx *c, const struct eval_call *call)
{
    const struct local_list *l = call->prepared;
    const struct geo *g = geo_of(c->conf);
    if (!geo_has_country(g) && !geo_has_isp(g)) /* then not even networks are looked at */
        return 0;
    struct link_hosts hosts = link_hosts(c, l);
    int found = 0;
    for (size_t i = 0; i < hosts.naddresses && !found; i++)
        found = look_at(c, l, &hosts.addresses[i], 1);
    for (size_t i = 0; i < hosts.nnames && !found; i++)
        found = look_at_name(c, l, hosts.names[i]);
    return found > 0;
}

const struct eval_fn_def eval_geo[] = {
    {"check_asn", "ASN", check_asn, .types = EVAL_HEAD, .prepare = prepare_asn},
    {"check_uri_local_bl", "URILocalBL", check_uri_local_bl, .prepare = prepare_local,
     .asks = true},
    {NULL},
};
