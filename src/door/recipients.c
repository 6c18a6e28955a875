#include "door/recipients.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "smtp/reply.h"
#include "smtp/textmap.h"

enum { WAYS = 4 };

struct known {
    char *key; /* address, or "@domain" for the catch-all test; NULL: free */
    usec until;
    bool yes;
};

struct recipients {
    const struct recipient_settings *set;
    struct textmap *file;
    /* Set-associative: an address may stand in WAYS places; the one that expires first makes room.
     */
    struct known *cache;
    size_t sets;
};

int recipients_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why)
{
    (void)ctx;
    struct smtp_path path;
    struct span key = e->key;
    bool whole = key.p[0] == '@';
    if (whole ? !domain_valid(span_from(key, 1), true)
              : mailbox_parse(key, true, &path) != PATH_OK || path.at == path.n)
        return err_set(why, "'%.*s' is neither user@domain nor @domain",
                       (int)(key.n > 200 ? 200 : key.n), key.p);
    struct span v = e->value;
    if (v.n == 0 || span_ieq(v, SPAN("OK")))
        return 0;
    unsigned code;
    struct span text = span_istarts(v, SPAN("ERROR:")) ? span_trim(span_from(v, 6)) : v;
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = span_sub(text, 1, text.n - 1);
    if (!reply_valid(text, &code) || code < 400)
        return err_set(why, "after the address OK or ERROR:550 text is wanted");
    struct span *reply = ARENA_NEW(arena, struct span);
    *reply = arena_dup(arena, text);
    e->parsed = reply;
    return 0;
}

struct recipients *recipients_open(const struct recipient_settings *set)
{
    struct recipients *r = xcalloc(1, sizeof *r);
    r->set = set;
    if (set->file) {
        struct textmap_rules rules = {recipients_line, map_report, NULL};
        r->file = textmap_open(set->file, &rules);
    }
    if (set->check == RCPT_CALLOUT) {
        r->sets = (size_t)set->callout_cache / WAYS + 1;
        r->cache = xcalloc(r->sets * WAYS, sizeof *r->cache);
    }
    return r;
}

void recipients_free(struct recipients *r)
{
    for (size_t i = 0; i < r->sets * WAYS; i++)
        free(r->cache[i].key);
    free(r->cache);
    textmap_free(r->file);
    free(r);
}

void recipients_refresh(struct recipients *r)
{
    if (r->file && textmap_refresh(r->file))
        log_event(LOG_NOTE, NULL, "map-read", F_STR("map", "recipients.file"),
                  F_INT("entries", textmap_count(r->file)), F_INT("bad", textmap_bad(r->file)));
}

/* ---- the file ---- */

static const struct textmap_entry *find(const struct recipients *r, const struct lookup *to)
{
    const struct textmap_entry *e = textmap_get(r->file, lookup_addr(to));
    size_t plus = span_find(span_of(to->key, to->at), '+');
    if (!e && plus != SIZE_MAX && plus > 0) {
        char bare[sizeof to->key];
        memcpy(bare, to->key, plus);
        memcpy(bare + plus, to->key + to->at, to->n - to->at);
        e = textmap_get(r->file, span_of(bare, plus + to->n - to->at));
    }
    return e ? e : textmap_get(r->file, span_of(to->key + to->at, to->n - to->at));
}

static enum recipient_status check_file(const struct recipients *r, const struct lookup *to,
                                        struct span *reply)
{
    if (!r->file || !textmap_ok(r->file))
        return RECIPIENT_TROUBLE;
    const struct textmap_entry *e = find(r, to);
    if (!e)
        return RECIPIENT_UNKNOWN;
    if (!e->parsed)
        return RECIPIENT_OK;
    *reply = *(const struct span *)e->parsed;
    return RECIPIENT_REFUSED;
}

/* ---- the cache of callouts ---- */

static struct known *places(const struct recipients *r, struct span key)
{
    return &r->cache[map_hash(key) % r->sets * WAYS];
}

static struct known *cached(const struct recipients *r, struct span key, usec now)
{
    struct known *k = places(r, key);
    for (int i = 0; i < WAYS; i++)
        if (k[i].key && k[i].until > now && span_eq(span_str(k[i].key), key))
            return &k[i];
    return NULL;
}

static void keep(struct recipients *r, struct span key, bool yes, usec now)
{
    struct known *k = places(r, key), *slot = &k[0];
    for (int i = 0; i < WAYS; i++) {
        if (k[i].key && span_eq(span_str(k[i].key), key)) {
            slot = &k[i];
            break;
        }
        if (!k[i].key || (slot->key && k[i].until < slot->until))
            slot = &k[i];
    }
    free(slot->key);
    slot->key = xmalloc(key.n + 1);
    memcpy(slot->key, key.p, key.n);
    slot->key[key.n] = '\0';
    slot->yes = yes;
    slot->until = now + (yes ? r->set->callout_positive : r->set->callout_negative);
}

static const char probe_prefix[] = "gatehouse-probe-";

/* The answer to a probe is about the domain. */
static struct span about(struct span addr)
{
    if (!span_starts(addr, span_str(probe_prefix)))
        return addr;
    return span_from(addr, span_rfind(addr, '@'));
}

void recipients_learn(struct recipients *r, struct span addr, enum recipient_answer a, usec now)
{
    if (a != ANSWER_LATER && r->cache && span_find(addr, '\0') == SIZE_MAX)
        keep(r, about(addr), a == ANSWER_YES, now);
}

bool recipients_probe(struct recipients *r, struct span domain, usec now, char probe[PROBE_SIZE])
{
    char key[PROBE_SIZE];
    int n = snprintf(key, sizeof key, "@%.*s", SPAN_ARG(domain));
    if (!r->cache || n < 0 || (size_t)n >= sizeof key || cached(r, span_of(key, (size_t)n), now))
        return false;
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    n = snprintf(probe, PROBE_SIZE, "%s%s@%.*s", probe_prefix, hex, SPAN_ARG(domain));
    return n > 0 && n < PROBE_SIZE;
}

enum recipient_status recipients_check(struct recipients *r, const struct lookup *to, usec now,
                                       struct span *reply)
{
    switch (r->set->check) {
    case RCPT_ANY:
        return RECIPIENT_OK;
    case RCPT_LIST:
        return check_file(r, to, reply);
    case RCPT_CALLOUT:
        break;
    }
    struct known *all = cached(r, span_of(to->key + to->at, to->n - to->at), now);
    if (all && all->yes)
        return RECIPIENT_OK;
    struct known *one = cached(r, lookup_addr(to), now);
    if (!one)
        return RECIPIENT_ASK;
    return one->yes ? RECIPIENT_OK : RECIPIENT_UNKNOWN;
}
