/* What a guest says about himself, held against the DNS: the name in HELO, the sender's domain. */
#include "door/guest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "door/door_private.h"
#include "door/wall.h"

enum { MX_LOOKED_AT = 5 }; /* hosts of a domain whose addresses are asked for */

/* ---- HELO ---- */

static void answered(struct guest *g, bool blocking)
{
    if (blocking)
        g->blocking--;
    if (!guest_pending(g))
        guest_changed(g);
}

static bool blocks(enum wall_action a)
{
    return a >= WALL_DEFER;
}

static void on_helo_address(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct guest *g = ctx;
    enum wall_action action = g->door->set->wall.on_helo_unknown;
    bool ours = false;
    g->helo_question = NULL;
    for (size_t i = 0; i < n; i++)
        ours |= memcmp(&v[i], &g->ip, sizeof g->ip) == 0;
    if (st == DNS_NONE)
        guest_find(g, FOUND_HELO_NAME, action, "unknown", "7.1",
                   "the name that you give in HELO does not exist in the DNS");
    else
        guest_find(g, FOUND_HELO_NAME, WALL_FACT,
                   st == DNS_TEMPFAIL ? "unanswered"
                   : ours             ? "confirmed"
                                      : "of another host",
                   "7.1", "%s", "");
    answered(g, blocks(action));
}

static void on_helo_lists(void *ctx, const struct list_result *r)
{
    struct guest *g = ctx;
    g->helo_lists = NULL;
    if (r->nhits || r->silent)
        guest_take_lists(g, FOUND_HELO_LISTS, r, "the host name in HELO", span_str(g->helo));
    answered(g, true);
}

static void forget_helo(struct guest *g)
{
    if (g->helo_question) {
        dns_cancel(g->helo_question);
        g->blocking -= blocks(g->door->set->wall.on_helo_unknown);
    }
    if (g->helo_lists) {
        lists_cancel(g->helo_lists);
        g->blocking--;
    }
    g->helo_question = NULL;
    g->helo_lists = NULL;
    for (size_t i = FOUND_HELO; i <= FOUND_HELO_LISTS; i++)
        guest_forget(g, (enum finding_id)i);
}

/* NULL: a name with a dot, to be asked about. */
static const char *helo_fault(const struct guest *g, struct span helo)
{
    struct ip ip;
    bool brackets = helo.n > 2 && helo.p[0] == '[' && helo.p[helo.n - 1] == ']';
    if (brackets && !ip_parse(span_sub(helo, 1, helo.n - 1), &ip))
        return "not a literal";
    if (brackets)
        return memcmp(&ip, &g->ip, sizeof ip) == 0 ? "" : "literal of another host";
    if (ip_parse(helo, &ip))
        return "address without brackets";
    size_t dot = span_find(helo, '.');
    return dot == SIZE_MAX || dot + 1 == helo.n ? "unqualified" : NULL;
}

static void ask_about_helo(struct guest *g, struct span helo)
{
    struct door *d = g->door;
    enum wall_action action = d->set->wall.on_helo_unknown;
    if (action != WALL_OFF) {
        g->blocking += blocks(action);
        g->helo_question = dns_addresses(d->dns, helo, on_helo_address, g);
    }
    if (lists_any(d->lists, LIST_HELO)) {
        g->blocking++;
        g->helo_lists = lists_ask_domain(d->lists, LIST_HELO, helo, on_helo_lists, g);
    }
}

void guest_helo(struct guest *g, struct span helo)
{
    const struct wall_settings *set = &g->door->set->wall;
    char key[DOMAIN_KEY_SIZE];
    g->busy = true;
    forget_helo(g);
    free(g->helo);
    g->helo = xmalloc(helo.n + 1);
    memcpy(g->helo, helo.p, helo.n);
    g->helo[helo.n] = '\0';
    const char *fault = helo_fault(g, helo);
    size_t n = fault ? 0 : domain_key(helo, key);
    struct span name = span_of(key, n);
    if (fault && *fault) {
        guest_find(g, FOUND_HELO, set->on_helo_invalid, fault, "7.1",
                   "give your own host name in HELO: %s", fault);
    } else if (n && (span_ieq(name, span_str(g->door->set->hostname)) ||
                     domains_has(g->door->domains, name))) {
        guest_find(g, FOUND_HELO, set->on_helo_ours, "ours", "7.1",
                   "you are not %.*s, whatever you say in HELO", SPAN_ARG(name));
    } else {
        guest_find(g, FOUND_HELO, WALL_FACT, fault ? "literal" : "name", "7.1", "%s", "");
        if (!fault)
            ask_about_helo(g, n ? name : helo);
    }
    g->busy = false;
}

/* ---- the sender's domain ---- */

/* MX, then the addresses of each MX; without MX the addresses of the domain (RFC 5321 5.1). */
struct sender_check {
    struct guest *guest;
    char domain[DNS_NAME_MAX];
    struct dns_question *mx, *implicit;
    struct dns_question *hosts[MX_LOOKED_AT];
    struct host_slot {
        struct sender_check *check;
        size_t i;
    } slots[MX_LOOKED_AT];
    size_t nhosts, waiting;
    bool good, unanswered, bogus; /* some MX host can be reached; was not answered; lies nowhere */
    unsigned blocking;
};

void sender_check_free(struct sender_check *c)
{
    if (!c)
        return;
    if (c->mx)
        dns_cancel(c->mx);
    if (c->implicit)
        dns_cancel(c->implicit);
    for (size_t i = 0; i < c->nhosts; i++)
        if (c->hosts[i])
            dns_cancel(c->hosts[i]);
    free(c);
}

bool sender_check_asking(const struct sender_check *c)
{
    return c && (c->mx || c->implicit || c->waiting > 0);
}

static void checked(struct sender_check *c)
{
    struct guest *g = c->guest;
    g->blocking -= c->blocking;
    c->blocking = 0;
    if (!guest_pending(g))
        guest_changed(g);
}

static void unknown_domain(struct sender_check *c, const char *value)
{
    guest_find(c->guest, FOUND_SENDER, c->guest->door->set->wall.on_sender_unknown, value, "1.8",
               "the sender's domain %s does not exist or can't get mail", c->domain);
}

/* No mail can be sent to such an address from here: this network, loopback, private networks,
 * multicast and reserved. */
static bool unreachable(const struct ip *ip)
{
    if (ip_is4(ip))
        return ip->b[12] == 0 || ip->b[12] >= 224 || ip_is_loopback(ip) || ip_is_private(ip);
    static const struct ip any;
    return memcmp(ip, &any, sizeof any) == 0 || ip->b[0] == 0xff || ip_is_loopback(ip) ||
           ip_is_private(ip);
}

static void judge_hosts(struct sender_check *c)
{
    struct guest *g = c->guest;
    enum wall_action action = g->door->set->wall.on_sender_mx;
    if (c->good || c->unanswered)
        guest_find(g, FOUND_SENDER_MX, WALL_FACT, c->good ? "ok" : "unanswered", "1.8", "%s", "");
    else if (c->bogus)
        guest_find(g, FOUND_SENDER_MX, action, "unreachable", "1.8",
                   "all mail exchangers of the sender's domain %s lie where no mail can go",
                   c->domain);
    else
        guest_find(g, FOUND_SENDER_MX, action, "without address", "1.8",
                   "no mail exchanger of the sender's domain %s has an address", c->domain);
    checked(c);
}

static void on_host(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct host_slot *slot = ctx;
    struct sender_check *c = slot->check;
    c->hosts[slot->i] = NULL;
    c->waiting--;
    c->unanswered |= st == DNS_TEMPFAIL;
    for (size_t i = 0; i < n; i++) {
        if (unreachable(&v[i]))
            c->bogus = true;
        else
            c->good = true;
    }
    if (c->waiting == 0)
        judge_hosts(c);
}

static void on_implicit(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct sender_check *c = ctx;
    (void)v, (void)n;
    c->implicit = NULL;
    if (st == DNS_NONE)
        unknown_domain(c, "unknown");
    else
        guest_find(c->guest, FOUND_SENDER, WALL_FACT, st == DNS_OK ? "ok" : "unanswered", "1.8",
                   "%s", "");
    checked(c);
}

static void on_mx(void *ctx, enum dns_status st, const struct dns_mx *v, size_t n)
{
    struct sender_check *c = ctx;
    struct guest *g = c->guest;
    struct dns *dns = g->door->dns;
    c->mx = NULL;
    if (st == DNS_NONE) {
        c->implicit = dns_addresses(dns, span_str(c->domain), on_implicit, c);
        return;
    }
    guest_find(g, FOUND_SENDER, WALL_FACT, st == DNS_OK ? "ok" : "unanswered", "1.8", "%s", "");
    if (st != DNS_OK || g->door->set->wall.on_sender_mx == WALL_OFF) {
        checked(c);
        return;
    }
    if (n == 1 && !v[0].host[0]) {
        guest_find(g, FOUND_SENDER_MX, g->door->set->wall.on_sender_mx, "null", "7.27",
                   "the sender's domain %s takes no mail (null MX)", c->domain);
        checked(c);
        return;
    }
    for (size_t i = 0; i < n && c->nhosts < MX_LOOKED_AT; i++) {
        size_t k = c->nhosts++;
        c->slots[k] = (struct host_slot){c, k};
        c->waiting++;
        c->hosts[k] = dns_addresses(dns, span_str(v[i].host), on_host, &c->slots[k]);
    }
}

static void on_sender_lists(void *ctx, const struct list_result *r)
{
    struct guest *g = ctx;
    g->sender_lists = NULL;
    if (r->nhits || r->silent)
        guest_take_lists(g, FOUND_SENDER_LISTS, r, "the sender's domain",
                         span_str(g->sender ? g->sender->domain : ""));
    answered(g, true);
}

void guest_sender(struct guest *g, struct span domain)
{
    struct door *d = g->door;
    const struct wall_settings *set = &d->set->wall;
    guest_sender_gone(g);
    if (domain.n == 0 || domain.n >= DNS_NAME_MAX || domain.p[0] == '[' ||
        domains_has(d->domains, domain))
        return;
    g->busy = true;
    struct sender_check *c = g->sender = xcalloc(1, sizeof *c);
    c->guest = g;
    memcpy(c->domain, domain.p, domain.n);
    if (set->on_sender_unknown != WALL_OFF || set->on_sender_mx != WALL_OFF) {
        c->blocking = blocks(set->on_sender_unknown) || blocks(set->on_sender_mx);
        g->blocking += c->blocking;
        c->mx = dns_mx(d->dns, domain, on_mx, c);
    }
    if (lists_any(d->lists, LIST_SENDERS)) {
        g->blocking++;
        g->sender_lists = lists_ask_domain(d->lists, LIST_SENDERS, domain, on_sender_lists, g);
    }
    g->busy = false;
}

void guest_sender_gone(struct guest *g)
{
    wall_spf_gone(g);
    if (g->sender)
        g->blocking -= g->sender->blocking;
    sender_check_free(g->sender);
    g->sender = NULL;
    if (g->sender_lists) {
        lists_cancel(g->sender_lists);
        g->blocking--;
    }
    g->sender_lists = NULL;
    for (size_t i = FOUND_PER_SENDER; i < FINDINGS; i++)
        guest_forget(g, (enum finding_id)i);
}
