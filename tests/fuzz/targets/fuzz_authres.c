/* Authentication-Results of others; and what we write about a stranger's words is read as one
 * result. */
#include "auth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of((const char *)data, size);
    struct message *m = message_new(0);
    struct authres r;
    authres_parse(m->arena, in, &r);
    m->facts.auth.ran = true;
    m->facts.auth.mailfrom = (struct spf_fact){.result = SPF_FAIL, .sender = in};
    m->facts.auth.dmarc = (struct dmarc_fact){.result = DMARC_FAIL, .domain = in};
    struct buf b = {0};
    authres_write(&b, "gate.example", m);
    struct span ours = buf_span(&b);
    if (!authres_parse(m->arena, span_from(ours, span_find(ours, ':') + 1), &r) || r.n != 3 ||
        !span_eq(r.v[0].result, SPAN("fail")) || !span_eq(r.v[2].method, SPAN("dmarc")))
        __builtin_trap();
    buf_free(&b);
    message_free(m);
    return 0;
}
