/* Questions of network rules and their answers (rules/net.h). */
#include "rules/geo.h"
#include "rules/net.h"

#include <stdio.h>

#include "dns/dns.h"
#include "relays/ip_pattern.h"
#include "rules/eval_state.h"
#include "rules/ruleset_private.h"

/* --- names --- */

static struct span without_dots(struct span s)
{
    while (s.n && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

struct span net_join(struct arena *a, struct span name, struct span zone)
{
    name = without_dots(name);
    zone = without_dots(zone);
    return arena_lower(a, arena_printf(a, "%.*s.%.*s", SPAN_ARG(name), SPAN_ARG(zone)));
}

struct span net_reversed(struct arena *a, struct span ip)
{
    struct ip address;
    char out[DNS_NAME_MAX];
    if (!ip_parse(ip, &address) || !dns_reversed(&address, SPAN("x"), out))
        return SPAN_NONE;
    return arena_dup(a, span_of(out, strlen(out) - 2));
}

bool net_host_valid(struct rules_ctx *c, struct span host)
{
    return uri_fqdn_valid(host) && ctx_domain_valid(c, host);
}

bool net_tflag(const struct conf *conf, const char *rule, const char *word)
{
    const struct rule_def *def = conf_rule(conf, span_str(rule));
    struct span rest = def ? def->tflags_text : SPAN_NONE, w;
    while ((w = span_word(&rest, " \t")).p)
        if (span_eq(w, span_str(word)))
            return true;
    return false;
}

bool net_available(const struct rules_ctx *c)
{
    return c->net && !conf_bool(c->conf, "skip_rbl_checks", false);
}

/* --- the table --- */

/* 1: deny, 0: allow, -1: not mentioned. Of several lines the last one counts. */
static int restriction_of(const struct conf_lines *lines, struct span domain)
{
    int found = -1;
    for (size_t i = 0; i < lines->n; i++) {
        struct span rest = lines->v[i].value, what = span_word(&rest, " \t"), word;
        while ((word = span_word(&rest, " \t")).p)
            if (span_ieq(word, domain))
                found = span_ieq(what, SPAN("deny"));
    }
    return found;
}

/* dns_query_restriction: the name, else its parents, else "*" decides. */
static bool restricted(const struct conf *conf, struct span name)
{
    const struct conf_lines *lines = conf_lines(conf, "dns_query_restriction");
    for (struct span at = name; lines;) {
        int found = restriction_of(lines, at);
        size_t dot = span_find(at, '.');
        if (found >= 0)
            return found;
        if (dot == SIZE_MAX)
            break;
        at = span_from(at, dot + 1);
    }
    return lines && restriction_of(lines, SPAN("*")) == 1;
}

static struct net_question *new_question(struct rules_ctx *c, struct span name, enum dns_type type)
{
    struct net *n = c->net;
    struct net_question *q = ARENA_NEW(c->a, struct net_question);
    *q = (struct net_question){.name = name, .type = type};
    q->refused = n->n >= n->max || restricted(c->conf, name);
    n->over += n->n >= n->max;
    if (!q->refused)
        *ARENA_PUSH(c->a, n->v, n->n, n->cap) = q;
    return q;
}

const struct net_answer *net_ask(struct rules_ctx *c, struct span name, enum dns_type type,
                                 bool follows)
{
    struct net *n = c->net;
    char key[DNS_NAME_MAX + 8];
    name = without_dots(name);
    if (!n || name.n == 0 || name.n >= DNS_NAME_MAX)
        return NULL;
    int at = snprintf(key, sizeof key, "%d/", (int)type);
    for (size_t i = 0; i < name.n; i++)
        key[(size_t)at + i] = ascii_lower(name.p[i]);
    struct span k = span_of(key, (size_t)at + name.n);
    struct net_question *q = map_get(&n->by_key, k);
    if (!q) {
        if (!n->planning)
            return NULL;
        k = arena_dup(c->a, k);
        q = new_question(c, span_from(k, (size_t)at), type);
        *map_at(&n->by_key, k) = q;
    }
    q->follows |= follows;
    return q->known ? &q->answer : NULL;
}

/* --- answers as text --- */

static struct span name_text(struct arena *a, struct span wire)
{
    struct buf b = {0};
    for (size_t at = 0; at < wire.n && wire.p[at];) {
        size_t n = (unsigned char)wire.p[at];
        buf_add(&b, span_sub(wire, at + 1, at + 1 + n));
        buf_char(&b, '.');
        at += n + 1;
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* What Net::DNS makes of a record. */
static struct span record_text(struct arena *a, struct span rdata, enum dns_type type)
{
    struct ip ip;
    char text[IP_TEXT_SIZE];
    struct span out = SPAN("");
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return dns_rdata_ip(rdata, type, &ip) ? arena_dup(a, span_str(ip_text(&ip, text))) : out;
    case DNS_TXT:
        return dns_txt_join(rdata, a, &out) ? out : SPAN("");
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
    case DNS_SOA: /* its first name: the only thing that is asked for */
        return name_text(a, rdata);
    case DNS_MX_RR:
        out = name_text(a, span_from(rdata, 2));
        return arena_printf(a, "%u %.*s",
                            (unsigned)((unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]),
                            SPAN_ARG(out));
    default:
        return arena_dup(a, rdata);
    }
}

static void keep(struct arena *a, struct net_question *q, const struct dns_answer *from)
{
    struct span *rdata = arena_array(a, from->n + 1, sizeof *rdata);
    struct span *text = arena_array(a, from->n + 1, sizeof *text);
    for (size_t i = 0; i < from->n; i++) {
        rdata[i] = arena_dup(a, from->rdata[i]);
        text[i] = record_text(a, rdata[i], q->type);
    }
    q->answer = (struct net_answer){from->rcode, rdata, text, from->n};
    q->known = from->rcode != DNS_RCODE_NO_ANSWER;
}

/* --- the message in steps --- */

struct rules_work *rules_open(const struct ruleset *rs, struct rules_scratch *s, struct message *m,
                              size_t questions)
{
    struct rules_work *w = ARENA_NEW(m->arena, struct rules_work);
    w->c = (struct rules_ctx){.set = rs,
                              .conf = rs->conf,
                              .templates = s->templates,
                              .headers = s->headers,
                              .m = m,
                              .a = m->arena};
    if (rs->network) {
        w->net = (struct net){.by_key = map_in(m->arena), .max = questions};
        w->c.net = &w->net;
    }
    run_read(&w->c, profile_laps(s->profile));
    return w;
}

void rules_plan(struct rules_work *w)
{
    const struct ruleset *rs = w->c.set;
    if (!w->c.net)
        return;
    w->net.planning = true;
    w->net.round++;
    asn_tell(&w->c); /* before those that ask about its tags */
    for (size_t i = 0; i < rs->nevals; i++)
        if (rs->evals[i]->call && rs->evals[i]->call->def->asks)
            rs->evals[i]->call->def->fn(&w->c, rs->evals[i]->call);
    w->net.planning = false;
}

size_t rules_questions(const struct rules_work *w)
{
    return w->net.n;
}

struct rules_question rules_question(const struct rules_work *w, size_t i)
{
    return (struct rules_question){w->net.v[i]->name, w->net.v[i]->type};
}

bool rules_answer(struct rules_work *w, size_t i, const struct dns_answer *a)
{
    keep(w->c.a, w->net.v[i], a);
    return w->net.v[i]->follows && w->net.v[i]->known;
}

/* Names without an answer are told, the first of them by name. */
static void tell_unanswered(struct rules_work *w)
{
    enum { NAMED = 5 };
    const struct net *n = &w->net;
    struct arena *a = w->c.a;
    struct span names = SPAN("");
    size_t missing = 0;
    for (size_t i = 0; i < n->n; i++)
        if (!n->v[i]->known && missing++ < NAMED)
            names = arena_printf(a, "%.*s%s%.*s", SPAN_ARG(names), missing > 1 ? ", " : "",
                                 SPAN_ARG(n->v[i]->name));
    if (missing)
        facts_skip(&w->c.m->facts, a, "rules/network",
                   arena_printf(a, "%zu of %zu questions without an answer: %.*s%s", missing, n->n,
                                SPAN_ARG(names), missing > NAMED ? ", ..." : ""));
    if (n->over)
        facts_skip(&w->c.m->facts, a, "rules/network_questions",
                   arena_printf(a, "%zu questions more than the %zu allowed were not asked",
                                n->over, n->max));
}

void rules_judge(struct rules_work *w, struct rules_scratch *s)
{
    if (w->c.net) {
        tell_unanswered(w);
        w->net.round++;
    }
    w->c.scratch = s;
    hits_budget(s);
    run_judge(&w->c);
}

void rules_run(const struct ruleset *rs, struct rules_scratch *s, struct message *m)
{
    struct rules_work *w = rules_open(rs, s, m, 0);
    rules_judge(w, s);
}
