/* What was compiled of templates and of lists of them, for many messages. */
#include "relays/template_private.h"

#include <assert.h>

/* At home in a. */
static struct template_memory *memory_in(struct arena *a)
{
    struct template_memory *t = ARENA_NEW(a, struct template_memory);
    t->arena = a;
    return t;
}

struct template_memory *template_memory_new(void)
{
    return memory_in(arena_new(0));
}

void template_memory_free(struct template_memory *t)
{
    if (t)
        arena_free(t->arena);
}

/* A full memory, which constants never fill, has one place for all others. */
static const struct compiled *look_up(struct template_memory *t, const char *template)
{
    size_t at = (size_t)((uintptr_t) template * 0x9e3779b97f4a7c15u >> 54) % MEMORY_SLOTS;
    for (; t->slots[at]; at = (at + 1) % MEMORY_SLOTS) {
        t->last = t->slots[at] - 1u;
        if (t->keys[t->last] == template)
            return t->v[t->last];
    }
    struct compiled *new = template_compile(t, template);
    if (t->n < MEMORY_MOST) {
        size_t n = t->n;
        (void)ARENA_PUSH(t->arena, t->keys, n, t->keys_cap);
        (void)ARENA_PUSH(t->arena, t->v, t->n, t->cap);
        t->slots[at] = (uint16_t)t->n;
    }
    t->last = t->n - 1;
    t->keys[t->last] = template;
    return t->v[t->last] = new;
}

struct template_memory *template_memory_of(struct template_match *m)
{
    return m->memory ? m->memory : (m->memory = memory_in(m->arena));
}

/* Templates are tried in the order in which they were tried before. */
const struct compiled *template_compiled(struct template_match *m, const char *template)
{
    struct template_memory *t = template_memory_of(m);
    if (t->last + 1 < t->n && t->keys[t->last + 1] == template)
        return t->v[++t->last];
    return look_up(t, template);
}

/* --- lists --- */

/* Pairs that nearly every line has. */
static bool is_common(unsigned pair)
{
    static const char common[] = " by  with from  id  for esmtp ";
    for (size_t i = 0; i + 2 < sizeof common; i++)
        if (pair_of(common[i], common[i + 1]) == pair)
            return true;
    return false;
}

static struct held held_by(const struct compiled *p)
{
    struct held h;
    size_t n = 0;
    for (unsigned common = 0; common < 2; common++)
        for (size_t i = 0; i < p->npairs && n < HELD_PAIRS; i++)
            if (is_common(p->pairs[i]) == (common == 1))
                h.pairs[n++] = p->pairs[i];
    while (n < HELD_PAIRS)
        h.pairs[n++] = PAIR_NONE;
    return h;
}

static const char *nth(const void *list, size_t size, size_t i)
{
    const char *template;
    memcpy(&template, (const char *)list + i * size, sizeof template);
    return template;
}

const struct plan *template_plan(struct template_match *m, const void *list, size_t size)
{
    struct template_memory *t = template_memory_of(m);
    for (size_t i = 0; i < t->nplans; i++)
        if (t->plans[i].list == list)
            return &t->plans[i];
    struct plan *p = &t->plans[t->nplans < PLANS_MOST ? t->nplans++ : PLANS_MOST - 1];
    *p = (struct plan){.list = list};
    while (p->n < TEMPLATE_LIST_MOST && nth(list, size, p->n))
        p->n++;
    assert(p->n < TEMPLATE_LIST_MOST || !nth(list, size, p->n));
    p->held = arena_raw(t->arena, (p->n + 1) * sizeof *p->held);
    for (size_t i = 0; i < p->n; i++)
        p->held[i] = held_by(template_compiled(m, nth(list, size, i)));
    return p;
}
