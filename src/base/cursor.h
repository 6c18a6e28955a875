/* The one way to read structured bytes: a bounded cursor with a sticky error.
 *
 * Reading past the end (or a string longer than what is left) sets `failed`, yields zeros from then
 * on and never touches memory outside. Check cursor_ok() once at the end. Strings point into the
 * input: no copy. The counterpart is buf_u8 ... buf_lstr in base/buf.h. */
#ifndef GATEHOUSE_BASE_CURSOR_H
#define GATEHOUSE_BASE_CURSOR_H

#include "base/span.h"

struct cursor {
    struct span rest;
    bool failed;
};

static inline struct cursor cursor_over(struct span s)
{
    return (struct cursor){s, false};
}

struct span cursor_bytes(struct cursor *c, size_t n);
uint8_t cursor_u8(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
double cursor_f64(struct cursor *c);
struct span cursor_lstr(struct cursor *c);

/* Nothing failed and nothing is left over. */
static inline bool cursor_ok(const struct cursor *c)
{
    return !c->failed && c->rest.n == 0;
}

#endif
