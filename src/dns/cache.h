/* Answers that have come, until their time is over: libunbound keeps them too, but in a thread of
 * its own, and a question to it costs tens of microseconds. One of a struct dns; room-private.
 *
 * Entries are counted references: one that is being told stays until that is done, whatever is put
 * in its place. Names come from strangers: places are chosen by a keyed hash, an entry and all of
 * them have a limit in bytes. Nothing is kept of failures. */
#ifndef GATEHOUSE_DNS_CACHE_H
#define GATEHOUSE_DNS_CACHE_H

#include "base/clock.h"
#include "dns/dns.h"

enum {
    CACHE_SETS = 1024,
    CACHE_WAYS = 4,             /* places that an answer may take */
    CACHE_ENTRY_MAX = 8 * 1024, /* bytes of an answer with its name; larger ones are not kept */
    CACHE_BYTES = 4 * 1024 * 1024,
    CACHE_SECONDS = 3600 /* at most, whatever the records say */
};

/* What was answered to one lookup. */
struct lookup_answer {
    int type;
    int rcode; /* NOERROR or NXDOMAIN */
    bool havedata, nxdomain, secure;
    uint32_t ttl;             /* seconds */
    const struct span *rdata; /* those that have the form of their type */
    size_t n;
    struct span canonical; /* absent: no alias */
};

struct cache_entry;
struct dns_cache;

struct dns_cache *dns_cache_new(void);
void dns_cache_free(struct dns_cache *c);
/* Keeps a copy, unless its time is nothing. now: monotonic. */
void dns_cache_put(struct dns_cache *c, struct span name, const struct lookup_answer *a, usec now);
/* A reference, or NULL. Names are compared without case. */
struct cache_entry *dns_cache_get(struct dns_cache *c, struct span name, int type, usec now);
/* The answer as it was put, with what is left of its time; valid as long as the reference. */
struct lookup_answer dns_cache_answer(const struct cache_entry *e, usec now);
void cache_entry_unref(struct cache_entry *e);
size_t dns_cache_bytes(const struct dns_cache *c);

#endif
