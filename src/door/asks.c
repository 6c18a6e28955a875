#include "door/asks.h"

#include <stdlib.h>

#include "base/xalloc.h"

struct ask *ask_new(struct asks *all, enum ask_kind kind, void *owner, void *target)
{
    struct ask *a = all->free;
    if (a) {
        all->free = a->next_free;
    } else {
        if (all->n == all->cap) {
            all->cap = all->cap ? 2 * all->cap : 64;
            all->v = xrealloc(all->v, all->cap * sizeof *all->v);
        }
        a = xcalloc(1, sizeof *a);
        a->tag = all->n;
        all->v[all->n++] = a;
    }
    a->kind = kind;
    a->owner = owner;
    a->target = target;
    a->since = clock_mono();
    a->generation++;
    a->tag = (uint64_t)a->generation << 32 | (a->tag & UINT32_MAX);
    return a;
}

struct ask *ask_find(struct asks *all, uint64_t tag, enum ask_kind kind)
{
    uint64_t slot = tag & UINT32_MAX;
    if (slot >= all->n)
        return NULL;
    struct ask *a = all->v[slot];
    return a->kind == kind && a->tag == tag ? a : NULL;
}

void ask_end(struct asks *all, struct ask *a)
{
    a->kind = ASK_FREE;
    a->owner = a->target = NULL;
    a->next_free = all->free;
    all->free = a;
}

void asks_free(struct asks *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->v[i]);
    free(all->v);
}
