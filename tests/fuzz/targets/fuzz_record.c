/* Records as bytes: packed receipts, the queue's entries and events. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "record/db_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span in = span_of((const char *)data + 1, size - 1);
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct cursor c = cursor_over(in);
    struct record_entry entry = {0};
    struct record_event event = {0};
    static struct packer *p;
    switch (data[0] % 4) {
    case 0:
        if (record_entry_decode(&c, a, &entry))
            record_entry_encode(&b, &entry, true);
        break;
    case 1:
        if (record_event_decode(&c, a, &event))
            record_event_encode(&b, &event);
        break;
    case 2:
        p = p ? p : packer_new();
        /* A length that promises more than anyone packs is refused; below, it is only room. */
        if (in.n >= 5 && (in.p[4] || in.p[3]))
            break;
        receipt_unpack(p, in, &b);
        break;
    default: {
        struct buf back = {0};
        p = p ? p : packer_new();
        receipt_pack(p, in, &b);
        if (!receipt_unpack(p, buf_span(&b), &back) || !span_eq(buf_span(&back), in))
            abort();
        buf_free(&back);
    }
    }
    buf_free(&b);
    arena_free(a);
    return 0;
}
