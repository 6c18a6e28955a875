/* RelayEval (semantics 8.6). */
#include "rules/eval_state.h"

#include "relays/ip_pattern.h"
#include "relays/template.h"
#include "rules/eval.h"

static double check_all_trusted(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->relays->ntrusted && !c->relays->nuntrusted && !c->relays->unparseable;
}

static double check_no_relays(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return !c->relays->ntrusted && !c->relays->nuntrusted && !c->relays->unparseable;
}

static double check_relays_unparseable(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->relays->unparseable > 0;
}

static bool public_v4(struct span s)
{
    return ip_pattern_is_v4(s) && !ip_pattern_private(s);
}

static double helo_ip_mismatch(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (size_t i = 0; i < c->relays->nuntrusted; i++) {
        const struct relay *r = c->relays->untrusted[i];
        if (!public_v4(r->helo) || !public_v4(r->ip))
            continue;
        struct span net = span_sub(r->helo, 0, span_rfind(r->helo, '.') + 1);
        if (!span_starts(r->ip, net))
            return 1;
    }
    return 0;
}

/* s is the domain or a host in it. */
static bool in_domain(struct span s, const char *domain)
{
    struct span d = span_str(domain);
    return span_iends(s, d) && (s.n == d.n || s.p[s.n - d.n - 1] == '.');
}

static bool big_provider(struct span helo)
{
    static const char *const domains[] = {
        "lycos.com", "lycos.co.uk", "hotmail.com", "localhost.com", "excite.com", "caramail.com",
        "cs.com",    "aol.com",     "msn.com",     "yahoo.com",     "drizzle.com"};
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        if (in_domain(helo, domains[i]))
            return true;
    return false;
}

/* The oldest public relay decides. */
static double check_for_no_rdns_dotcom_helo(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    bool hit = false;
    for (size_t i = 0; i < c->relays->nuntrusted; i++) {
        const struct relay *r = c->relays->untrusted[i];
        if (!r->is_private)
            hit = r->no_reverse_dns && big_provider(r->helo);
    }
    return hit;
}

/* The last two labels, or three when the last one is short and not ie, fr or de. */
static struct span host_domain(struct span host)
{
    bool letters = false;
    for (size_t i = 0; i < host.n; i++)
        letters = letters || ascii_isalpha(host.p[i]);
    size_t dot = span_rfind(host, '.');
    if (!letters || dot == SIZE_MAX)
        return host;
    /* empty labels at the end do not count */
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    dot = span_rfind(host, '.');
    if (dot == SIZE_MAX)
        return host;
    struct span last = span_from(host, dot + 1);
    bool two = last.n >= 3 || span_eq(last, SPAN("ie")) || span_eq(last, SPAN("fr")) ||
               span_eq(last, SPAN("de"));
    for (int labels = two ? 1 : 2; labels > 0 && dot != SIZE_MAX; labels--)
        dot = span_rfind(span_sub(host, 0, dot), '.');
    return dot == SIZE_MAX ? host : span_from(host, dot + 1);
}

/* \w+([\w.-]+\.)+\w+ and nothing else */
static bool is_domain(struct span s)
{
    size_t dot = span_rfind(s, '.');
    if (dot == SIZE_MAX || dot < 2 || dot + 1 == s.n || !is_word_byte(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_word_byte(s.p[i]) && (i > dot || (s.p[i] != '.' && s.p[i] != '-')))
            return false;
    return true;
}

struct trail {
    unsigned from, helo; /* mismatches */
};

static bool far_apart(struct span helo, struct span ip)
{
    if (!ip_pattern_is_v4(helo) || !ip_pattern_is_v4(ip) || ip_pattern_private(helo))
        return false;
    struct span a = span_sub(helo, 0, span_rfind(helo, '.'));
    struct span b = span_sub(ip, 0, span_rfind(ip, '.'));
    return !span_eq(span_sub(a, 0, span_rfind(a, '.')), span_sub(b, 0, span_rfind(b, '.')));
}

static struct trail trail(struct rules_ctx *c)
{
    struct trail t = {0};
    struct span prev = SPAN_NONE; /* name of the next newer relay's client */
    for (size_t i = 0; i < c->relays->nuntrusted; i++) {
        const struct relay *r = c->relays->untrusted[i];
        struct span by = host_domain(arena_lower(c->a, r->by));
        struct span from = host_domain(arena_lower(c->a, r->rdns));
        bool local =
            span_eq(r->ip, SPAN("127.0.0.1")) &&
            (span_eq(from, SPAN("localhost")) || span_eq(from, SPAN("localhost.localdomain")));
        if (is_domain(by)) {
            if (local)
                from = SPAN_NONE;
            t.helo += far_apart(r->helo, r->ip);
            bool known = span_eq(by, SPAN("msn.com")) && span_eq(prev, SPAN("hotmail.com"));
            t.from += i > 0 && is_domain(prev) && !span_eq(by, prev) && !known;
        }
        prev = from;
    }
    return t;
}

static double check_for_forged_received_trail(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return trail(c).from > 1;
}

static double check_for_forged_received_ip_helo(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return trail(c).helo > 0;
}

static double check_for_numeric_helo(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (size_t i = 0; i < c->relays->nuntrusted; i++)
        if (public_v4(c->relays->untrusted[i]->helo))
            return 1;
    return 0;
}

static double check_for_sender_no_reverse(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    size_t n = c->relays->nuntrusted;
    const struct relay *r = n ? c->relays->untrusted[n - 1] : NULL;
    return r && span_find(r->rdns, '.') != SIZE_MAX && !r->is_private;
}

/* SpamAssassin keeps it for old rule files; it never hits. */
static double check_for_illegal_ip(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

static bool hosts_in(struct rules_ctx *c, const struct relay *r, struct span domain)
{
    const char *d = arena_cstr(c->a, domain);
    return in_domain(r->rdns, d) && in_domain(r->by, d);
}

static double check_for_from_domain_in_received_headers(struct rules_ctx *c,
                                                        const struct eval_call *call)
{
    struct span domain = eval_arg(call, 0), from = header_scalar(c, "From:addr");
    size_t at = span_isearch(from, domain);
    if (at == SIZE_MAX || !word_boundary(from, at))
        return 0;
    bool seen = false;
    for (size_t i = 0; i < c->relays->n; i++)
        seen = seen || hosts_in(c, &c->relays->v[i], domain);
    return seen == span_eq(eval_arg(call, 1), SPAN("true"));
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "RelayEval", fn                                                                       \
    }
const struct eval_fn_def eval_relay[] = {
    ROW(check_all_trusted),
    ROW(check_no_relays),
    ROW(check_relays_unparseable),
    ROW(helo_ip_mismatch),
    ROW(check_for_no_rdns_dotcom_helo),
    ROW(check_for_forged_received_trail),
    ROW(check_for_forged_received_ip_helo),
    ROW(check_for_numeric_helo),
    ROW(check_for_sender_no_reverse),
    ROW(check_for_illegal_ip),
    {"check_for_from_domain_in_received_headers", "RelayEval",
     check_for_from_domain_in_received_headers, .types = EVAL_HEAD},
    {NULL},
};
