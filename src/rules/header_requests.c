/* Header requests by their text. They stand in rule files and in our code, so that any hash will
 * do. */
#include "rules/header_private.h"
#include "rules/ruleset_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

/* Rules of preferences may bring requests of their own: then it begins anew now and then. */
enum { FIRST = 512, REQUESTS_MAX = 4096 };

struct header_requests {
    struct arena *arena;
    struct header_entry **slots;
    size_t n, nslots;                  /* nslots: a power of 2 */
    uint64_t states;                   /* handed out */
    const struct header_place *places; /* of a ruleset, with their entries; NULL: none yet */
    struct header_entry **of_place;
    bool brief; /* lives as long as one message */
};

static void clear(struct header_requests *h)
{
    h->n = 0;
    h->places = NULL;
    h->nslots = FIRST;
    h->slots = arena_array(h->arena, h->nslots, sizeof(*h->slots));
}

struct header_requests *header_requests_new(void)
{
    struct header_requests *h = xcalloc(1, sizeof *h);
    h->arena = arena_new(0);
    clear(h);
    return h;
}

void header_requests_free(struct header_requests *h)
{
    if (!h)
        return;
    arena_free(h->arena);
    free(h->of_place);
    free(h);
}

/* No entry is in anybody's hands now. */
void header_requests_begin(const struct rules_ctx *c, struct eval_state *s)
{
    s->headers = c->headers;
    if (!s->headers) {
        s->headers = ARENA_NEW(c->a, struct header_requests);
        s->headers->arena = c->a;
        s->headers->brief = true;
        clear(s->headers);
    } else if (s->headers->n > REQUESTS_MAX) {
        arena_reset(s->headers->arena);
        clear(s->headers);
    }
    s->id = ++s->headers->states;
}

static bool is_of(const struct header_entry *e, const struct header_key *key)
{
    return e->head == key->head && e->tail == key->tail && e->length == key->text.n &&
           (key->text.n <= sizeof key->head + sizeof key->tail ||
            span_eq(e->req.key.text, key->text));
}

/* The slot of a request, empty when it is new. */
static struct header_entry **slot_of(const struct header_requests *h, const struct header_key *key)
{
    size_t i = key->hash & (h->nslots - 1);
    while (h->slots[i] && !is_of(h->slots[i], key))
        i = (i + 1) & (h->nslots - 1);
    return &h->slots[i];
}

static void grow(struct header_requests *h)
{
    const struct header_requests old = *h;
    h->nslots = old.nslots * 2;
    h->slots = arena_array(h->arena, h->nslots, sizeof(*h->slots));
    for (size_t i = 0; i < old.nslots; i++)
        if (old.slots[i])
            *slot_of(h, &old.slots[i]->req.key) = old.slots[i];
}

static struct header_entry *entry_new(struct header_requests *h, struct span text)
{
    struct header_entry *e = ARENA_NEW(h->arena, struct header_entry);
    struct header_req *r = &e->req;
    header_req_parse(h->arena, text, r);
    e->head = r->key.head;
    e->tail = r->key.tail;
    e->length = (uint32_t)text.n;
    e->plain = r->kind == KIND_PLAIN;
    e->hidden = header_hidden(r->name);
    e->name_bit = mime_name_bit(r->name);
    e->first = r->addr || r->display_name || r->host || r->domain || r->ip ||
               span_eq(text, SPAN("EnvelopeFrom"));
    return e;
}

struct header_entry *header_request(struct header_requests *h, const struct header_key *key)
{
    struct header_entry **slot = slot_of(h, key);
    if (*slot)
        return *slot;
    if (2 * h->n >= h->nslots) {
        grow(h);
        slot = slot_of(h, key);
    }
    h->n++;
    return *slot = entry_new(h, key->text);
}

struct header_entry *header_request_at(struct header_requests *h, const struct ruleset *rs,
                                       size_t i)
{
    if (h->brief)
        return header_request(h, &rs->subjects[rs->headers[i].subject].req.key);
    if (h->places != rs->headers) {
        free(h->of_place);
        h->of_place = xcalloc(rs->nheaders + 1, sizeof(*h->of_place));
        for (size_t k = 0; k < rs->nheaders; k++)
            h->of_place[k] = header_request(h, &rs->subjects[rs->headers[k].subject].req.key);
        h->places = rs->headers;
    }
    return h->of_place[i];
}
