/* Edits as a list of splices over the original bytes: at an offset, delete some bytes, insert
 * others. Bytes that no splice names stay identical to the last bit.
 *
 * Offsets refer to the original. A list is sorted by `at` and non-overlapping before it is applied
 * (splices_sort); several inserts at one offset keep their order. */
#ifndef GATEHOUSE_MIME_SPLICE_H
#define GATEHOUSE_MIME_SPLICE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

#include <sys/uio.h>

struct splice {
    uint64_t at, del;
    struct span ins;
};

struct splices {
    struct splice *v;
    size_t n, cap;
};

void splices_add(struct splices *s, struct arena *a, uint64_t at, uint64_t del, struct span ins);
/* Stable sort by offset; -1 when two of them delete the same bytes or one reaches past size. */
int splices_sort(struct splices *s, uint64_t size, struct err *e);
/* Length of the edited message. */
uint64_t splices_size(const struct splices *s, uint64_t size);
/* The edited message as pieces (of `raw` and of the inserts), in order, in the arena: for writev.
 */
struct iovec *splices_iov(const struct splices *s, struct span raw, struct arena *a, size_t *n);
/* The edited message appended to a buffer. */
void splices_apply(const struct splices *s, struct span raw, struct buf *out);

void splices_encode(struct buf *b, const struct splices *s);
void splices_decode(struct cursor *c, struct arena *a, struct splices *s);

#endif
