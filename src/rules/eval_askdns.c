/* AskDNS: names made of tags, and what must be answered. A rule "askdns NAME _TAG_.zone A test" is
 * an eval function whose argument is the text behind its name. */
#include "rules/net.h"

#include "dns/dns.h"
#include "rules/eval.h"

enum {
    TYPES_MAX = 8,
    QUERIES_MAX = 64 /* names of one rule: tags of many values multiply */
};

struct askdns {
    struct span query; /* with _TAGS_ */
    struct span *tags;
    size_t ntags, tags_cap;
    struct asked_type {
        const char *name;
        enum dns_type type;
    } types[TYPES_MAX];
    size_t ntypes;
    bool tested;
    struct net_test test;
};

static const struct asked_type known_types[] = {
    {"A", DNS_A},
    {"AAAA", DNS_AAAA},
    {"MX", DNS_MX_RR},
    {"TXT", DNS_TXT},
    {"NS", DNS_NS},
    {"SOA", DNS_SOA},
    {"PTR", DNS_PTR},
    {"CNAME", DNS_CNAME},
    {"SPF", (enum dns_type)99},
    {"SRV", (enum dns_type)33},
    {"TLSA", DNS_TLSA},
    {"CAA", (enum dns_type)257},
    {"NAPTR", (enum dns_type)35},
};

/* --- judging --- */

static bool rcode_hits(const struct askdns *r, int rcode)
{
    return r->test.kind == NET_RCODES && rcode >= 0 && rcode < 32 && r->test.rcodes >> rcode & 1;
}

static bool answer_hits(const struct askdns *r, const struct net_answer *a, enum dns_type type)
{
    if (r->tested && r->test.kind == NET_RCODES)
        return rcode_hits(r, a->rcode);
    for (size_t i = 0; a->rcode == DNS_RCODE_NOERROR && i < a->n; i++)
        if (!r->tested || net_test_hits(&r->test, a->text[i], type == DNS_A))
            return true;
    return false;
}

static bool ask(struct rules_ctx *c, const struct askdns *r, struct span query)
{
    bool hit = false;
    while (query.n && query.p[query.n - 1] == '.')
        query.n--;
    if (!uri_fqdn_valid(query))
        return false;
    for (size_t i = 0; i < r->ntypes; i++) {
        const struct net_answer *a = net_ask(c, query, r->types[i].type, false);
        hit |= a && answer_hits(r, a, r->types[i].type);
    }
    return hit;
}

static struct span replaced(struct rules_ctx *c, struct span s, struct span tag, struct span value)
{
    struct buf b = {0};
    struct span mark = arena_printf(c->a, "_%.*s_", SPAN_ARG(tag));
    for (size_t at; (at = span_search(s, mark)) != SIZE_MAX; s = span_from(s, at + mark.n)) {
        buf_add(&b, span_sub(s, 0, at));
        buf_add(&b, value);
    }
    buf_add(&b, s);
    struct span out = arena_dup(c->a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* The queries with the values of the tag in them; false: the tag has none. */
static bool expand(struct rules_ctx *c, struct span tag, struct span *queries, size_t *n)
{
    size_t count, w = 0;
    const struct span *values = net_tag(c, tag, &count);
    struct span next[QUERIES_MAX];
    if (!values)
        return false;
    for (size_t i = 0; i < *n; i++)
        for (size_t k = 0; k < count && w < QUERIES_MAX; k++)
            next[w++] = replaced(c, queries[i], tag, values[k]);
    memcpy(queries, next, w * sizeof *next);
    *n = w;
    return true;
}

static double askdns(struct rules_ctx *c, const struct eval_call *call)
{
    const struct askdns *r = call->prepared;
    struct span queries[QUERIES_MAX] = {r->query};
    size_t n = 1;
    bool hit = false;
    if (!c->net)
        return 0;
    for (size_t i = 0; i < r->ntags; i++)
        if (!expand(c, r->tags[i], queries, &n))
            return 0;
    for (size_t i = 0; i < n; i++)
        hit |= ask(c, r, queries[i]);
    return hit;
}

/* --- load --- */

static bool tag_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || ascii_isdigit(c) || c == '_';
}

/* _NAME_ and _NAME(arg)_ */
static void find_tags(struct arena *a, struct askdns *r)
{
    struct span s = r->query;
    for (size_t at = 0; at + 2 < s.n; at++) {
        if (s.p[at] != '_' || s.p[at + 1] < 'A' || s.p[at + 1] > 'Z')
            continue;
        size_t end = at + 1;
        while (end < s.n && tag_byte(s.p[end]))
            end++;
        if (end < s.n && s.p[end] == '(') {
            size_t close = span_find(span_from(s, end), ')');
            end = close == SIZE_MAX ? s.n : end + close + 2;
        }
        if (end > s.n || s.p[end - 1] != '_' || end - at < 3)
            continue;
        *ARENA_PUSH(a, r->tags, r->ntags, r->tags_cap) = span_sub(s, at + 1, end - 1);
        at = end - 1;
    }
}

static int read_types(struct askdns *r, struct span text, struct err *e)
{
    static const char *const any[] = {"A", "AAAA", "MX", "TXT", "NS", "SOA", "CNAME"};
    struct span word;
    if (span_ieq(text, SPAN("ANY"))) { /* hardly any server answers ANY */
        for (size_t i = 0; i < sizeof any / sizeof *any; i++)
            if (read_types(r, span_str(any[i]), e) != 0)
                return -1;
        return 0;
    }
    while ((word = span_word(&text, ",")).p) {
        size_t i = 0, n = sizeof known_types / sizeof *known_types;
        while (i < n && !span_ieq(word, span_str(known_types[i].name)))
            i++;
        if (i == n || r->ntypes == TYPES_MAX)
            return err_set(e, "askdns: '%.*s': no type of record that is asked for here",
                           SPAN_ARG(word));
        r->types[r->ntypes++] = known_types[i];
    }
    return 0;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    struct askdns *r = call->prepared = ARENA_NEW(a, struct askdns);
    struct span rest = eval_arg(call, 0);
    (void)conf;
    r->query = span_word(&rest, " \t");
    struct span types = span_word(&rest, " \t");
    if (!r->query.n)
        return err_set(e, "askdns: a name to ask for is wanted");
    find_tags(a, r);
    if (read_types(r, types.n ? types : SPAN("A"), e) != 0)
        return -1;
    rest = span_trim(rest);
    r->tested = rest.n > 0;
    return r->tested ? net_test_ask(a, rest, &r->test, e) : 0;
}

const struct eval_fn_def eval_askdns[] = {
    {"askdns", "AskDNS", askdns, prepare, .net = true, .asks = true},
    {NULL},
};
