/* What the files of header access share. Room-private. */
#ifndef GATEHOUSE_RULES_HEADER_PRIVATE_H
#define GATEHOUSE_RULES_HEADER_PRIVATE_H

#include "rules/eval_state.h"

enum header_kind {
    KIND_PLAIN,
    KIND_ALL,
    KIND_ALL_TRUSTED,
    KIND_ALL_INTERNAL,
    KIND_ALL_UNTRUSTED,
    KIND_ALL_EXTERNAL,
    KIND_ENVELOPE_FROM,
    KIND_RELAYS_TRUSTED,
    KIND_RELAYS_UNTRUSTED,
    KIND_RELAYS_INTERNAL,
    KIND_RELAYS_EXTERNAL,
    KIND_TOCC,
    KIND_MESSAGEID,
    KIND_METADATA /* a header of that name, else what was worked out */
};

struct values {
    struct span *v;
    size_t n, cap;
};

static inline void push(struct rules_ctx *c, struct values *out, struct span s)
{
    *ARENA_PUSH(c->a, out->v, out->n, out->cap) = s;
}

/* header_requests.c: the requests of a new state, and its number; those of the context, or its own.
 * The entry of a request, or of a place of the set's headers, which holds an answer when its state
 * is the one that asks. */
void header_requests_begin(const struct rules_ctx *c, struct eval_state *s);
struct header_entry *header_request(struct header_requests *h, const struct header_key *key);
struct header_entry *header_request_at(struct header_requests *h, const struct ruleset *rs,
                                       size_t i);

/* The values that a request names, before its modifiers (semantics 6.1, 6.2). */
void header_source(struct rules_ctx *c, const struct header_req *r, struct values *out);

#endif
