/* WLBLEval and WelcomeListSubject (semantics 8.6): welcome and block lists of the rule files. */
#include "rules/eval_state.h"

#include "base/ip.h"
#include "relays/ip_pattern.h"
#include "rules/eval.h"

/* v is in lower case. */
static bool listed(const struct globs *list, const struct span *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (globs_match(list, v[i]))
            return true;
    return false;
}

static bool from_listed(struct rules_ctx *c, const struct globs *list)
{
    size_t n;
    const struct span *v = header_lower_from(c, &n);
    return list && list->n && listed(list, v, n);
}

static bool to_listed(struct rules_ctx *c, const struct globs *list)
{
    size_t n;
    const struct span *v = header_lower_to(c, &n);
    return list && list->n && listed(list, v, n);
}

static double check_from_in_blocklist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return from_listed(c, &c->conf->lists.block_from);
}

static double check_to_in_blocklist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return to_listed(c, &c->conf->lists.block_to);
}

static double check_to_in_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return to_listed(c, &c->conf->lists.welcome_to);
}

static double check_to_in_more_spam(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return to_listed(c, &c->conf->lists.more_spam_to);
}

static double check_to_in_all_spam(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return to_listed(c, &c->conf->lists.all_spam_to);
}

/* enlist_addrlist's lists by name. */
static const struct globs *list_arg(struct rules_ctx *c, const struct eval_call *call)
{
    return map_get(&c->conf->lists.addrlists, eval_arg(call, 0));
}

static double check_from_in_list(struct rules_ctx *c, const struct eval_call *call)
{
    return from_listed(c, list_arg(c, call));
}

static double check_to_in_list(struct rules_ctx *c, const struct eval_call *call)
{
    return to_listed(c, list_arg(c, call));
}

static double check_replyto_in_list(struct rules_ctx *c, const struct eval_call *call)
{
    const struct globs *list = list_arg(c, call);
    struct span reply = header_scalar(c, "Reply-To:addr");
    return reply.n && list && globs_match(list, arena_lower(c->a, reply));
}

/* --- welcome only from certain relays --- */

/* The relays that may vouch for a sender: the first untrusted one, or all trusted ones. */
static struct relay **vouching(const struct relays *r, size_t *n)
{
    *n = r->nuntrusted ? 1 : r->ntrusted;
    return r->nuntrusted ? r->untrusted : r->trusted;
}

/* "[192.0.2.1]", "[192.0.2]", "[192.0.2.0/24]", "[2001:db8::]/32" */
static bool relay_in_net(struct rules_ctx *c, struct span arg, const struct relay *r)
{
    size_t close = span_rfind(arg, ']');
    struct span net = span_sub(arg, 1, close), len = span_from(arg, close + 1);
    if (!r->ip.n)
        return false;
    if (len.n)
        net = arena_printf(c->a, "%.*s%.*s", SPAN_ARG(net), SPAN_ARG(len));
    if (ip_pattern_is_v4(net))
        return span_eq(net, r->ip);
    struct netset set = {0};
    return netset_add(&set, c->a, net) && netset_has(&set, r->ip);
}

static bool vouched_by(struct rules_ctx *c, struct span arg, const struct relay *r)
{
    size_t close = span_rfind(arg, ']');
    if (arg.n && arg.p[0] == '[' && close != SIZE_MAX &&
        (close + 1 == arg.n || arg.p[close + 1] == '/'))
        return relay_in_net(c, arg, r);
    return span_iends(r->rdns, arg) &&
           (r->rdns.n == arg.n || r->rdns.p[r->rdns.n - arg.n - 1] == '.');
}

/* 1: listed, from one of its relays. -1: listed, but from elsewhere. 0: not listed. */
static int rcvd_state(struct rules_ctx *c, const struct globs *list, struct span addr)
{
    size_t n;
    struct relay **relays = vouching(c->relays, &n);
    int state = 0;
    for (size_t i = n ? globs_next(list, addr, 0) : list->n; i < list->n;
         i = globs_next(list, addr, i + 1)) {
        for (size_t k = 0; k < n; k++)
            if (vouched_by(c, list->v[i].arg, relays[k]))
                return 1;
        state = -1;
    }
    return state && globs_match(&c->conf->lists.allows_relays, addr) ? 0 : state;
}

static int from_state(struct rules_ctx *c, unsigned kind)
{
    const struct conf_lists *l = &c->conf->lists;
    size_t n;
    const struct span *v = header_lower_from(c, &n);
    int state = 0;
    for (size_t i = 0; i < n; i++) {
        struct span addr = v[i];
        if (kind == LIST_OWN && globs_match(&l->welcome_from, addr))
            return 1;
        int s = rcvd_state(c, &l->welcome_from_rcvd[kind], addr);
        if (s == 1)
            return 1;
        if (s)
            state = s;
    }
    return state;
}

static double check_from_in_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return from_state(c, LIST_OWN) > 0;
}

static double check_from_in_default_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return from_state(c, LIST_DEF) > 0;
}

static double check_forged_in_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return from_state(c, LIST_OWN) < 0 && from_state(c, LIST_DEF) == 0;
}

static double check_forged_in_default_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return from_state(c, LIST_DEF) < 0 && from_state(c, LIST_OWN) == 0;
}

/* The sender's registered domain is the relay's. */
static double check_mailfrom_matches_rcvd(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span sender = header_scalar(c, "EnvelopeFrom:addr");
    size_t at = span_rfind(sender, '@'), n;
    if (at == SIZE_MAX)
        return 0;
    struct span host = span_from(sender, at + 1);
    size_t dot = span_rfind(host, '.');
    if (dot == SIZE_MAX || dot == 0 || dot + 1 == host.n)
        return 0;
    struct span domain = ctx_registered_domain(c, host);
    struct relay **relays = vouching(c->relays, &n);
    for (size_t i = 0; i < n; i++)
        if (relays[i]->rdns.n && span_eq(ctx_registered_domain(c, relays[i]->rdns), domain))
            return 1;
    return 0;
}

/* --- hosts of web addresses --- */

enum { PARENTS_MAX = 11 }; /* how many of a host's parent domains are looked up, from the right */

/* The first verdict of the host or one of its parents. */
static bool host_listed(const struct map *hosts, struct span host)
{
    if (host.n && host.p[0] == '[')
        host = span_sub(host, 1, host.n - 1);
    unsigned labels = 1;
    for (size_t i = 0; i < host.n; i++)
        labels += host.p[i] == '.';
    bool ip = ip_pattern_is_v4(host);
    for (;; labels--) {
        void *verdict = labels <= PARENTS_MAX || ip ? map_get(hosts, host) : NULL;
        if (verdict)
            return verdict == URI_HOST_YES;
        size_t dot = span_find(host, '.');
        if (dot == SIZE_MAX || ip)
            return false;
        host = span_from(host, dot + 1);
    }
}

static bool uri_listed(struct rules_ctx *c, struct span name)
{
    const struct uri_host_list *list = map_get(&c->conf->lists.uri_hosts, name);
    const struct uris *u = &c->text->uris;
    struct span last = SPAN(""); /* most links of a message lead to the host of the one before */
    for (size_t i = 0; list && i < u->n; i++)
        for (size_t k = 0; k < u->v[i].nhosts && !span_istarts(u->v[i].key, SPAN("mailto:")); k++) {
            struct span host = u->v[i].hosts[k];
            if (!span_eq(host, last) && host_listed(&list->hosts, host))
                return true;
            last = host;
        }
    return false;
}

static double check_uri_host_listed(struct rules_ctx *c, const struct eval_call *call)
{
    return uri_listed(c, eval_arg(call, 0));
}

static double check_uri_host_in_blocklist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return uri_listed(c, SPAN("BLOCK"));
}

static double check_uri_host_in_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return uri_listed(c, SPAN("WELCOME"));
}

/* --- subjects --- */

static bool subject_listed(struct rules_ctx *c, const struct globs *list)
{
    struct span subject = arena_lower(c->a, header_scalar(c, "Subject"));
    for (size_t i = 0; subject.n && i < list->n; i++)
        if (glob_search(list->v[i].pattern, subject))
            return true;
    return false;
}

static double check_subject_in_welcomelist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return subject_listed(c, &c->conf->lists.welcome_subject);
}

static double check_subject_in_blocklist(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return subject_listed(c, &c->conf->lists.block_subject);
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "WLBLEval", fn, .types = EVAL_HEAD                                                    \
    }
const struct eval_fn_def eval_list[] = {
    ROW(check_from_in_blocklist),
    ROW(check_to_in_blocklist),
    ROW(check_to_in_welcomelist),
    ROW(check_to_in_more_spam),
    ROW(check_to_in_all_spam),
    ROW(check_from_in_list),
    ROW(check_to_in_list),
    ROW(check_replyto_in_list),
    ROW(check_from_in_welcomelist),
    ROW(check_from_in_default_welcomelist),
    ROW(check_forged_in_welcomelist),
    ROW(check_forged_in_default_welcomelist),
    ROW(check_mailfrom_matches_rcvd),
    ROW(check_uri_host_listed),
    {"check_uri_host_in_blocklist", "WLBLEval", check_uri_host_in_blocklist},
    {"check_uri_host_in_welcomelist", "WLBLEval", check_uri_host_in_welcomelist},
    {"check_subject_in_welcomelist", "WelcomeListSubject", check_subject_in_welcomelist,
     .types = EVAL_HEAD},
    {"check_subject_in_blocklist", "WelcomeListSubject", check_subject_in_blocklist,
     .types = EVAL_HEAD},
    {NULL},
};
