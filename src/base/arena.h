/* Memory that lives as long as one message (or one scratch step) and is freed at once.
 *
 * An arena hands out zeroed, 16-byte aligned memory that is never freed piece by piece. It owns its
 * blocks; whoever created the arena resets or frees it. It is not shared between threads.
 *
 * Limit: `limit` bytes in all. A stranger's message decides how much is asked for, so going over
 * the limit is an expected event: the handler set with arena_on_exhausted() is called and must not
 * return (it jumps out of the message's work). Without a handler the process ends with a message,
 * which is right for memory that no stranger controls. arena_alloc never returns NULL.
 */
#ifndef GATEHOUSE_BASE_ARENA_H
#define GATEHOUSE_BASE_ARENA_H

#include "base/span.h"

#include <stdarg.h>

struct arena;

/* limit in bytes; 0 means none. */
struct arena *arena_new(size_t limit);
void arena_free(struct arena *a);

/* Forgets everything handed out; keeps one block for the next message. */
void arena_reset(struct arena *a);

/* Runs fn(ctx) when the arena is reset or freed, last one first: for things the arena does not own
 * (compiled code, mappings) but whose life is the arena's. */
void arena_defer(struct arena *a, void (*fn)(void *ctx), void *ctx);

typedef void arena_exhausted_fn(void *ctx);
/* A new limit; 0: none. For the one who caught exhaustion and still has to say so. */
void arena_limit(struct arena *a, size_t limit);
void arena_on_exhausted(struct arena *a, arena_exhausted_fn *fn, void *ctx);

/* Zeroed memory. */
void *arena_alloc(struct arena *a, size_t n);
/* Uninitialised memory, for buffers that are filled at once. */
void *arena_raw(struct arena *a, size_t n);
/* count * size, checked for overflow. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Grows an allocation; in place when it is the last one. */
void *arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n);

/* Copies. The copy is followed by a NUL that is not counted, so .p is also a C string when the
 * bytes hold no NUL. */
struct span arena_dup(struct arena *a, struct span s);
char *arena_strdup(struct arena *a, const char *s);
char *arena_cstr(struct arena *a, struct span s);
struct span arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct span arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0), nonnull(1, 2)));
struct span arena_lower(struct arena *a, struct span s);

/* All of them, one after the other. */
struct span arena_concat(struct arena *a, const struct span *v, size_t n);

size_t arena_used(const struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* Appends to an arena-backed array {T *items; size_t n, cap;} and yields a pointer to the new,
 * zeroed element: *ARENA_PUSH(a, list.items, list.n, list.cap) = value; */
#define ARENA_PUSH(a, items, n, cap)                                                               \
    (((n) == (cap) ? ((items) = arena_push_grow((a), (items), &(cap), sizeof *(items)))            \
                   : (items)),                                                                     \
     memset(&(items)[(n)], 0, sizeof *(items)), &(items)[(n)++])
void *arena_push_grow(struct arena *a, void *items, size_t *cap, size_t size);

#endif
