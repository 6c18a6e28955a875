/* When: the heap of waiting messages, and the waits between tries. */
#include <stdlib.h>

#include "base/map.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

usec deliver_wait(const struct queue_settings *s, uint32_t tries)
{
    if (s->retry.n == 0)
        return 15 * 60 * USEC_PER_SEC;
    size_t i = tries ? tries - 1 : 0;
    return s->retry.v[i < s->retry.n ? i : s->retry.n - 1];
}

/* Spreads retries; nothing that matters hangs on it. */
uint64_t deliver_random(struct deliver *d)
{
    d->seed++;
    return map_hash(span_of((const char *)&d->seed, sizeof d->seed));
}

static void place(struct deliver *d, size_t i, struct queue_msg *m)
{
    d->heap[i] = m;
    m->heap_at = i + 1;
}

static void up(struct deliver *d, size_t i)
{
    struct queue_msg *m = d->heap[i];
    while (i > 0 && d->heap[(i - 1) / 2]->due > m->due) {
        place(d, i, d->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(d, i, m);
}

static void down(struct deliver *d, size_t i)
{
    struct queue_msg *m = d->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= d->nheap)
            break;
        if (child + 1 < d->nheap && d->heap[child + 1]->due < d->heap[child]->due)
            child++;
        if (d->heap[child]->due >= m->due)
            break;
        place(d, i, d->heap[child]);
        i = child;
    }
    place(d, i, m);
}

void heap_remove(struct deliver *d, struct queue_msg *m)
{
    if (!m->heap_at)
        return;
    size_t i = m->heap_at - 1;
    m->heap_at = 0;
    struct queue_msg *last = d->heap[--d->nheap];
    if (last == m)
        return;
    place(d, i, last);
    up(d, i);
    down(d, last->heap_at - 1);
}

void heap_put(struct deliver *d, struct queue_msg *m, usec due)
{
    heap_remove(d, m);
    if (d->nheap == d->heap_cap) {
        d->heap_cap = d->heap_cap ? 2 * d->heap_cap : 256;
        d->heap = xrealloc(d->heap, d->heap_cap * sizeof *d->heap);
    }
    m->due = due;
    d->heap[d->nheap] = m;
    d->nheap++;
    up(d, d->nheap - 1);
}

struct queue_msg *heap_first(const struct deliver *d)
{
    return d->nheap ? d->heap[0] : NULL;
}
