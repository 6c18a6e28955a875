/* How many sessions come from where. */
#include "door/door_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

static struct ip network_of(const struct ip *ip)
{
    struct ip net = *ip;
    if (!ip_is4(ip))
        memset(net.b + 8, 0, 8); /* a customer has a /64 at least */
    return net;
}

static struct address_count **find_address(struct door *d, const struct ip *net)
{
    struct address_count **p =
        &d->addresses[map_hash(span_of((const char *)net->b, sizeof net->b)) % ADDRESS_BUCKETS];
    while (*p && memcmp(&(*p)->ip, net, sizeof *net) != 0)
        p = &(*p)->next;
    return p;
}

bool address_enter(struct door *d, const struct ip *ip)
{
    struct ip net = network_of(ip);
    struct address_count **p = find_address(d, &net);
    if (!*p) {
        *p = xcalloc(1, sizeof **p);
        (*p)->ip = net;
    }
    if ((*p)->n >= d->set->limits.sessions_per_address)
        return false;
    (*p)->n++;
    return true;
}

void address_leave(struct door *d, const struct ip *ip)
{
    struct ip net = network_of(ip);
    struct address_count **p = find_address(d, &net), *a = *p;
    if (a && --a->n == 0) {
        *p = a->next;
        free(a);
    }
}
