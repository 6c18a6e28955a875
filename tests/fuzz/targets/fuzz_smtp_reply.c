/* Replies of servers, and texts that would become replies of ours. */
#include <stdlib.h>

#include "smtp/reply.h"

/* Every line of it is one of a reply: the code, "-" or " ", printable text. */
static void said(struct span text, unsigned code)
{
    struct buf b = {0};
    reply_text_add(&b, text);
    struct span rest = buf_span(&b);
    for (size_t end; rest.n; rest = span_from(rest, end + 2)) {
        end = span_search(rest, SPAN("\r\n"));
        if (end == SIZE_MAX || end < 4 || (unsigned)strtoul(rest.p, NULL, 10) != code ||
            rest.p[3] != (end + 2 == rest.n ? ' ' : '-'))
            abort();
        for (size_t i = 0; i < end; i++)
            if (rest.p[i] < ' ' || rest.p[i] > '~')
                abort();
    }
    buf_free(&b);
}

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
    if (reply_valid(in, &code)) {
        if (code < 200 || code > 599)
            abort();
        said(in, code);
    }
    return 0;
}
