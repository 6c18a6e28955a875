#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/xalloc.h"

/* Blocks double from 64 KiB to 1 MiB, so that a small message costs one block and a large one few.
 */
enum { FIRST_BLOCK = 64 * 1024, LARGEST_BLOCK = 1024 * 1024, ALIGN = 16 };
/* An arena that has grown to HUGE_FROM takes pages of HUGE_PAGE bytes: there a page fault for each
 * 4 KiB is a good part of the work. */
enum { HUGE_PAGE = 2 * 1024 * 1024, HUGE_BLOCK = 2 * HUGE_PAGE, HUGE_FROM = 4 * 1024 * 1024 };

struct block {
    struct block *next; /* older */
    size_t size, used;
    size_t mapped; /* bytes, when it is a mapping; 0: of malloc */
    _Alignas(ALIGN) char data[];
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct arena {
    struct deferred *deferred; /* latest first, in the arena itself */
    struct block *top;
    size_t limit, total;
    arena_exhausted_fn *exhausted;
    void *exhausted_ctx;
};

static struct block *block_new(size_t size, struct block *next)
{
    struct block *b = xmalloc(sizeof *b + size);
    b->next = next;
    b->size = size;
    b->used = b->mapped = 0;
    return b;
}

/* At the beginning of a huge page. */
static struct block *huge_block(struct block *next)
{
    size_t room = HUGE_BLOCK + HUGE_PAGE;
    char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)p % HUGE_PAGE;
    if (before)
        munmap(p, before);
    munmap(p + before + HUGE_BLOCK, HUGE_PAGE - before);
    struct block *b = (struct block *)(void *)(p + before);
    madvise(b, HUGE_BLOCK, MADV_HUGEPAGE); /* where there are none, it's as well without */
    b->next = next;
    b->size = HUGE_BLOCK - sizeof *b;
    b->mapped = HUGE_BLOCK;
    b->used = 0;
    return b;
}

static void block_free(struct block *b)
{
    if (b->mapped)
        munmap(b, b->mapped);
    else
        free(b);
}

struct arena *arena_new(size_t limit)
{
    struct arena *a = xcalloc(1, sizeof *a);
    a->limit = limit && limit < FIRST_BLOCK ? FIRST_BLOCK : limit;
    a->top = block_new(FIRST_BLOCK, NULL);
    a->total = FIRST_BLOCK;
    return a;
}

void arena_limit(struct arena *a, size_t limit)
{
    a->limit = limit;
}

void arena_on_exhausted(struct arena *a, arena_exhausted_fn *fn, void *ctx)
{
    a->exhausted = fn;
    a->exhausted_ctx = ctx;
}

void arena_defer(struct arena *a, void (*fn)(void *ctx), void *ctx)
{
    struct deferred *d = arena_raw(a, sizeof *d);
    *d = (struct deferred){a->deferred, fn, ctx};
    a->deferred = d;
}

static void run_deferred(struct arena *a)
{
    while (a->deferred) {
        struct deferred *d = a->deferred;
        a->deferred = d->next;
        d->fn(d->ctx);
    }
}

/* The newest block of ordinary size is kept: the next message needs as much, and fresh pages from
 * the kernel cost more than the work they are used for. */
void arena_reset(struct arena *a)
{
    run_deferred(a);
    struct block *kept = a->top;
    while (kept->size > LARGEST_BLOCK && kept->next)
        kept = kept->next;
    for (struct block *b = a->top, *older; b; b = older) {
        older = b->next;
        if (b != kept)
            block_free(b);
    }
    kept->next = NULL;
    kept->used = 0;
    a->top = kept;
    a->total = kept->size;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    block_free(a->top);
    free(a);
}

static void exhausted(struct arena *a, size_t wanted)
{
    if (a->exhausted)
        a->exhausted(a->exhausted_ctx);
    fprintf(stderr, "gatehouse: arena of %zu bytes can't give %zu more\n", a->limit, wanted);
    abort();
}

static void *take_new_block(struct arena *a, size_t n)
{
    size_t size = a->top->size * 2;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    size_t left = !a->limit ? SIZE_MAX : a->limit > a->total ? a->limit - a->total : 0;
    if (n > left)
        exhausted(a, n);
    bool huge = a->total >= HUGE_FROM && n <= LARGEST_BLOCK && left > HUGE_BLOCK;
    struct block *new = huge ? huge_block(a->top) : NULL;
    if (size < n || size > left)
        size = n;
    a->top = new ? new : block_new(size, a->top);
    a->total += a->top->size;
    a->top->used = n;
    return a->top->data;
}

void *arena_raw(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        exhausted(a, n);
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct block *b = a->top;
    if (n <= b->size - b->used) {
        void *p = b->data + b->used;
        b->used += n;
        return p;
    }
    return take_new_block(a, n);
}

void *arena_alloc(struct arena *a, size_t n)
{
    return memset(arena_raw(a, n), 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        exhausted(a, SIZE_MAX);
    return arena_alloc(a, n);
}

void *arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n)
{
    struct block *b = a->top;
    size_t old_room = (old_n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    size_t new_room = (new_n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    bool last = old && (char *)old + old_room == b->data + b->used;
    if (last && new_room >= old_room && new_room - old_room <= b->size - b->used) {
        b->used += new_room - old_room;
        return old;
    }
    void *p = arena_raw(a, new_n);
    if (old_n)
        memcpy(p, old, old_n < new_n ? old_n : new_n);
    return p;
}

void *arena_push_grow(struct arena *a, void *items, size_t *cap, size_t size)
{
    size_t now = *cap;
    *cap = now ? now * 2 : 8;
    return arena_grow(a, items, now * size, *cap * size);
}

struct span arena_dup(struct arena *a, struct span s)
{
    return (struct span){arena_cstr(a, s), s.n};
}

char *arena_cstr(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_cstr(a, span_str(s));
}

struct span arena_lower(struct arena *a, struct span s)
{
    char *p = arena_cstr(a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(p[i]);
    return (struct span){p, s.n};
}

struct span arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return SPAN_NONE;
    char *p = arena_raw(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return (struct span){p, (size_t)n};
}

struct span arena_concat(struct arena *a, const struct span *v, size_t n)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        size += v[i].n;
    char *p = arena_raw(a, size + 1);
    for (size_t i = 0; i < n; at += v[i++].n)
        if (v[i].n)
            memcpy(p + at, v[i].p, v[i].n);
    p[size] = '\0';
    return (struct span){p, size};
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

size_t arena_used(const struct arena *a)
{
    return a->total - a->top->size + a->top->used;
}
