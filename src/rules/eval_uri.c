/* URIEval and HTTPSMismatch (semantics 8.3). */
#include "rules/eval_state.h"

#include "relays/ip_pattern.h"
#include "rules/eval.h"

/* "https:" (or "http:", when plain), slashes, perhaps "user@", then d.d.d.d. */
static bool is_ip_uri(struct span s, bool plain)
{
    size_t at;
    if (span_istarts(s, SPAN("https:")))
        at = 6;
    else if (plain && span_istarts(s, SPAN("http:")))
        at = 5;
    else
        return false;
    while (at < s.n && s.p[at] == '/')
        at++;
    struct span host = span_from(s, at);
    size_t slash = span_find(host, '/'), mark = span_find(host, '@');
    if (mark != SIZE_MAX && mark > 0 && (slash == SIZE_MAX || mark < slash))
        host = span_from(host, mark + 1);
    for (int i = 0; i < 4; i++) {
        size_t n = 0;
        if (i > 0) {
            if (!host.n || host.p[0] != '.')
                return false;
            host = span_from(host, 1);
        }
        while (n < host.n && ascii_isdigit(host.p[n]))
            n++;
        if (n == 0)
            return false;
        host = span_from(host, n);
    }
    return true;
}

static double check_https_ip_mismatch(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (size_t i = 0; i < c->text->nhtml; i++) {
        const struct html_links *links = &c->text->html[i].html->links;
        for (size_t k = 0; k < links->n; k++) {
            if (!is_ip_uri(links->v[k].key.s, true))
                continue;
            const struct html_texts *anchors = &links->v[k].anchors;
            for (size_t t = 0; t < anchors->n; t++)
                if (!is_ip_uri(anchors->v[t].s, false) &&
                    span_isearch(anchors->v[t].s, SPAN("https:")) != SIZE_MAX)
                    return 1;
        }
    }
    return 0;
}

static double check_uri_truncated(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->text->uris.truncated;
}

/* "scheme://HOST" at the start (or anywhere): the host up to one of `ends`. */
static struct span host_after(struct span s, size_t at, const char *ends)
{
    size_t n = at;
    while (n < s.n && (s.p[n] == '\0' || !strchr(ends, s.p[n])))
        n++;
    return span_sub(s, at, n);
}

/* A known top-level domain after a dot, and no white space. */
bool ctx_domain_valid(struct rules_ctx *c, struct span domain)
{
    for (size_t i = 0; i < domain.n; i++)
        if (ascii_isspace(domain.p[i]))
            return false;
    size_t dot = span_rfind(domain, '.');
    return dot != SIZE_MAX && dot + 1 < domain.n &&
           map_get(&c->conf->uri.tld, arena_lower(c->a, span_from(domain, dot + 1)));
}

static struct span host_domain(struct rules_ctx *c, struct span host)
{
    if (!host.n || ip_pattern_is(host))
        return SPAN_NONE;
    struct span name = ctx_registered_domain(c, host), full, domain;
    if (!uri_host_domain(&c->conf->uri, c->a, name, &full, &domain) || !ctx_domain_valid(c, domain))
        return SPAN_NONE;
    return name;
}

/* Most links of a message lead to the host of the one before. */
struct last_host {
    struct span host, domain;
};

static struct span link_domain(struct rules_ctx *c, struct span key, struct last_host *last)
{
    struct span host;
    if (span_istarts(key, SPAN("https://")))
        host = host_after(key, 8, "/:?#");
    else if (span_istarts(key, SPAN("http://")))
        host = host_after(key, 7, "/:?#");
    else
        return SPAN_NONE;
    if (!span_eq(host, last->host))
        *last = (struct last_host){host, host_domain(c, host)};
    return last->domain;
}

/* The domain that an anchor text claims by "https://HOST"; the address itself when it is one. */
static struct span claimed_domain(struct rules_ctx *c, struct span text)
{
    for (size_t at = 0;;) {
        size_t found = span_isearch(span_from(text, at), SPAN("https://"));
        if (found == SIZE_MAX)
            return SPAN_NONE;
        at += found + 8;
        struct span host = host_after(text, at, " \t\r\n\v\f/:?#");
        if (!host.n)
            continue;
        if (ip_pattern_is(host))
            return host;
        struct span name = ctx_registered_domain(c, host);
        return ctx_domain_valid(c, name) ? name : SPAN_NONE;
    }
}

static bool claims_another(struct rules_ctx *c, const struct html_texts *anchors,
                           struct span domain)
{
    for (size_t i = 0; i < anchors->n; i++) {
        struct span claimed = claimed_domain(c, anchors->v[i].s);
        if (claimed.n && !span_eq(claimed, domain))
            return true;
    }
    return false;
}

static double check_https_http_mismatch(struct rules_ctx *c, const struct eval_call *call)
{
    double min = eval_number(call, 0, 1);
    for (size_t i = 0; i < c->text->nhtml; i++) {
        const struct html_links *links = &c->text->html[i].html->links;
        bool hit = false;
        double anchors = 0;
        struct last_host last = {SPAN_NONE, SPAN_NONE};
        for (size_t k = 0; k < links->n; k++) {
            const struct html_link *l = &links->v[k];
            struct span domain = l->anchors.n ? link_domain(c, l->key.s, &last) : SPAN_NONE;
            if (!domain.n)
                continue;
            anchors++;
            hit = hit || claims_another(c, &l->anchors, domain);
        }
        if (hit && anchors >= (min == 0 ? 1 : min) &&
            (call->nargs < 2 || anchors < eval_number(call, 1, 0)))
            return 1;
    }
    return 0;
}

const struct eval_fn_def eval_uri[] = {
    {"check_https_ip_mismatch", "URIEval", check_https_ip_mismatch, .html = true},
    {"check_uri_truncated", "URIEval", check_uri_truncated},
    {"check_https_http_mismatch", "HTTPSMismatch", check_https_http_mismatch, .types = EVAL_BODIES,
     .html = true},
    {NULL},
};
