/* How the machines of this room ask the DNS: through two words of whoever runs them. The scanner
 * plugs in dns_ask with the message's budget; tests and fuzzers answer from a table.
 *
 * Contract: every ask ends in exactly one call of done, either from inside ask or later from the
 * loop, at the latest when the question's time is over (then as DNS_TEMPFAIL). There is no way to
 * take a question back: machines stay in memory (the message's arena) until all their answers have
 * come. Names are given without the final dot, at most 253 bytes; labels may hold any byte but '.'
 * and NUL (what is no name is answered DNS_NONE by the machines themselves, never asked). rdata is
 * the other side's bytes: any length, any content. */
#ifndef GATEHOUSE_AUTH_RESOLVER_H
#define GATEHOUSE_AUTH_RESOLVER_H

#include "dns/dns.h"

struct resolver {
    void (*ask)(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                void *done_ctx);
    void *ctx;
};

static inline void resolver_ask(const struct resolver *r, struct span name, enum dns_type type,
                                dns_answer_fn *done, void *done_ctx)
{
    r->ask(r->ctx, name, type, done, done_ctx);
}

#endif
