/* Replies of servers, and texts that would become replies of ours. */
#include <stdlib.h>

#include "smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of((const char *)data, size);
    struct smtp_reply r;
    size_t used = 0;
    unsigned code;
    if (reply_parse(in, &used, &r) == REPLY_DONE) {
        if (used == 0 || used > in.n || r.code < 200 || r.code > 599)
            abort();
        struct buf flat = {0};
        reply_flatten(&r, 300, &flat);
        if (flat.n > 300)
            abort();
        for (size_t i = 0; i < flat.n; i++)
            if ((unsigned char)flat.p[i] < ' ')
                abort();
        buf_free(&flat);
    }
    if (reply_valid(in, &code) && (code < 200 || code > 599 || span_find(in, '\n') != SIZE_MAX))
        abort();
    return 0;
}
