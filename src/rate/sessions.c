/* Sessions at the same time: counted in memory, since they end with the process. */
#include "rate/rate_private.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/xalloc.h"

static struct rate_entry **slot_of(struct rates *r, struct span key)
{
    struct rate_entry **p = &r->sessions[map_hash(key) % RATE_BUCKETS];
    while (*p && !((*p)->len == key.n && memcmp((*p)->key, key.p, key.n) == 0))
        p = &(*p)->next;
    return p;
}

static bool enter(struct rates *r, const struct rate_spec *s, const struct rate_keys *keys,
                  struct rate_stay *stay, struct rate_over *over)
{
    struct buf key = {0};
    if (stay->n == RATE_ENTRIES_MAX || !rate_key(s, keys, &key)) {
        buf_free(&key);
        return true;
    }
    struct rate_entry **p = slot_of(r, buf_span(&key));
    bool room = (double)(*p ? (*p)->n : 0) < s->n;
    if (room && !*p) {
        *p = xcalloc(1, sizeof **p + key.n);
        (*p)->len = key.n;
        memcpy((*p)->key, key.p, key.n);
    }
    if (room) {
        (*p)->n++;
        stay->v[stay->n++] = *p;
    } else {
        over->spec = s;
        rate_whom(s, keys, over->whom, sizeof over->whom);
    }
    buf_free(&key);
    return room;
}

bool rates_enter(struct rates *r, const struct rate_keys *keys, int64_t limit,
                 struct rate_stay *stay, struct rate_over *over)
{
    static const struct rate_spec client_conn = {
        .what = RATE_SESSIONS, .who = RATE_ADDRESS, .name = "ClientConn"};
    struct rate_spec conn = client_conn;
    *over = (struct rate_over){0};
    conn.n = (double)limit;
    bool in = limit < 0 || enter(r, &conn, keys, stay, over);
    for (size_t i = 0; in && i < r->n; i++)
        if (r->specs[i].what == RATE_SESSIONS)
            in = enter(r, &r->specs[i], keys, stay, over);
    if (over->spec == &conn)
        over->spec = &client_conn;
    if (!in)
        rates_leave(r, stay);
    return in;
}

void rates_leave(struct rates *r, struct rate_stay *stay)
{
    for (size_t i = 0; i < stay->n; i++) {
        struct rate_entry *e = stay->v[i];
        if (--e->n > 0)
            continue;
        struct rate_entry **p = slot_of(r, span_of(e->key, e->len));
        *p = e->next;
        free(e);
    }
    stay->n = 0;
}
