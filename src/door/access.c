/* The access map: networks, lookups, life. What a line means stands in access_parse.c. */
#include "door/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "door/access_private.h"

enum { PREFIX_KEY = 18, PREFIX_BITS = 129 };

struct access {
    struct textmap *file;
    /* Networks by {tag, bits, masked address}; rebuilt when the file was read. */
    struct arena *arena;
    struct map networks;
    bool bits_used[PREFIX_BITS];
};

/* ---- networks ---- */

static void prefix_key(enum access_tag tag, unsigned bits, const struct ip *ip,
                       char out[PREFIX_KEY])
{
    out[0] = (char)tag;
    out[1] = (char)bits;
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = bits > 8 * i ? bits - 8 * i : 0;
        unsigned mask = left >= 8 ? 0xff : 0xff & ~(0xffu >> left);
        out[2 + i] = (char)(ip->b[i] & mask);
    }
}

static void index_networks(struct access *a)
{
    arena_free(a->arena);
    a->arena = arena_new(0);
    a->networks = map_in(a->arena);
    memset(a->bits_used, 0, sizeof a->bits_used);
    for (size_t i = 0; a->file && i < textmap_count(a->file); i++) {
        const struct textmap_entry *e = textmap_at(a->file, i);
        struct span key = e->key;
        struct cidr net;
        char bytes[PREFIX_KEY];
        enum access_tag tag = access_take_tag(&key);
        if (!access_tag_of_clients(tag) || !access_network_parse(key, &net))
            continue;
        prefix_key(tag, net.bits, &net.net, bytes);
        *map_at(&a->networks, arena_dup(a->arena, span_of(bytes, sizeof bytes))) = e->parsed;
        a->bits_used[net.bits] = true;
    }
}

/* The longest prefix; with the tag before without. */
static const struct access_entry *find_network(const struct access *a, enum access_tag tag,
                                               const struct ip *ip)
{
    const enum access_tag order[] = {tag, TAG_ALL};
    size_t ntags = tag == TAG_CONNECT ? 2 : 1;
    for (int bits = PREFIX_BITS - 1; bits >= 0; bits--) {
        if (!a->bits_used[bits])
            continue;
        for (size_t i = 0; i < ntags; i++) {
            char key[PREFIX_KEY];
            prefix_key(order[i], (unsigned)bits, ip, key);
            const struct access_entry *r = map_get(&a->networks, span_of(key, sizeof key));
            if (r)
                return r;
        }
    }
    return NULL;
}

/* ---- lookups ---- */

static const struct access_entry *find_key(const struct access *a, enum access_tag tag,
                                           struct span key, const char *suffix)
{
    char text[SMTP_ADDR_MAX + 300];
    const char *prefix = access_tag_text(tag);
    bool also_untagged = tag == TAG_CONNECT || tag == TAG_FROM || tag == TAG_TO;
    for (int tagged = 1; tagged >= (also_untagged ? 0 : 1); tagged--) {
        int n =
            snprintf(text, sizeof text, "%s%.*s%s", tagged ? prefix : "", SPAN_ARG(key), suffix);
        if (n < 0 || (size_t)n >= sizeof text)
            return NULL;
        const struct textmap_entry *e = textmap_get(a->file, span_of(text, (size_t)n));
        if (e)
            return e->parsed;
    }
    return NULL;
}

static const struct access_entry *find_domain(const struct access *a, enum access_tag tag,
                                              struct span domain)
{
    while (domain.n > 0) {
        const struct access_entry *r = find_key(a, tag, domain, "");
        if (r)
            return r;
        size_t dot = span_find(domain, '.');
        if (dot == SIZE_MAX || domain.p[0] == '[')
            break;
        /* ".example.org": below it alone */
        r = find_key(a, tag, span_from(domain, dot), "");
        if (r)
            return r;
        domain = span_from(domain, dot + 1);
    }
    return NULL;
}

static const struct access_entry *find_address(const struct access *a, enum access_tag tag,
                                               const struct lookup *l)
{
    if (l->n == 0)
        return find_key(a, tag, SPAN("<>"), "");
    struct span local = span_of(l->key, l->at), domain = lookup_domain(l);
    const struct access_entry *r = find_key(a, tag, lookup_addr(l), "");
    size_t plus = span_find(local, '+');
    if (!r && plus != SIZE_MAX && plus > 0) {
        char bare[SMTP_ADDR_MAX + 300];
        int n = snprintf(bare, sizeof bare, "%.*s@%.*s", (int)plus, local.p, SPAN_ARG(domain));
        if (n > 0 && (size_t)n < sizeof bare)
            r = find_key(a, tag, span_of(bare, (size_t)n), "");
    }
    if (!r)
        r = find_key(a, tag, local, "@");
    return r ? r : find_domain(a, tag, domain);
}

static struct access_rule found(const struct access_entry *e)
{
    return e ? e->rule : (struct access_rule){ACCESS_NONE, SPAN_NONE};
}

static const struct access_entry *find_client(const struct access *a, enum access_tag tag,
                                              const struct ip *ip, struct span name)
{
    if (!a->file)
        return NULL;
    const struct access_entry *r = ip ? find_network(a, tag, ip) : NULL;
    char key[DOMAIN_KEY_SIZE];
    size_t n = domain_key(name, key);
    return !r && n > 0 ? find_domain(a, tag, span_of(key, n)) : r;
}

struct access_rule access_client(const struct access *a, const struct ip *ip, struct span name)
{
    return found(find_client(a, TAG_CONNECT, ip, name));
}

bool access_number(const struct access *a, enum access_number what, const struct ip *ip,
                   struct span name, unsigned *out)
{
    static const enum access_tag tag_of[] = {[ACCESS_GREET_PAUSE] = TAG_GREET_PAUSE,
                                             [ACCESS_CLIENT_RATE] = TAG_CLIENT_RATE,
                                             [ACCESS_CLIENT_CONN] = TAG_CLIENT_CONN};
    enum access_tag tag = tag_of[what];
    const struct access_entry *e = find_client(a, tag, ip, name);
    if (!e && a->file)
        e = find_key(a, tag, SPAN(""), "");
    if (e)
        *out = e->number;
    return e;
}

struct access_rule access_sender(const struct access *a, const struct lookup *from)
{
    return found(a->file ? find_address(a, TAG_FROM, from) : NULL);
}

struct access_rule access_recipient(const struct access *a, const struct lookup *to)
{
    return found(a->file ? find_address(a, TAG_TO, to) : NULL);
}

static bool wants_checks(const struct access *a, enum access_delay mode, const struct lookup *to)
{
    const struct access_entry *e = a->file && to->n ? find_address(a, TAG_SPAM, to) : NULL;
    return mode == ACCESS_DELAY_HATER ? e && e->hater : !(e && e->friend);
}

struct access_rule access_delayed(const struct access *a, enum access_delay mode,
                                  const struct ip *ip, struct span name, const struct lookup *from,
                                  const struct lookup *to)
{
    if (mode == ACCESS_DELAY_NO || !wants_checks(a, mode, to))
        return found(NULL);
    struct access_rule rule = access_client(a, ip, name);
    if (!access_refuses(&rule))
        rule = access_sender(a, from);
    return access_refuses(&rule) ? rule : found(NULL);
}

/* ---- life ---- */

struct access *access_open(const char *path)
{
    struct access *a = xcalloc(1, sizeof *a);
    struct textmap_rules rules = {access_line, map_report, NULL};
    if (path)
        a->file = textmap_open(path, &rules);
    index_networks(a);
    return a;
}

struct access *access_read(struct span text, const char *name,
                           void (*report)(void *ctx, const char *text), void *ctx)
{
    struct access *a = xcalloc(1, sizeof *a);
    struct textmap_rules rules = {access_line, report, ctx};
    a->file = textmap_read(text, name, &rules);
    index_networks(a);
    return a;
}

void access_free(struct access *a)
{
    textmap_free(a->file);
    arena_free(a->arena);
    free(a);
}

void access_refresh(struct access *a)
{
    if (!a->file || !textmap_refresh(a->file))
        return;
    index_networks(a);
    log_event(LOG_NOTE, NULL, "map-read", F_STR("map", "access_file"),
              F_INT("entries", textmap_count(a->file)), F_INT("bad", textmap_bad(a->file)));
}

bool access_ok(const struct access *a)
{
    return !a->file || textmap_ok(a->file);
}
