/* Frames between our processes: the other end may have been taken over. What decodes must encode to
 * something that decodes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "flow/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct buf *b, struct span in)
{
    if (!span_eq(buf_span(b), in))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct span in = span_of((const char *)data + 1, size - 1);
    struct buf b = {0};
    struct store_request store;
    struct scan_result result;
    struct scan_request request;
    struct rcpt_result rcpt;
    struct script_request question;
    struct script_result answer;
    switch (data[0] % 7) {
    case 0:
        if (store_request_decode(in, a, &store))
            store_request_encode(&b, &store);
        break;
    case 1:
        if (scan_result_decode(in, a, &result)) {
            scan_result_encode(&b, &result);
            if (!scan_result_decode(buf_span(&b), a, &result))
                abort();
        }
        break;
    case 2:
        if (scan_request_decode(in, a, &request))
            scan_request_encode(&b, &request);
        break;
    case 3:
        if (rcpt_result_decode(in, a, &rcpt)) {
            rcpt_result_encode(&b, &rcpt);
            same(&b, in);
        }
        break;
    case 4:
        if (script_request_decode(in, a, &question))
            script_request_encode(&b, &question);
        break;
    case 6:
        request = (struct scan_request){.env = {.nrcpts = 3}};
        if (scan_known_decode(in, a, &request)) {
            scan_known_encode(&b, &request);
            if (!scan_known_decode(buf_span(&b), a, &request))
                abort();
        }
        break;
    case 5:
        if (script_result_decode(in, a, &answer)) {
            script_result_encode(&b, &answer);
            if (!script_result_decode(buf_span(&b), a, &answer))
                abort();
        }
        break;
    }
    buf_free(&b);
    arena_free(a);
    return 0;
}
