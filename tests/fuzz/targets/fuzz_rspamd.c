/* Header fields of rspamd's clients: "Name: value" lines; then a reply made of what came out of
 * them, which must be JSON whatever they held. */
#include <jansson.h>
#include <stdlib.h>

#include "rspamd/reply.h"
#include "rspamd/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct rspamd_request r = {0};
    struct span rest = span_of((const char *)data, size), line;
    while (span_line(&rest, &line)) {
        size_t colon = span_find(line, ':');
        struct span name = span_sub(line, 0, colon);
        rspamd_field(&r, a, name, span_from(line, name.n + (colon != SIZE_MAX)));
        rspamd_command(name);
    }
    struct rspamd_header headers[2] = {{r.helo, r.from, 0}, {r.hostname, SPAN_NONE, 1}};
    struct rspamd_symbol symbol = {r.queue_id, r.user, r.deliver_to, 1.0};
    const struct rspamd_reply reply = {.action = "no action",
                                       .subject = r.from,
                                       .symbols = &symbol,
                                       .nsymbols = 1,
                                       .headers = headers,
                                       .nheaders = 2};
    struct buf b = {0};
    rspamd_reply(&b, &reply);
    json_t *o = json_loadb(b.p, b.n, JSON_ALLOW_NUL, NULL);
    if (!o || r.nrcpts > RSPAMD_RCPTS_MAX)
        abort();
    json_decref(o);
    buf_free(&b);
    arena_free(a);
    return 0;
}
