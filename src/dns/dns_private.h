/* Questions under way, between the files of this room. */
#ifndef GATEHOUSE_DNS_DNS_PRIVATE_H
#define GATEHOUSE_DNS_DNS_PRIVATE_H

#include "dns/cache.h"
#include "dns/dns.h"

#include <unbound.h>

struct dns {
    uv_loop_t *loop;
    const struct dns_settings *set;
    struct ub_ctx *ub;
    uv_poll_t poll;
    bool polling;
    unsigned handles;          /* still to be closed */
    struct dns_question *open; /* doubly linked */
    struct dns_cache *cache;
    uv_idle_t idle;                           /* while questions are known */
    struct dns_question *known, **known_last; /* answered from the cache, to be told */
};

/* The library with its settings, watched by the loop; made when first wanted. false: out of memory
 * or threads. */
bool dns_library(struct dns *d);

#endif
