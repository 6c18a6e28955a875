/* Signatures of a message with a key record of the other side's: up to the first NUL the record,
 * then the message. Whatever comes in: one answer, no signature that verifies without a key, and
 * every result of ours is one of the table. Bodies are hashed with and without their limits. */
#include "../../unit/auth/mailcheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span record;

static void answer(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                   void *done_ctx)
{
    (void)ctx, (void)name, (void)type;
    struct dns_answer a = {.status = record.n ? DNS_OK : DNS_NONE, .rdata = &record, .n = 1};
    if (record.n == 0)
        a.n = 0;
    done(done_ctx, &a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mailcheck c;
    struct span in = span_of((const char *)data, size);
    size_t nul = span_find(in, '\0');
    if (!c.dkim)
        mailcheck_open(&c);
    c.zone.resolver.ask = answer;
    record = span_sub(in, 0, nul == SIZE_MAX ? 0 : nul);
    const struct auth_facts *f =
        mailcheck(&c, nul == SIZE_MAX ? in : span_from(in, nul + 1), 1528637910);
    if (c.done != 1)
        __builtin_trap();
    for (size_t i = 0; i < f->ndkim; i++) {
        if ((f->dkim[i].verified && f->dkim[i].bits == 0) ||
            (f->dkim[i].result == DKIM_PASS && !f->dkim[i].verified))
            __builtin_trap();
        dkim_result_name(f->dkim[i].result);
    }
    return 0;
}
