#include "record/db_private.h"

static void put_id(struct buf *b, const char *id)
{
    buf_lstr(b, span_str(id));
}

static const char *get_cstr(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.p ? arena_cstr(a, s) : "";
}

static struct span get_span(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.p ? arena_dup(a, s) : SPAN_NONE;
}

static void put_group(struct buf *b, const struct record_group *g)
{
    put_id(b, g->outcome);
    buf_lstr(b, g->policy);
    buf_lstr(b, g->reason);
    buf_lstr(b, g->detail);
    buf_lstr(b, g->reply);
    buf_u8(b, g->unscanned);
    buf_u32(b, (uint32_t)g->nrcpts);
    for (size_t i = 0; i < g->nrcpts; i++)
        buf_u32(b, g->rcpts[i]);
}

static void get_group(struct cursor *c, struct arena *a, struct record_group *g)
{
    g->outcome = get_cstr(c, a);
    g->policy = get_span(c, a);
    g->reason = get_span(c, a);
    g->detail = get_span(c, a);
    g->reply = get_span(c, a);
    g->unscanned = cursor_u8(c);
    size_t n = cursor_u32(c);
    if (n > c->rest.n / 4) {
        c->failed = true;
        return;
    }
    uint32_t *rcpts = arena_array(a, n, sizeof *rcpts);
    for (size_t i = 0; i < n; i++)
        rcpts[i] = cursor_u32(c);
    g->rcpts = rcpts;
    g->nrcpts = n;
}

void record_entry_encode(struct buf *b, const struct record_entry *x, bool with_receipt)
{
    put_id(b, x->id);
    buf_u64(b, (uint64_t)x->received);
    buf_u64(b, x->size);
    peer_encode(b, x->peer);
    envelope_encode(b, x->env);
    buf_f64(b, x->score);
    buf_f64(b, x->required);
    buf_lstr(b, x->virus);
    buf_lstr(b, x->subject);
    buf_lstr(b, x->header_from);
    buf_lstr(b, x->message_id);
    buf_lstr(b, with_receipt ? x->receipt : SPAN_NONE);
    buf_u64(b, x->micros);
    buf_u32(b, (uint32_t)x->ngroups);
    for (size_t i = 0; i < x->ngroups; i++)
        put_group(b, &x->groups[i]);
}

bool record_entry_decode(struct cursor *c, struct arena *a, struct record_entry *x)
{
    struct peer *peer = ARENA_NEW(a, struct peer);
    struct envelope *env = ARENA_NEW(a, struct envelope);
    x->id = get_cstr(c, a);
    x->received = (usec)cursor_u64(c);
    x->size = cursor_u64(c);
    peer_decode(c, a, peer);
    envelope_decode(c, a, env);
    x->peer = peer;
    x->env = env;
    x->score = cursor_f64(c);
    x->required = cursor_f64(c);
    x->virus = get_span(c, a);
    x->subject = get_span(c, a);
    x->header_from = get_span(c, a);
    x->message_id = get_span(c, a);
    x->receipt = get_span(c, a);
    x->micros = cursor_u64(c);
    size_t n = cursor_u32(c);
    if (n > c->rest.n)
        c->failed = true;
    struct record_group *groups = arena_array(a, c->failed ? 0 : n, sizeof *groups);
    for (size_t i = 0; i < n && !c->failed; i++)
        get_group(c, a, &groups[i]);
    x->groups = groups;
    x->ngroups = n;
    return !c->failed;
}

void record_event_encode(struct buf *b, const struct record_event *x)
{
    put_id(b, x->id);
    buf_u64(b, (uint64_t)x->when);
    buf_u8(b, (uint8_t)x->kind);
    buf_lstr(b, x->rcpt);
    buf_lstr(b, x->where);
    buf_lstr(b, x->text);
}

bool record_event_decode(struct cursor *c, struct arena *a, struct record_event *x)
{
    x->id = get_cstr(c, a);
    x->when = (usec)cursor_u64(c);
    uint8_t kind = cursor_u8(c);
    if (kind >= RECORD_KINDS)
        c->failed = true;
    x->kind = c->failed ? RECORD_DELIVERED : (enum record_kind)kind;
    x->rcpt = get_span(c, a);
    x->where = get_span(c, a);
    x->text = get_span(c, a);
    return !c->failed;
}
