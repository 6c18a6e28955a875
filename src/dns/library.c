#include "dns/dns_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

/* Where Debian's dns-root-data keeps the key of the root. */
#define ROOT_KEY "/usr/share/dns/root.key"

struct dns *dns_new(uv_loop_t *loop, const struct dns_settings *s)
{
    struct dns *d = xcalloc(1, sizeof *d);
    d->loop = loop;
    d->set = s;
    return d;
}

static void unusable(const char *event, const char *what)
{
    log_event(LOG_FAULT, NULL, event, F_STR("unusable", what));
}

/* "ZONE ADDRESS[@PORT] [signed]". A zone that is not said to be signed is a local one, of which the
 * public tree knows nothing or something else: the root's word on it does not count. */
static void add_zone(struct dns *d, const char *text)
{
    struct span rest = span_str(text), zone = span_word(&rest, " \t");
    struct span address = span_word(&rest, " \t"), how = span_word(&rest, " \t");
    char z[DNS_NAME_MAX], a[IP_TEXT_SIZE + 8];
    if (zone.n == 0 || zone.n >= sizeof z || address.n == 0 || address.n >= sizeof a ||
        (how.n && !span_ieq(how, SPAN("signed")))) {
        unusable("dns-zone", text);
        return;
    }
    memcpy(z, zone.p, zone.n);
    z[zone.n] = '\0';
    memcpy(a, address.p, address.n);
    a[address.n] = '\0';
    if (ub_ctx_set_stub(d->ub, z, a, 0) != 0)
        unusable("dns-zone", text);
    if (how.n == 0)
        ub_ctx_set_option(d->ub, "domain-insecure:", z);
}

/* A forwarder that knows nothing of DNSSEC makes names insecure, not unknown. */
static void trust(struct dns *d)
{
    const char *key = d->set->trust_anchor ? d->set->trust_anchor : ROOT_KEY;
    if (!d->set->dnssec)
        return;
    ub_ctx_set_option(d->ub, "harden-dnssec-stripped:", "no");
    if (access(key, R_OK) != 0 || ub_ctx_add_ta_file(d->ub, key) != 0)
        unusable("dns-trust-anchor", key);
}

static void configure(struct dns *d)
{
    const struct dns_settings *set = d->set;
    static const char *const options[][2] = {
        {"cache-min-ttl:", "5"},
        {"do-not-query-localhost:", "no"},
        {"unblock-lan-zones:", "yes"}, /* names of clients in our own networks */
        {"insecure-lan-zones:", "yes"},
        {"outgoing-range:", "1024"}, /* sockets: several messages ask at once */
        {"num-queries-per-thread:", "4096"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        ub_ctx_set_option(d->ub, options[i][0], options[i][1]);
    for (size_t i = 0; i < set->servers.n; i++)
        if (ub_ctx_set_fwd(d->ub, set->servers.v[i]) != 0)
            unusable("dns-server", set->servers.v[i]);
    if (set->servers.n == 0 && !set->recursive)
        ub_ctx_resolvconf(d->ub, NULL);
    for (size_t i = 0; i < set->zones.n; i++)
        add_zone(d, set->zones.v[i]);
    for (size_t i = 0; i < set->local_data.n; i++)
        if (ub_ctx_data_add(d->ub, set->local_data.v[i]) != 0)
            unusable("dns-local-data", set->local_data.v[i]);
    trust(d);
    ub_ctx_hosts(d->ub, NULL);
}

bool dns_library(struct dns *d)
{
    if (d->ub)
        return true;
    if (d->watching || !(d->watching = dns_events_init(&d->events, d->loop)))
        return false;
    d->ub = ub_ctx_create_ub_event(&d->events.base);
    if (!d->ub)
        return false;
    configure(d);
    return true;
}

static void end(struct dns *d)
{
    if (d->ub)
        ub_ctx_delete(d->ub);
    if (d->watching)
        dns_events_end(&d->events);
    free(d);
}

/* From the loop, never from inside a call of the library. */
static void on_poll_closed(uv_handle_t *h)
{
    struct dns_events *e = h->data;
    end((struct dns *)((char *)e - offsetof(struct dns, events)));
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    while (d->open)
        dns_cancel(d->open);
    if (d->watching)
        uv_close((uv_handle_t *)&d->events.poll, on_poll_closed);
    else
        end(d);
}
