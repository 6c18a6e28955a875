#include "dns/cache.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/xalloc.h"

struct cache_entry {
    unsigned refs;
    size_t size; /* of the block that all of it stands in */
    usec until;  /* monotonic */
    struct span name;
    struct lookup_answer answer;
    struct span rdata[];
};

struct dns_cache {
    struct cache_entry *v[CACHE_SETS][CACHE_WAYS];
    size_t bytes;
    size_t hand; /* the next set that makes room */
};

struct dns_cache *dns_cache_new(void)
{
    return xcalloc(1, sizeof(struct dns_cache));
}

void cache_entry_unref(struct cache_entry *e)
{
    if (e && --e->refs == 0)
        free(e);
}

static void drop(struct dns_cache *c, struct cache_entry **at)
{
    struct cache_entry *e = *at;
    *at = NULL;
    if (!e)
        return;
    c->bytes -= e->size;
    cache_entry_unref(e);
}

void dns_cache_free(struct dns_cache *c)
{
    if (!c)
        return;
    for (size_t s = 0; s < CACHE_SETS; s++)
        for (size_t w = 0; w < CACHE_WAYS; w++)
            drop(c, &c->v[s][w]);
    free(c);
}

static struct cache_entry **set_of(struct dns_cache *c, struct span name, int type)
{
    char key[4 * DNS_NAME_MAX + 4];
    size_t n = name.n < sizeof key - 4 ? name.n : sizeof key - 4;
    for (size_t i = 0; i < n; i++)
        key[i] = ascii_lower(name.p[i]);
    memcpy(key + n, &(uint32_t){(uint32_t)type}, 4);
    return c->v[map_hash(span_of(key, n + 4)) % CACHE_SETS];
}

static bool is_it(const struct cache_entry *e, struct span name, int type)
{
    return e && e->answer.type == type && span_ieq(e->name, name);
}

struct cache_entry *dns_cache_get(struct dns_cache *c, struct span name, int type, usec now)
{
    struct cache_entry **set = set_of(c, name, type);
    for (size_t w = 0; w < CACHE_WAYS; w++) {
        if (!is_it(set[w], name, type))
            continue;
        if (set[w]->until <= now) {
            drop(c, &set[w]);
            return NULL;
        }
        set[w]->refs++;
        return set[w];
    }
    return NULL;
}

struct lookup_answer dns_cache_answer(const struct cache_entry *e, usec now)
{
    struct lookup_answer a = e->answer;
    a.ttl = e->until > now ? (uint32_t)((e->until - now) / USEC_PER_SEC) : 0;
    return a;
}

/* --- putting --- */

static struct span copy(char **to, struct span s)
{
    struct span out = span_of(*to, s.n);
    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return out;
}

static struct cache_entry *entry_new(struct span name, const struct lookup_answer *a)
{
    size_t size = sizeof(struct cache_entry) + a->n * sizeof(struct span) + name.n + a->canonical.n;
    for (size_t i = 0; i < a->n; i++)
        size += a->rdata[i].n;
    if (size > CACHE_ENTRY_MAX)
        return NULL;
    struct cache_entry *e = xmalloc(size);
    char *bytes = (char *)(e->rdata + a->n);
    *e = (struct cache_entry){.refs = 1, .size = size, .answer = *a};
    e->name = copy(&bytes, name);
    if (a->canonical.p)
        e->answer.canonical = copy(&bytes, a->canonical);
    for (size_t i = 0; i < a->n; i++)
        e->rdata[i] = copy(&bytes, a->rdata[i]);
    e->answer.rdata = e->rdata;
    return e;
}

static void make_room(struct dns_cache *c, size_t size)
{
    for (size_t s = 0; s < CACHE_SETS && c->bytes + size > CACHE_BYTES; s++) {
        for (size_t w = 0; w < CACHE_WAYS; w++)
            drop(c, &c->v[c->hand][w]);
        c->hand = (c->hand + 1) % CACHE_SETS;
    }
}

/* The same question, else a free place, else what ends first. */
static struct cache_entry **place(struct cache_entry **set, struct span name, int type)
{
    struct cache_entry **best = &set[0];
    for (size_t w = 0; w < CACHE_WAYS; w++) {
        if (is_it(set[w], name, type))
            return &set[w];
        if (*best && (!set[w] || set[w]->until < (*best)->until))
            best = &set[w];
    }
    return best;
}

void dns_cache_put(struct dns_cache *c, struct span name, const struct lookup_answer *a, usec now)
{
    uint32_t seconds = a->ttl < CACHE_SECONDS ? a->ttl : CACHE_SECONDS;
    struct cache_entry *e = seconds ? entry_new(name, a) : NULL;
    if (!e)
        return;
    e->until = now + seconds * USEC_PER_SEC;
    make_room(c, e->size);
    struct cache_entry **at = place(set_of(c, name, a->type), name, a->type);
    drop(c, at);
    *at = e;
    c->bytes += e->size;
}

size_t dns_cache_bytes(const struct dns_cache *c)
{
    return c->bytes;
}
