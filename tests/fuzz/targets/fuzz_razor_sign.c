/* Any bytes as a message: Razor's signatures, within their limits; and the whole of it as reported.
 */
#include "digests/razor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct razor_signatures s;
    struct razor_server server = RAZOR_SERVER_DEFAULT;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct span raw = span_of((const char *)data, size);
    if (size)
        server.separator = (char)data[0];
    razor_sign(a, raw, &server, &s);
    if (s.n > RAZOR_SIGNATURES || s.parts > RAZOR_PARTS)
        __builtin_trap();
    razor_question(&b, &s, 0, s.n, &server);
    razor_whole(a, &b, raw);
    buf_free(&b);
    arena_free(a);
    return 0;
}
