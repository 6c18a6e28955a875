/* The index: messages by id, and by the segment that holds them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "base/xalloc.h"
#include "queue/queue_private.h"

enum { SLOTS_MIN = 1024 };

char *queue_id(char out[QUEUE_ID_SIZE], const char *id, size_t part)
{
    if (part == 0)
        snprintf(out, QUEUE_ID_SIZE, "%.*s", ID_LEN, id);
    else
        snprintf(out, QUEUE_ID_SIZE, "%.*s.%u", ID_LEN, id, (unsigned)part);
    return out;
}

bool queue_id_valid(struct span s)
{
    if (s.n < ID_LEN || s.n >= QUEUE_ID_SIZE || !id_valid(span_sub(s, 0, ID_LEN)))
        return false;
    uint64_t part;
    return s.n == ID_LEN || (s.p[ID_LEN] == '.' && span_u64(span_from(s, ID_LEN + 1), &part));
}

const char *queue_state_name(enum queue_state s)
{
    static const char *const names[] = {"waiting", "held", "delivered", "failed", "deleted"};
    return names[s];
}

/* One block holds the message, its recipients and their addresses. */
struct queue_msg *queue_index_make(const struct queue_meta *meta, const struct queue_rcpt *states,
                                   uint64_t size)
{
    size_t n = meta->env.nrcpts, strings = meta->env.from.n;
    for (size_t i = 0; i < n; i++)
        strings += meta->env.rcpts[i].addr.n;
    struct queue_msg *m = xmalloc(sizeof *m + n * sizeof *m->rcpts + strings);
    *m = (struct queue_msg){.flags = meta->flags,
                            .created = meta->created,
                            .size = size,
                            .nrcpts = (uint32_t)n,
                            .rcpts = (struct queue_rcpt *)(m + 1)};
    memcpy(m->id, meta->id, sizeof m->id);
    char *at = (char *)(m->rcpts + n);
    if (meta->env.from.n)
        memcpy(at, meta->env.from.p, meta->env.from.n);
    m->from = span_of(at, meta->env.from.n);
    at += m->from.n;
    for (size_t i = 0; i < n; i++) {
        const struct rcpt *from = &meta->env.rcpts[i];
        struct queue_rcpt *r = &m->rcpts[i];
        *r = states ? states[i] : (struct queue_rcpt){.notify = from->notify};
        r->reason = r->reason ? xstrdup(r->reason) : NULL;
        if (from->addr.n)
            memcpy(at, from->addr.p, from->addr.n);
        r->addr = span_of(at, from->addr.n);
        at += from->addr.n;
        m->open += !queue_state_final(r->state);
    }
    return m;
}

void queue_index_free(struct queue_msg *m)
{
    for (uint32_t i = 0; i < m->nrcpts; i++)
        free(m->rcpts[i].reason);
    free(m);
}

void rcpt_reason(struct queue_rcpt *r, struct span reason)
{
    if (!reason.p || span_eq(span_str(r->reason), reason))
        return;
    free(r->reason);
    r->reason = xmalloc(reason.n + 1);
    memcpy(r->reason, reason.p, reason.n);
    r->reason[reason.n] = 0;
}

static size_t slot_of(const struct queue *q, struct span id)
{
    return map_hash(id) & (q->nslots - 1);
}

static void grow(struct queue *q)
{
    size_t old_n = q->nslots;
    struct queue_msg **old = q->slots;
    q->nslots = old_n ? old_n * 2 : SLOTS_MIN;
    q->slots = xcalloc(q->nslots, sizeof *q->slots);
    for (size_t i = 0; i < old_n; i++) {
        for (struct queue_msg *m = old[i], *next; m; m = next) {
            next = m->hash_next;
            size_t at = slot_of(q, span_str(m->id));
            m->hash_next = q->slots[at];
            q->slots[at] = m;
        }
    }
    free(old);
}

void queue_index_insert(struct queue *q, struct queue_msg *m)
{
    if (q->nmessages >= q->nslots)
        grow(q);
    size_t at = slot_of(q, span_str(m->id));
    m->hash_next = q->slots[at];
    q->slots[at] = m;
    q->nmessages++;
}

void queue_index_remove(struct queue *q, struct queue_msg *m)
{
    struct queue_msg **at = &q->slots[slot_of(q, span_str(m->id))];
    while (*at && *at != m)
        at = &(*at)->hash_next;
    if (!*at)
        return;
    *at = m->hash_next;
    q->nmessages--;
}

struct queue_msg *queue_find(struct queue *q, struct span id)
{
    if (!q->nslots)
        return NULL;
    for (struct queue_msg *m = q->slots[slot_of(q, id)]; m; m = m->hash_next)
        if (span_eq(span_str(m->id), id))
            return m;
    return NULL;
}

void queue_each(struct queue *q, void (*fn)(void *ctx, struct queue_msg *m), void *ctx)
{
    for (size_t i = 0; i < q->nslots; i++) {
        for (struct queue_msg *m = q->slots[i], *next; m; m = next) {
            next = m->hash_next;
            fn(ctx, m);
        }
    }
}

char *segment_name(char out[SEGMENT_NAME], uint64_t number)
{
    snprintf(out, SEGMENT_NAME, "%016llx", (unsigned long long)number);
    return out;
}

bool segment_name_parse(const char *name, uint64_t *number)
{
    if (strlen(name) != SEGMENT_NAME - 1 || strspn(name, "0123456789abcdef") != SEGMENT_NAME - 1)
        return false;
    *number = strtoull(name, NULL, 16);
    return true;
}

struct queue_segment *queue_index_segment(struct queue *q, uint64_t number, bool make)
{
    for (size_t i = q->nsegments; i-- > 0;)
        if (q->segments[i]->number == number)
            return q->segments[i];
    if (!make)
        return NULL;
    if (q->nsegments == q->segments_cap) {
        q->segments_cap = q->segments_cap ? q->segments_cap * 2 : 16;
        q->segments = xrealloc(q->segments, q->segments_cap * sizeof *q->segments);
    }
    struct queue_segment *s = xcalloc(1, sizeof *s);
    char name[SEGMENT_NAME];
    s->number = number;
    s->fd = openat(q->dir, segment_name(name, number), O_RDONLY | O_CLOEXEC);
    size_t at = q->nsegments++;
    for (; at > 0 && q->segments[at - 1]->number > number; at--)
        q->segments[at] = q->segments[at - 1];
    return q->segments[at] = s;
}

void queue_index_place(struct queue *q, struct queue_msg *m, uint64_t segment, uint64_t at,
                       uint32_t meta_size)
{
    struct queue_segment *s = queue_index_segment(q, segment, true);
    m->segment = s;
    m->at = at;
    m->meta_size = meta_size;
    m->prev = NULL;
    m->next = s->first;
    if (s->first)
        s->first->prev = m;
    s->first = m;
    s->live++;
    uint64_t bytes = RECORD_HEADER + meta_size + m->size;
    s->live_bytes += bytes;
    q->live_bytes += bytes;
}

void queue_index_unplace(struct queue *q, struct queue_msg *m)
{
    struct queue_segment *s = m->segment;
    if (!s)
        return;
    if (m->prev)
        m->prev->next = m->next;
    else
        s->first = m->next;
    if (m->next)
        m->next->prev = m->prev;
    uint64_t bytes = RECORD_HEADER + m->meta_size + m->size;
    s->live--;
    s->live_bytes -= bytes;
    q->live_bytes -= bytes;
    m->segment = NULL;
}
