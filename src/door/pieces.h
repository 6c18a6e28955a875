/* Edited bytes of a header, field by field: for protocols that tell edits as operations on fields.
 */
#ifndef GATEHOUSE_DOOR_PIECES_H
#define GATEHOUSE_DOOR_PIECES_H

#include "mime/splice.h"

/* One field of edited bytes. */
struct piece {
    struct span name, value; /* value: behind the colon, without the last line end */
};

struct pieces {
    struct piece *v;
    size_t n, cap;
};

/* Appends the edited bytes of [from, to). Inserts at `to` belong to what follows, but for the last
 * region. */
void pieces_region(const struct splices *s, struct span raw, uint64_t from, uint64_t to, bool last,
                   struct buf *out);
/* Whether the edits change [from, to) or insert in front of it. */
bool pieces_touched(const struct splices *s, uint64_t from, uint64_t to);
/* Cuts a field with its folds off *rest; false when what was cut off is none. */
bool pieces_next(struct span *rest, struct piece *out);
/* All fields of bytes, copied into the arena; false when something among them is none. */
bool pieces_read(struct span bytes, struct arena *a, struct pieces *out);

#endif
