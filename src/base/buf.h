/* Bytes that grow: heap-backed, owned by whoever declared the buf, freed with buf_free.
 * A zeroed struct is a valid empty buf. The bytes are followed by an uncounted NUL. */
#ifndef GATEHOUSE_BASE_BUF_H
#define GATEHOUSE_BASE_BUF_H

#include "base/span.h"

#include <stdarg.h>

struct buf {
    char *p;
    size_t n, cap;
};

void buf_free(struct buf *b);
/* Forgets the bytes, keeps the memory. */
void buf_clear(struct buf *b);
/* Makes room for `extra` more bytes and returns where they go; then add to b->n what was written.
 */
char *buf_room(struct buf *b, size_t extra);
void buf_add(struct buf *b, struct span s);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0), nonnull(1, 2)));
/* Drops n bytes at the front. */
void buf_drop(struct buf *b, size_t n);

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->p ? b->p : "", b->n};
}

/* Fixed-width, little-endian integers and length-prefixed strings: what cursor.h reads. */
void buf_u8(struct buf *b, uint8_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_f64(struct buf *b, double v);
/* u32 length + bytes; an absent span (p == NULL) is kept apart from an empty one. */
void buf_lstr(struct buf *b, struct span s);

#endif
