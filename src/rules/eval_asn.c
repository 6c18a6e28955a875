/* ASN's zones: the autonomous system and the route of the last external relay, asked of the DNS and
 * told as tags (plugin ASN of SpamAssassin 4.0.1). */
#include "rules/eval_state.h"

#include "base/buf.h"
#include "relays/ip_pattern.h"
#include "rules/geo.h"
#include "rules/net.h"

enum { LOOKUPS_MAX = 16, STRINGS_MAX = 16, WORDS_MAX = 64 };

struct lookup {
    struct span zone, asn_tag, route_tag;
};

struct words {
    struct span v[WORDS_MAX];
    size_t n;
};

/* "_NAME_" -> NAME */
static struct span tag_name(struct span word)
{
    return span_sub(word, 1, word.n - 1);
}

/* Those of the address's family; lines are "4 ZONE [TAG TAG]", "6 ...", "-" clears (conf_table.c).
 */
static size_t lookups_of(const struct conf *conf, char family, struct lookup *out)
{
    const struct conf_lines *l = conf_lines(conf, "asn_lookup");
    size_t n = 0;
    for (size_t i = 0; l && i < l->n; i++) {
        struct span rest = l->v[i].value, kind = span_word(&rest, " \t");
        if (span_eq(kind, SPAN("-")))
            n = 0;
        if (kind.p[0] != family || n == LOOKUPS_MAX)
            continue;
        struct span zone = span_word(&rest, " \t"), asn = span_word(&rest, " \t");
        struct span route = span_word(&rest, " \t");
        out[n++] = (struct lookup){zone, asn.n ? tag_name(asn) : SPAN("ASN"),
                                   route.n ? tag_name(route) : SPAN("ASNCIDR")};
    }
    return n;
}

/* The names to be asked about; 0: none, there is no such relay, or its system is known. */
static size_t due(struct rules_ctx *c, struct lookup *out, struct span *reversed)
{
    const struct relays *r = c->relays;
    if (!c->net || !conf_plugin(c->conf, "ASN") || !conf_bool(c->conf, "asn_use_dns", true) ||
        !r->nexternal || r->external[0]->is_private ||
        (geo_asn_found(c).n && conf_bool(c->conf, "asn_prefer_geodb", true)))
        return 0;
    struct span ip = r->external[0]->ip;
    *reversed = net_reversed(c->a, ip);
    return reversed->n ? lookups_of(c->conf, ip_pattern_is_v4(ip) ? '4' : '6', out) : 0;
}

/* --- answers --- */

static void split_words(struct words *w, struct span s)
{
    struct span word;
    while (w->n < WORDS_MAX && (word = span_word(&s, " \t\r\n\f\v")).n)
        w->v[w->n++] = word;
}

static bool has(const struct words *w, struct span s)
{
    for (size_t i = 0; i < w->n; i++)
        if (span_eq(w->v[i], s))
            return true;
    return false;
}

static struct span without_as(struct span s)
{
    return s.n > 2 && span_istarts(s, SPAN("AS")) && ascii_isdigit(s.p[2]) ? span_from(s, 2) : s;
}

static bool digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]))
            return false;
    return s.n > 0;
}

/* "1234", "AS1234", a list of such: its last word tells. */
static bool numbers(struct span s)
{
    size_t at = s.n;
    while (at > 0 && !ascii_isspace(s.p[at - 1]))
        at--;
    return digits(without_as(span_from(s, at)));
}

/* The character-strings of a TXT record. */
static size_t strings_of(struct span rdata, struct span *out)
{
    size_t n = 0;
    for (size_t at = 0; at < rdata.n && n < STRINGS_MAX;) {
        size_t len = (unsigned char)rdata.p[at];
        out[n++] = span_sub(rdata, at + 1, at + 1 + len);
        at += 1 + len;
    }
    return n;
}

/* One string a field (routeviews.org), or fields between bars (cymru.com, spameatingmonkey.net). */
static void fields_of(struct arena *a, struct span rdata, struct span field[2])
{
    struct span s[STRINGS_MAX];
    size_t n = strings_of(rdata, s);
    bool bars = false;
    field[0] = field[1] = SPAN("");
    for (size_t i = 0; i < n; i++)
        bars |= span_find(s[i], '|') != SIZE_MAX;
    if (n > 1 && !bars) {
        field[0] = s[0];
        field[1] = n >= 3 && span_find(s[1], '/') == SIZE_MAX && digits(s[2])
                       ? arena_printf(a, "%.*s/%.*s", SPAN_ARG(s[1]), SPAN_ARG(s[2]))
                       : s[1];
        return;
    }
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, i ? " " : "");
        buf_add(&b, s[i]);
    }
    struct span all = arena_dup(a, buf_span(&b));
    buf_free(&b);
    size_t bar = span_find(all, '|');
    if (bar == SIZE_MAX) {
        field[0] = all;
        return;
    }
    struct span rest = span_from(all, bar + 1);
    field[0] = span_trim(span_sub(all, 0, bar));
    field[1] = span_trim(span_sub(rest, 0, span_find(rest, '|')));
}

/* Unassigned space is announced as system 0 or 4294967295, and as a route of /0. */
static void take_record(struct arena *a, struct span rdata, struct words *asns,
                        struct words *routes)
{
    struct span field[2];
    struct words systems = {.n = 0}, nets = {.n = 0};
    fields_of(a, rdata, field);
    bool first = numbers(field[0]);
    if (!first && !numbers(field[1]))
        return;
    split_words(&systems, field[first ? 0 : 1]);
    split_words(&nets, field[first ? 1 : 0]);
    for (size_t i = 0; i < nets.n; i++) {
        struct span bits = span_from(nets.v[i], span_rfind(nets.v[i], '/') + 1);
        bool none = bits.n && bits.n < nets.v[i].n;
        for (size_t k = 0; k < bits.n; k++)
            none &= bits.p[k] == '0';
        if (!none && !has(routes, nets.v[i]) && routes->n < WORDS_MAX)
            routes->v[routes->n++] = nets.v[i];
    }
    for (size_t i = 0; i < systems.n; i++) {
        struct span asn = without_as(systems.v[i]);
        if (!span_eq(asn, SPAN("0")) && !span_eq(asn, SPAN("4294967295")) && !has(asns, asn) &&
            asns->n < WORDS_MAX)
            asns->v[asns->n++] = asn;
    }
}

static struct span joined(struct arena *a, const struct words *w, struct span prefix)
{
    struct buf b = {0};
    for (size_t i = 0; i < w->n; i++) {
        buf_str(&b, i ? " " : "");
        buf_add(&b, prefix);
        buf_add(&b, w->v[i]);
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* By tag. */
struct asn_told {
    struct span tag, *v;
    size_t n;
    struct asn_told *next;
};

const struct span *asn_values(struct rules_ctx *c, struct span tag, size_t *n)
{
    const struct asn_told *t = eval_state(c)->asn;
    while (t && !span_eq(t->tag, tag))
        t = t->next;
    *n = t ? t->n : 0;
    return t ? t->v : NULL;
}

static void keep_values(struct rules_ctx *c, struct span tag, const struct words *w,
                        struct span prefix)
{
    struct asn_told *t = ARENA_NEW(c->a, struct asn_told);
    *t = (struct asn_told){.tag = tag, .n = w->n, .next = eval_state(c)->asn};
    t->v = arena_array(c->a, w->n, sizeof *t->v);
    for (size_t i = 0; i < w->n; i++)
        t->v[i] = arena_printf(c->a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(w->v[i]));
    eval_state(c)->asn = t;
}

static struct fact *tag_fact(struct rules_ctx *c, struct span tag)
{
    struct facts *f = &c->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (span_eq(span_str(f->facts[i].name), arena_printf(c->a, "tag.%.*s", SPAN_ARG(tag))))
            return &f->facts[i];
    return NULL;
}

static void set_tag(struct rules_ctx *c, struct span tag, const struct words *w, struct span prefix)
{
    struct span value = joined(c->a, w, prefix);
    keep_values(c, tag, w, prefix);
    struct fact *f = tag_fact(c, tag);
    if (f)
        f->value = value;
    else
        facts_add(&c->m->facts, c->a, arena_printf(c->a, "tag.%.*s", SPAN_ARG(tag)).p, value);
}

/* What the tag says already, from a database or another zone. */
static void known(struct rules_ctx *c, struct span tag, struct span prefix, struct words *out)
{
    const struct fact *f = tag_fact(c, tag);
    if (!f)
        return;
    split_words(out, f->value);
    for (size_t i = 0; i < out->n; i++)
        if (prefix.n && span_starts(out->v[i], prefix) && out->v[i].n > prefix.n &&
            ascii_isdigit(out->v[i].p[prefix.n]))
            out->v[i] = span_from(out->v[i], prefix.n);
}

void asn_tell(struct rules_ctx *c)
{
    struct lookup v[LOOKUPS_MAX];
    struct span reversed, prefix = geo_asn_prefix(c->conf);
    size_t n = due(c, v, &reversed);
    for (size_t i = 0; i < n; i++) {
        const struct net_answer *a = net_ask(c, net_join(c->a, reversed, v[i].zone), DNS_TXT, true);
        struct words asns = {.n = 0}, routes = {.n = 0};
        known(c, v[i].asn_tag, prefix, &asns);
        known(c, v[i].route_tag, SPAN(""), &routes);
        size_t nasns = asns.n, nroutes = routes.n;
        for (size_t k = 0; a && k < a->n; k++)
            take_record(c->a, a->rdata[k], &asns, &routes);
        if (asns.n > nasns) {
            geo_asn_told(c, joined(c->a, &asns, SPAN("")));
            set_tag(c, v[i].asn_tag, &asns, prefix);
        }
        if (routes.n > nroutes)
            set_tag(c, v[i].route_tag, &routes, SPAN(""));
    }
}
