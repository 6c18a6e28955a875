/* One message under judgement: what rules and eval functions see. Room-private.
 *
 * mime, text and relays are made before the first rule runs; nothing else is shared between rules
 * but the hits and the tags. */
#ifndef GATEHOUSE_RULES_CONTEXT_H
#define GATEHOUSE_RULES_CONTEXT_H

#include "message/message.h"
#include "mime/mime.h"
#include "relays/relays.h"
#include "rules/conf.h"
#include "text/text.h"

struct rules_ctx {
    const struct ruleset *set;
    const struct conf *conf;           /* everything the rule files said: lists, tables, networks */
    struct rules_scratch *scratch;     /* NULL until it is judged */
    struct template_memory *templates; /* of Received fields; NULL: none */
    struct header_requests *headers;   /* read already, of earlier messages; NULL: none */
    struct message *m;
    struct arena *a;
    struct mime *mime;
    struct text *text;
    struct relays *relays;
    bool fetched_all; /* some rule has asked for ALL (semantics 8.2, truncated_header) */
    struct net *net;  /* of rules/net.h; NULL: no network rules */
    void *eval_state; /* of rules/eval.h: what evals computed once, e.g. the MIME scan */
};

/* --- header access (semantics 6.1 to 6.3), in rules/header.c --- */

/* Requests that were made before, with what they found in the message that asked last: it is taken
 * for nobody else. Reading a request again and again costs more than its answer. */
struct header_requests;
struct header_requests *header_requests_new(void);
void header_requests_free(struct header_requests *h);

/* What a request is looked for by: its length, its first and its last eight bytes, and the rest
 * where there is more. Of constants, compilers know all that. */
struct header_key {
    struct span text;
    uint64_t head, tail, hash;
};
static inline struct header_key header_key(struct span text)
{
    struct header_key k = {.text = text};
    if (text.n >= sizeof k.head) {
        memcpy(&k.head, text.p, sizeof k.head);
        memcpy(&k.tail, text.p + text.n - sizeof k.tail, sizeof k.tail);
    } else {
        for (size_t i = 0; i < text.n; i++)
            k.head = k.head << 8 | (unsigned char)text.p[i];
    }
    k.hash = (k.head ^ text.n) * 0x9e3779b97f4a7c15u ^ k.tail * 0xc2b2ae3d27d4eb4fu;
    k.hash ^= k.hash >> 29 ^ k.hash >> 47;
    return k;
}

/* A header request, parsed once at load: NAME plus modifiers. */
struct header_req {
    struct header_key key; /* the request as written; what is found is kept under it */
    struct span name;
    bool raw, addr, display_name, host, domain, ip, revip, first, last;
    uint8_t kind; /* of enum header_kind in header.c: plain, ALL, EnvelopeFrom, ToCc, ... */
};
/* "From:addr", "Subject:raw", "ALL-EXTERNAL". false when a modifier is unknown. */
bool header_req_parse(struct arena *a, struct span text, struct header_req *out);

/* The string a header rule matches: all values together; false when the header is absent. */
bool header_get(struct rules_ctx *c, const struct header_req *r, struct span *out);
/* The same of the i-th place of the ruleset's headers. */
bool header_get_at(struct rules_ctx *c, size_t i, struct span *out);
/* All values, one per instance or address. */
struct span *header_values(struct rules_ctx *c, const struct header_req *r, size_t *n);
/* What evals use: the first value only for :addr :name :host :domain :ip and EnvelopeFrom,
 * otherwise the whole string. Empty when absent. request is "From:addr" and is parsed on the fly.
 */
struct span header_scalar_of(struct rules_ctx *c, struct header_key request);
static inline struct span header_scalar(struct rules_ctx *c, const char *request)
{
    return header_scalar_of(c, header_key(span_str(request))); /* here, where the text is known */
}

/* The all-from set and the all-to list (semantics 6.3); computed once. */
struct span *header_all_from(struct rules_ctx *c, size_t *n);
struct span *header_all_to(struct rules_ctx *c, size_t *n);

/* Registered domain by the tables of the rule files. */
struct span ctx_registered_domain(struct rules_ctx *c, struct span host);

#endif
