#include "message/delivery.h"

enum { DELIVERY_KEEP = 1, DELIVERY_REDIRECT = 2, DELIVERY_SENDER = 4 };

static bool address_fine(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '<' || s.p[i] == '>')
            return false;
    return s.n <= DELIVERY_ADDRESS_MAX;
}

static struct span address_decode(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    if (!address_fine(s))
        c->failed = true;
    return c->failed || !s.p ? SPAN_NONE : arena_dup(a, s);
}

static void list_encode(struct buf *b, const struct span *v, size_t n)
{
    buf_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        buf_lstr(b, v[i]);
}

static struct span *list_decode(struct cursor *c, struct arena *a, size_t *n)
{
    *n = cursor_u32(c);
    if (*n > DELIVERY_ADDRESSES_MAX || *n > c->rest.n / 4) {
        c->failed = true;
        *n = 0;
    }
    struct span *v = arena_array(a, *n, sizeof *v);
    for (size_t i = 0; i < *n; i++) {
        v[i] = address_decode(c, a);
        if (v[i].n == 0)
            c->failed = true;
    }
    return v;
}

void delivery_encode(struct buf *b, const struct delivery *d)
{
    buf_u8(b, (uint8_t)((d->keep ? DELIVERY_KEEP : 0) | (d->redirect ? DELIVERY_REDIRECT : 0) |
                        (d->change_sender ? DELIVERY_SENDER : 0)));
    buf_lstr(b, d->sender);
    list_encode(b, d->add, d->nadd);
}

void delivery_decode(struct cursor *c, struct arena *a, struct delivery *d)
{
    uint8_t flags = cursor_u8(c);
    if (flags > (DELIVERY_KEEP | DELIVERY_REDIRECT | DELIVERY_SENDER))
        c->failed = true;
    d->keep = flags & DELIVERY_KEEP;
    d->redirect = flags & DELIVERY_REDIRECT;
    d->change_sender = flags & DELIVERY_SENDER;
    d->sender = address_decode(c, a);
    d->add = list_decode(c, a, &d->nadd);
}

void mails_encode(struct buf *b, const struct mails *m)
{
    buf_u32(b, (uint32_t)m->n);
    for (size_t i = 0; i < m->n; i++) {
        buf_lstr(b, m->v[i].from);
        list_encode(b, m->v[i].to, m->v[i].nto);
        buf_lstr(b, m->v[i].bytes);
    }
}

void mails_decode(struct cursor *c, struct arena *a, struct mails *m)
{
    m->n = cursor_u32(c);
    if (m->n > DELIVERY_MAILS_MAX) {
        c->failed = true;
        m->n = 0;
    }
    m->v = arena_array(a, m->n, sizeof *m->v);
    for (size_t i = 0; i < m->n; i++) {
        struct mail *x = &m->v[i];
        x->from = address_decode(c, a);
        x->to = list_decode(c, a, &x->nto);
        struct span bytes = cursor_lstr(c);
        x->bytes = bytes.p && !c->failed ? arena_dup(a, bytes) : SPAN_NONE;
        if (x->nto == 0)
            c->failed = true;
    }
}
