#include "message/said.h"

/* The smallest encodings, so that a count can be checked against the bytes that are left. */
enum { ACTION_MIN = 1 + 4 * 4 + 4 + 4 + 4, SAYING_MIN = 1 + 4, ADDRESS_MIN = 4 };

const char *script_call_name(enum script_call call)
{
    switch (call) {
    case CALL_RELAY:
        return "relay";
    case CALL_HELO:
        return "helo";
    case CALL_SENDER:
        return "sender";
    case CALL_RECIPIENT:
        return "recipient";
    default:
        return "map";
    }
}

void saying_add(struct saying *to, struct arena *a, const struct saying *more)
{
    struct policy_actions *list = &to->actions;
    to->touch_signed |= more->touch_signed;
    if (more->actions.n == 0)
        return;
    bool decides = saying_decides(more);
    size_t n = 0;
    struct policy_action *v = arena_array(a, list->n + more->actions.n, sizeof *v);
    for (size_t i = 0; i < list->n; i++)
        if (!decides || list->v[i].kind > ACTION_DISCARD)
            v[n++] = list->v[i];
    for (size_t i = 0; i < more->actions.n; i++)
        v[n++] = more->actions.v[i];
    *list = (struct policy_actions){v, n};
}

const struct policy_action *saying_decides(const struct saying *s)
{
    for (size_t i = 0; i < s->actions.n; i++)
        if (s->actions.v[i].kind <= ACTION_DISCARD)
            return &s->actions.v[i];
    return NULL;
}

void said_recipient(struct said *s, struct arena *a, size_t rcpt, const struct saying *what)
{
    if (saying_empty(what))
        return;
    while (s->neach <= rcpt)
        *ARENA_PUSH(a, s->each, s->neach, s->cap) = (struct saying){0};
    s->each[rcpt] = *what;
}

/* ---- wire form ---- */

static void text_encode(struct buf *b, const char *s)
{
    buf_lstr(b, s ? span_str(s) : SPAN_NONE);
}

static const char *text_decode(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    if (s.n > SAID_TEXT_MAX || (s.n && memchr(s.p, '\0', s.n)))
        c->failed = true;
    return s.p && !c->failed ? arena_cstr(a, s) : NULL;
}

static void action_encode(struct buf *b, const struct policy_action *x)
{
    buf_u8(b, (uint8_t)x->kind);
    text_encode(b, x->text);
    text_encode(b, x->name);
    text_encode(b, x->html);
    text_encode(b, x->subject);
    buf_u32(b, x->nth);
    buf_u32(b, x->part);
    buf_u32(b, (uint32_t)x->to.n);
    for (size_t i = 0; i < x->to.n; i++)
        text_encode(b, x->to.v[i]);
}

/* An action that lacks what it needs would be used without. */
static bool complete(const struct policy_action *x)
{
    switch (x->kind) {
    case ACTION_HOLD:
    case ACTION_REJECT:
    case ACTION_DEFER:
    case ACTION_SUBJECT_PREFIX:
    case ACTION_REPLACE_PART:
    case ACTION_LINK_PART:
    case ACTION_RENAME_PART:
    case ACTION_QUARANTINE_PART:
    case ACTION_ADD_DISCLAIMER:
    case ACTION_CHANGE_SENDER:
        return x->text;
    case ACTION_ADD_HEADER:
    case ACTION_CHANGE_HEADER:
        return x->name && x->text;
    case ACTION_DELETE_HEADER:
        return x->name;
    case ACTION_ADD_RECIPIENT:
    case ACTION_REDIRECT:
    case ACTION_NOTIFY:
    case ACTION_COPY:
        return x->to.n > 0;
    default:
        return true;
    }
}

static void action_decode(struct cursor *c, struct arena *a, struct policy_action *x)
{
    uint8_t kind = cursor_u8(c);
    *x = (struct policy_action){.kind = kind < ACTION_KINDS ? (enum action_kind)kind : ACTION_KEEP};
    x->text = text_decode(c, a);
    x->name = text_decode(c, a);
    x->html = text_decode(c, a);
    x->subject = text_decode(c, a);
    x->nth = cursor_u32(c);
    x->part = cursor_u32(c);
    size_t n = cursor_u32(c);
    if (kind >= ACTION_KINDS || n > SAID_ADDRESSES_MAX || n > c->rest.n / ADDRESS_MIN)
        c->failed = true;
    if (c->failed)
        return;
    const char **to = arena_array(a, n, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        to[i] = text_decode(c, a);
        c->failed |= !to[i];
    }
    x->to = (struct strings){to, n};
    c->failed |= !complete(x);
}

void saying_encode(struct buf *b, const struct saying *s)
{
    buf_u8(b, s->touch_signed);
    buf_u32(b, (uint32_t)s->actions.n);
    for (size_t i = 0; i < s->actions.n; i++)
        action_encode(b, &s->actions.v[i]);
}

void saying_decode(struct cursor *c, struct arena *a, struct saying *s)
{
    *s = (struct saying){.touch_signed = cursor_u8(c) != 0};
    size_t n = cursor_u32(c);
    if (n > SAID_ACTIONS_MAX || n > c->rest.n / ACTION_MIN)
        c->failed = true;
    if (c->failed || n == 0)
        return;
    struct policy_action *v = arena_array(a, n, sizeof *v);
    for (size_t i = 0; i < n && !c->failed; i++)
        action_decode(c, a, &v[i]);
    if (!c->failed)
        s->actions = (struct policy_actions){v, n};
}

void said_encode(struct buf *b, const struct said *s)
{
    buf_u8(b, (uint8_t)s->asked);
    saying_encode(b, &s->all);
    buf_u32(b, (uint32_t)s->neach);
    for (size_t i = 0; i < s->neach; i++)
        saying_encode(b, &s->each[i]);
}

void said_decode(struct cursor *c, struct arena *a, struct said *s)
{
    *s = (struct said){.asked = cursor_u8(c)};
    c->failed |= (s->asked & ~(unsigned)CALLS_AT_STAGES) != 0;
    saying_decode(c, a, &s->all);
    size_t n = cursor_u32(c);
    if (n > c->rest.n / SAYING_MIN)
        c->failed = true;
    if (c->failed || n == 0)
        return;
    s->each = arena_array(a, n, sizeof *s->each);
    s->neach = s->cap = n;
    for (size_t i = 0; i < n && !c->failed; i++)
        saying_decode(c, a, &s->each[i]);
}
