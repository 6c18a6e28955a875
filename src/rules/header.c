/* Header access of rules and evals: NAME:modifiers to values (semantics 6.1, 6.2). */
#include "rules/header_private.h"

#include <stdlib.h>

#define KIND(name, kind, exact)                                                                    \
    {                                                                                              \
        name, sizeof name - 1, kind, exact                                                         \
    }
static const struct {
    const char *name;
    size_t n;
    enum header_kind kind;
    bool exact_case;
} kinds[] = {
    KIND("ALL", KIND_ALL, true),
    KIND("ALL-TRUSTED", KIND_ALL_TRUSTED, true),
    KIND("ALL-INTERNAL", KIND_ALL_INTERNAL, true),
    KIND("ALL-UNTRUSTED", KIND_ALL_UNTRUSTED, true),
    KIND("ALL-EXTERNAL", KIND_ALL_EXTERNAL, true),
    KIND("EnvelopeFrom", KIND_ENVELOPE_FROM, false),
    KIND("X-Spam-Relays-Trusted", KIND_RELAYS_TRUSTED, false),
    KIND("X-Spam-Relays-Untrusted", KIND_RELAYS_UNTRUSTED, false),
    KIND("X-Spam-Relays-Internal", KIND_RELAYS_INTERNAL, false),
    KIND("X-Spam-Relays-External", KIND_RELAYS_EXTERNAL, false),
    KIND("ToCc", KIND_TOCC, false),
    KIND("X-SenderDomain", KIND_METADATA, false),
    KIND("X-AuthorDomain", KIND_METADATA, false),
    KIND("X-Languages", KIND_METADATA, false),
    KIND("X-Relay-Countries", KIND_METADATA, false),
    KIND("X-Relay-Countries-External", KIND_METADATA, false),
    KIND("X-Relay-Countries-Auth", KIND_METADATA, false),
    KIND("X-Relay-Countries-All", KIND_METADATA, false),
    KIND("X-ASN", KIND_METADATA, false),
    KIND("X-Spam-Virus", KIND_METADATA, false),
    KIND("MESSAGEID", KIND_MESSAGEID, true),
};
#undef KIND

struct eval_state *eval_state(struct rules_ctx *c)
{
    if (!c->eval_state) {
        struct eval_state *s = ARENA_NEW(c->a, struct eval_state);
        header_requests_begin(c, s);
        c->eval_state = s;
    }
    return c->eval_state;
}

void eval_state_without_lists(struct rules_ctx *c)
{
    struct eval_state *s = ARENA_NEW(c->a, struct eval_state);
    *s = *eval_state(c);
    s->fromname = NULL;
    s->freemails = NULL;
    c->eval_state = s;
}

bool header_hidden(struct span name)
{
    return name.n > 0 && ascii_lower(name.p[0]) == 'x' && span_istarts(name, SPAN("X-Spam-"));
}

static bool modifier(struct header_req *r, struct span m)
{
    static const struct {
        const char *name;
        size_t at, and;
    } table[] = {
        {"raw", offsetof(struct header_req, raw), 0},
        {"addr", offsetof(struct header_req, addr), 0},
        {"name", offsetof(struct header_req, display_name), 0},
        {"host", offsetof(struct header_req, host), 0},
        {"domain", offsetof(struct header_req, domain), offsetof(struct header_req, host)},
        {"ip", offsetof(struct header_req, ip), 0},
        {"revip", offsetof(struct header_req, revip), offsetof(struct header_req, ip)},
        {"first", offsetof(struct header_req, first), 0},
        {"last", offsetof(struct header_req, last), 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!span_eq(m, span_str(table[i].name)))
            continue;
        *(bool *)((char *)r + table[i].at) = true;
        if (table[i].and)
            *(bool *)((char *)r + table[i].and) = true;
        return true;
    }
    return false;
}

bool header_req_parse(struct arena *a, struct span text, struct header_req *out)
{
    memset(out, 0, sizeof *out);
    text = arena_dup(a, text);
    out->key = header_key(text);
    bool known = true;
    size_t colon = span_find(text, ':');
    out->name = span_sub(text, 0, colon);
    while (colon != SIZE_MAX) {
        struct span rest = span_from(text, colon + 1);
        size_t next = span_find(rest, ':');
        struct span word = span_sub(rest, 0, next);
        if (word.n > 0 && !modifier(out, word))
            known = false;
        colon = next == SIZE_MAX ? SIZE_MAX : colon + 1 + next;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct span name = {kinds[i].name, kinds[i].n};
        if (kinds[i].n == out->name.n &&
            (kinds[i].exact_case ? span_eq(name, out->name) : span_ieq(name, out->name)))
            out->kind = (uint8_t)kinds[i].kind;
    }
    return known;
}

/* --- modifiers --- */

static struct span squeezed(struct rules_ctx *c, struct span s)
{
    char *p = arena_raw(c->a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isspace(s.p[i]))
            p[n++] = s.p[i];
        else if (n > 0 && p[n - 1] != ' ')
            p[n++] = ' ';
    }
    if (n > 0 && p[n - 1] == ' ')
        n--;
    return span_of(p, n);
}

static struct span display_name(struct rules_ctx *c, struct span phrase, bool raw)
{
    if (raw)
        return phrase;
    struct span s = mime_decode_text(c->a, phrase);
    if (span_trim(s).n == 0)
        return s;
    s = squeezed(c, s);
    return s.n >= 2 && s.p[0] == '\'' && s.p[s.n - 1] == '\'' ? span_sub(s, 1, s.n - 1) : s;
}

/* From:addr and From:name read the same field. */
static struct mime_addresses parsed(struct rules_ctx *c, struct span value)
{
    struct eval_state *s = eval_state(c);
    for (size_t i = 0; i < s->naddresses; i++)
        if (s->addresses[i].value.p == value.p && s->addresses[i].value.n == value.n)
            return s->addresses[i].list;
    struct mime_addresses list = mime_addresses_parse(c->a, value);
    if (s->naddresses < HEADER_ADDRESSES)
        s->addresses[s->naddresses++] = (struct header_addresses){value, list};
    return list;
}

static struct values addresses(struct rules_ctx *c, const struct header_req *r,
                               const struct values *in)
{
    struct values out = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct mime_addresses list = parsed(c, in->v[i]);
        for (size_t k = 0; k < list.n; k++) {
            if (r->addr && list.v[k].addr.p)
                push(c, &out, list.v[k].addr);
            else if (!r->addr && list.v[k].name.p)
                push(c, &out, display_name(c, list.v[k].name, r->raw));
        }
    }
    return out;
}

static struct values hosts(struct rules_ctx *c, const struct header_req *r, const struct values *in)
{
    struct values out = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct span s =
            r->host ? header_host_of(c, in->v[i], r->addr) : header_ip_of(c, in->v[i], r->revip);
        if (s.n && r->domain)
            s = ctx_registered_domain(c, s);
        if (s.p)
            push(c, &out, s);
    }
    return out;
}

static struct values answer(struct rules_ctx *c, const struct header_req *r)
{
    struct values v = {0};
    header_source(c, r, &v);
    bool whole = r->kind >= KIND_ALL && r->kind <= KIND_ALL_EXTERNAL;
    if (!whole && v.n > 0) {
        if (r->first || r->last)
            v = (struct values){&v.v[r->first ? 0 : v.n - 1], 1, 1};
        if (r->addr || r->display_name)
            v = addresses(c, r, &v);
        if (r->host || r->domain || r->ip)
            v = hosts(c, r, &v);
    }
    return v;
}

/* What an earlier message found is overwritten when the answer stands: until then memory may run
 * out, which leaves from here. */
static struct header_entry *answered(struct rules_ctx *c, struct header_entry *e, uint64_t state)
{
    if (e->state == state)
        return e;
    struct values v = {0};
    if (!e->plain || (!e->hidden && mime_may_have(&c->mime->root->fields, e->name_bit)))
        v = answer(c, &e->req);
    e->values = v.v;
    e->n = v.n;
    e->has_joined = e->has_lines = false;
    e->state = state;
    return e;
}

static struct header_entry *look_up(struct rules_ctx *c, const struct header_key *key)
{
    struct eval_state *s = eval_state(c);
    return answered(c, header_request(s->headers, key), s->id);
}

/* --- access --- */

static struct span join(struct rules_ctx *c, const struct header_entry *e, bool lines)
{
    if (e->n == 1)
        return e->values[0];
    size_t size = 0;
    for (size_t i = 0; i < e->n; i++)
        size += e->values[i].n + 1;
    char *p = arena_raw(c->a, size + 1);
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        if (i > 0 && lines)
            p[n++] = '\n';
        memcpy(p + n, e->values[i].p ? e->values[i].p : "", e->values[i].n);
        n += e->values[i].n;
    }
    return span_of(p, n);
}

static struct span joined(struct rules_ctx *c, struct header_entry *e)
{
    if (!e->has_joined)
        e->joined = join(c, e, false);
    e->has_joined = true;
    return e->joined;
}

static bool get(struct rules_ctx *c, struct header_entry *e, struct span *out)
{
    if (e->n == 0) {
        *out = SPAN_NONE;
        return false;
    }
    if (!e->has_lines) {
        struct span first = e->values[0];
        bool ends = first.n && first.p[first.n - 1] == '\n';
        e->lines = ends ? joined(c, e) : join(c, e, true);
        e->has_lines = true;
    }
    *out = e->lines;
    return true;
}

bool header_get(struct rules_ctx *c, const struct header_req *r, struct span *out)
{
    return get(c, look_up(c, &r->key), out);
}

bool header_get_at(struct rules_ctx *c, size_t i, struct span *out)
{
    struct eval_state *s = eval_state(c);
    return get(c, answered(c, header_request_at(s->headers, c->set, i), s->id), out);
}

struct span *header_values(struct rules_ctx *c, const struct header_req *r, size_t *n)
{
    struct header_entry *e = look_up(c, &r->key);
    *n = e->n;
    return e->values;
}

struct span *header_list_of(struct rules_ctx *c, struct header_key request, size_t *n)
{
    struct header_entry *e = look_up(c, &request);
    *n = e->n;
    return e->values;
}

struct span header_scalar_or_none_of(struct rules_ctx *c, struct header_key request)
{
    struct header_entry *e = look_up(c, &request);
    if (e->n == 0)
        return SPAN_NONE;
    struct span s = e->first ? e->values[0] : joined(c, e);
    if (e->first && s.n && s.p[s.n - 1] == '\n')
        s.n--;
    return s;
}

struct span header_scalar_of(struct rules_ctx *c, struct header_key request)
{
    struct span s = header_scalar_or_none_of(c, request);
    return s.p ? s : SPAN("");
}
