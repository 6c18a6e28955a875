/* From a destination to addresses: fixed, by the system's names, or by MX records (RFC 5321 section
 * 5.1, RFC 7505). */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

static void add_target(struct dest *t, const struct ip *ip, const char *host)
{
    if (t->ntargets == TARGETS_MAX)
        return;
    struct target *to = &t->targets[t->ntargets++];
    *to = (struct target){.ip = *ip, .port = t->route.port};
    memmove(to->host, host, strnlen(host, sizeof to->host - 1));
}

static void resolved(struct dest *t)
{
    t->resolving = false;
    t->d->nresolving--;
    t->resolved = clock_mono();
    dest_pump(t);
    maybe_drained(t->d);
}

static void failed(struct dest *t, const char *why)
{
    t->resolving = false;
    t->d->nresolving--;
    t->resolved = 0;
    dest_failed(t, span_str(why));
    maybe_drained(t->d);
}

static void refused(struct dest *t, const char *why)
{
    t->resolving = false;
    t->d->nresolving--;
    t->resolved = 0;
    dest_refused(t, span_str(why));
    maybe_drained(t->d);
}

/* --- configured hosts: by the system (hosts file, DNS), else by our own resolver --- */

struct lookup {
    uv_getaddrinfo_t req;
    struct dest *dest;
    char host[DNS_NAME_MAX];
};

/* The one host of a route: all targets are its addresses. */
static void on_host_dane(struct dest *t, bool usable, struct dane *records)
{
    if (!usable) {
        targets_clear(t);
        failed(t, "450 4.7.5 whether the next hop has TLSA records can't be found out now");
        return;
    }
    for (size_t i = 0; records && i < t->ntargets; i++)
        t->targets[i].dane = records;
    if (records)
        t->dane[t->ndane++] = records;
    resolved(t);
}

/* A name without a dot is one of the host's own network: no zone above it could be signed. */
static bool may_have_dane(const struct dest *t, const char *host)
{
    return t->route.kind == ROUTE_SMTP && dane_wanted(t->d) && strchr(host, '.') && !t->d->draining;
}

static void named_host_found(struct dest *t, const char *host)
{
    /* Our own configuration names it: a mistake there is not the sender's fault. */
    if (!t->ntargets)
        failed(t, "450 4.4.4 the next hop has no address");
    else if (may_have_dane(t, host))
        dane_ask(t, host, on_host_dane);
    else
        resolved(t);
}

static void on_own_addresses(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct dest *t = ctx;
    char host[DNS_NAME_MAX];
    snprintf(host, sizeof host, "%.*s", SPAN_ARG(t->route.host));
    for (size_t i = 0; st == DNS_OK && i < n; i++)
        add_target(t, &v[i], host);
    named_host_found(t, host);
}

static void on_addrinfo(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct lookup *l = req->data;
    struct dest *t = l->dest;
    targets_clear(t);
    for (struct addrinfo *a = list; status == 0 && a; a = a->ai_next) {
        struct ip ip = {{0}};
        if (a->ai_family == AF_INET6) {
            memcpy(ip.b, &((struct sockaddr_in6 *)a->ai_addr)->sin6_addr, 16);
        } else if (a->ai_family == AF_INET) {
            ip.b[10] = ip.b[11] = 0xff;
            memcpy(ip.b + 12, &((struct sockaddr_in *)a->ai_addr)->sin_addr, 4);
        } else {
            continue;
        }
        add_target(t, &ip, l->host);
    }
    uv_freeaddrinfo(list);
    if (!t->ntargets && t->d->dns && !t->d->draining)
        dns_addresses(t->d->dns, span_str(l->host), on_own_addresses, t);
    else
        named_host_found(t, l->host);
    free(l);
}

static void by_system(struct dest *t)
{
    struct lookup *l = xcalloc(1, sizeof *l);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    l->dest = t;
    l->req.data = l;
    snprintf(l->host, sizeof l->host, "%.*s", SPAN_ARG(t->route.host));
    if (uv_getaddrinfo(t->d->loop, &l->req, on_addrinfo, l->host, NULL, &hints) == 0)
        return;
    free(l);
    failed(t, "450 4.4.3 the next hop's name can't be looked up");
}

/* --- MX --- */

static void next_mx(struct dest *t);

static void drop_dane(struct dest *t)
{
    while (t->ndane)
        dane_unref(t->dane[--t->ndane]);
    for (size_t i = 0; i < TARGETS_MAX; i++)
        t->targets[i].dane = NULL;
}

void targets_clear(struct dest *t)
{
    t->ntargets = 0;
    drop_dane(t);
    if (t->sts_arena)
        arena_free(t->sts_arena);
    t->sts_arena = NULL;
    t->sts = (struct sts_policy){0};
    t->sts_refused = false;
}

/* The targets of this host are the last ones. */
static void on_dane(struct dest *t, bool usable, struct dane *records)
{
    const char *host = t->mx[t->at_mx].host;
    while (!usable && t->ntargets && strcmp(t->targets[t->ntargets - 1].host, host) == 0) {
        t->ntargets--;
        t->temporary = true;
    }
    for (size_t i = t->ntargets; records && i-- && strcmp(t->targets[i].host, host) == 0;)
        t->targets[i].dane = records;
    if (records)
        t->dane[t->ndane++] = records;
    t->at_mx++;
    next_mx(t);
}

static void on_addresses(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct dest *t = ctx;
    size_t before = t->ntargets;
    const char *host = t->mx[t->at_mx].host;
    bool named = t->sts.mode == STS_NONE || sts_policy_matches(&t->sts, span_str(host));
    if (!named)
        watch_fault(t, "validation-failure", host, "the exchanger is not one of the policy's");
    if (t->sts.mode == STS_ENFORCE && !named) {
        log_event(LOG_WARN, NULL, "mta-sts-mismatch", F_SPAN("domain", t->domain),
                  F_STR("mx", host));
        t->sts_refused = true;
        t->at_mx++;
        next_mx(t);
        return;
    }
    if (st == DNS_TEMPFAIL)
        t->temporary = true;
    for (size_t i = 0; st == DNS_OK && i < n; i++)
        add_target(t, &v[i], host);
    if (t->ntargets > before && t->mx_secure) {
        dane_ask(t, host, on_dane);
        return;
    }
    t->at_mx++;
    next_mx(t);
}

static void next_mx(struct dest *t)
{
    if (t->at_mx < t->nmx && t->ntargets < TARGETS_MAX && !t->d->draining) {
        dns_addresses(t->d->dns, span_str(t->mx[t->at_mx].host), on_addresses, t);
        return;
    }
    if (t->ntargets || t->d->draining)
        resolved(t);
    else if (t->sts_refused)
        failed(t, "450 4.7.1 no mail exchanger is one of the domain's MTA-STS policy");
    else if (t->temporary)
        failed(t, "450 4.4.3 the addresses of the mail exchangers can't be found now");
    else
        refused(t, "550 5.4.4 the domain's mail exchangers have no address");
}

/* Exchangers no better than ourselves are left out: mail must not go round in circles. */
static size_t before_us(const struct deliver *d, const struct dns_mx *v, size_t n)
{
    struct span me = span_str(d->set->hostname);
    for (size_t i = 0; i < n; i++)
        if (span_ieq(span_str(v[i].host), me)) {
            size_t first = i;
            while (first > 0 && v[first - 1].preference == v[i].preference)
                first--;
            return first;
        }
    return n;
}

static void ask_dane(struct dest *t)
{
    if (dane_wanted(t->d))
        dane_begin(t, t->route.host.n ? t->route.host : t->domain, next_mx);
    else
        next_mx(t);
}

static void on_sts(void *ctx, const struct sts_policy *p)
{
    struct dest *t = ctx;
    if (p && p->mode != STS_NONE) {
        t->sts_arena = arena_new(0);
        t->sts = (struct sts_policy){.mode = p->mode, .max_age = p->max_age, .n = p->n};
        t->sts.mx = arena_array(t->sts_arena, p->n, sizeof *t->sts.mx);
        for (size_t i = 0; i < p->n; i++)
            t->sts.mx[i] = arena_dup(t->sts_arena, p->mx[i]);
    }
    ask_dane(t);
}

static bool host_like(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return s.n > 0;
}

/* What must be known about the exchangers before one of them is trusted. MTA-STS speaks of the
 * recipients' own domain; where a route leads elsewhere the administrator has decided. */
static void ask_policies(struct dest *t)
{
    t->mx_secure = false;
    if (t->d->sts && !t->route.host.n && host_like(t->domain))
        sts_ask(t->d->sts, t->domain, on_sts, t);
    else
        ask_dane(t);
}

static void on_mx(void *ctx, enum dns_status st, const struct dns_mx *v, size_t n)
{
    struct dest *t = ctx;
    struct span name = t->route.host.n ? t->route.host : t->domain;
    t->nmx = t->at_mx = 0;
    if (st == DNS_TEMPFAIL) {
        failed(t, "450 4.4.3 the domain can't be looked up now");
        return;
    }
    if (st == DNS_OK && n == 1 && v[0].host[0] == 0) {
        refused(t, "556 5.1.10 the domain takes no mail (null MX)");
        return;
    }
    if (st == DNS_NONE || n == 0) { /* RFC 5321 section 5.1: the domain is its own exchanger */
        snprintf(t->mx[0].host, sizeof t->mx[0].host, "%.*s", SPAN_ARG(name));
        t->nmx = 1;
        ask_policies(t);
        return;
    }
    size_t use = before_us(t->d, v, n);
    if (use == 0) {
        refused(t, "554 5.4.6 the domain's mail exchanger is this host");
        return;
    }
    t->nmx = use < TARGETS_MAX ? use : TARGETS_MAX;
    memcpy(t->mx, v, t->nmx * sizeof *v);
    ask_policies(t);
}

void dest_resolve(struct dest *t)
{
    struct ip ip;
    struct span name = t->route.host.n ? t->route.host : t->domain;
    if (t->route.kind == ROUTE_LMTP_UNIX) {
        t->ntargets = 1;
        t->resolved = clock_mono();
        return;
    }
    if (t->route.has_ip || (name.n && name.p[0] == '[' && ip_parse(name, &ip))) {
        targets_clear(t);
        add_target(t, t->route.has_ip ? &t->route.ip : &ip, "");
        t->resolved = clock_mono();
        return;
    }
    t->resolving = true;
    t->d->nresolving++;
    t->temporary = false;
    if (!t->route.mx) {
        by_system(t);
        return;
    }
    targets_clear(t);
    if (!name.n)
        refused(t, "550 5.1.2 the address has no domain");
    else if (!t->d->dns)
        failed(t, "450 4.4.3 there is no resolver");
    else
        dns_mx(t->d->dns, name, on_mx, t);
}
