/* An SPF record, evaluated: whatever it says, it ends within the limits of RFC 7208. The first byte
 * says what the DNS answers to everything else. */
#include "auth/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct arena *a;
    struct span record;
    unsigned char mood;
    unsigned asked;
};

static void ask(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done, void *to)
{
    struct world *w = ctx;
    struct span rdata[1] = {SPAN("\1\2\3\4")};
    struct dns_answer a = {.status = DNS_OK, .rdata = rdata, .n = 1};
    if (name.n > 253 || ++w->asked > 500)
        __builtin_trap();
    if (type == DNS_TXT) {
        size_t n = w->record.n, at = 0, out = 0;
        char *p = arena_raw(w->a, n + n / 255 + 2);
        do {
            size_t part = n - at > 255 ? 255 : n - at;
            p[out++] = (char)part;
            if (part)
                memcpy(p + out, w->record.p + at, part);
            out += part;
            at += part;
        } while (at < n);
        rdata[0] = span_of(p, out);
    } else if (w->mood & 1) {
        a.status = DNS_NONE;
    } else if (w->mood & 2) {
        rdata[0] = span_sub(w->record, 0, w->mood >> 2);
    }
    done(to, &a);
}

static void finished(void *ctx)
{
    ++*(int *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new((size_t)256 << 20);
    struct world w = {a, span_of((const char *)data + 1, size - 1), data[0], 0};
    struct resolver r = {ask, &w};
    struct spf_fact out;
    struct spf_query q = {.domain = SPAN("d.example"),
                          .sender = SPAN("l.o-c@d.example"),
                          .helo = SPAN("h.example"),
                          .explain = true};
    int done = 0;
    q.ip.b[10] = q.ip.b[11] = data[0] & 128 ? 0xff : 0;
    spf_check(&q, &r, a, &out, finished, &done);
    if (done != 1 || out.result == SPF_NOT_RUN)
        __builtin_trap();
    arena_free(a);
    return 0;
}
