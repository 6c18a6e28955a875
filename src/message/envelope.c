#include "message/envelope.h"

/* First byte of the wire form; the queue journal outlives a version of the program. */
enum { ENVELOPE_WIRE = 1, PEER_WIRE = 1 };
enum { PEER_HAS_IP = 1, PEER_BEHIND_MTA = 2, PEER_STAMPED = 4, PEER_MAY_RELAY = 8 };
enum { RCPT_MIN_WIRE = 4 + 4 + 1 };
enum { FLAG_SMTPUTF8 = 1, FLAG_8BIT = 2, FLAG_REQUIRE_TLS = 4, FLAGS_KNOWN = 7 };

void envelope_encode(struct buf *b, const struct envelope *env)
{
    buf_u8(b, ENVELOPE_WIRE);
    buf_lstr(b, env->from);
    buf_lstr(b, env->envid);
    buf_u8(b, (uint8_t)env->ret);
    buf_u8(b, (uint8_t)((env->smtputf8 ? FLAG_SMTPUTF8 : 0) | (env->body_8bit ? FLAG_8BIT : 0) |
                        (env->require_tls ? FLAG_REQUIRE_TLS : 0)));
    buf_u32(b, (uint32_t)env->nrcpts);
    for (size_t i = 0; i < env->nrcpts; i++) {
        buf_lstr(b, env->rcpts[i].addr);
        buf_lstr(b, env->rcpts[i].orcpt);
        buf_u8(b, env->rcpts[i].notify);
    }
}

static struct span copied(struct cursor *c, struct arena *a)
{
    struct span s = cursor_lstr(c);
    return s.p ? arena_dup(a, s) : SPAN_NONE;
}

static void decode_rcpts(struct cursor *c, struct arena *a, struct envelope *env)
{
    uint32_t n = cursor_u32(c);
    if (c->failed || n > c->rest.n / RCPT_MIN_WIRE) {
        c->failed = true;
        return;
    }
    env->rcpts = arena_array(a, n, sizeof *env->rcpts);
    env->cap = n;
    for (; env->nrcpts < n && !c->failed; env->nrcpts++) {
        struct rcpt *r = &env->rcpts[env->nrcpts];
        r->addr = copied(c, a);
        r->orcpt = copied(c, a);
        r->notify = cursor_u8(c);
        if (r->notify > (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY))
            c->failed = true;
    }
}

void envelope_decode(struct cursor *c, struct arena *a, struct envelope *env)
{
    *env = (struct envelope){0};
    if (cursor_u8(c) != ENVELOPE_WIRE)
        c->failed = true;
    env->from = copied(c, a);
    env->envid = copied(c, a);
    uint8_t ret = cursor_u8(c), flags = cursor_u8(c);
    if (ret > RET_HDRS || flags > FLAGS_KNOWN)
        c->failed = true;
    env->ret = (enum dsn_ret)ret;
    env->smtputf8 = flags & FLAG_SMTPUTF8;
    env->body_8bit = flags & FLAG_8BIT;
    env->require_tls = flags & FLAG_REQUIRE_TLS;
    decode_rcpts(c, a, env);
    if (c->failed)
        *env = (struct envelope){0};
}

void peer_encode(struct buf *b, const struct peer *p)
{
    buf_u8(b, PEER_WIRE);
    buf_u8(b, (uint8_t)((p->has_ip ? PEER_HAS_IP : 0) | (p->behind_mta ? PEER_BEHIND_MTA : 0) |
                        (p->stamped ? PEER_STAMPED : 0) | (p->may_relay ? PEER_MAY_RELAY : 0)));
    buf_add(b, span_of((const char *)p->ip.b, sizeof p->ip.b));
    buf_u32(b, p->port);
    const struct span texts[] = {p->name,        p->helo,       p->listener, p->protocol,
                                 p->tls_version, p->tls_cipher, p->auth_user};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        buf_lstr(b, texts[i]);
}

void peer_decode(struct cursor *c, struct arena *a, struct peer *p)
{
    *p = (struct peer){0};
    if (cursor_u8(c) != PEER_WIRE)
        c->failed = true;
    uint8_t flags = cursor_u8(c);
    struct span ip = cursor_bytes(c, sizeof p->ip.b);
    uint32_t port = cursor_u32(c);
    if (flags > (PEER_HAS_IP | PEER_BEHIND_MTA | PEER_STAMPED | PEER_MAY_RELAY) ||
        port > UINT16_MAX)
        c->failed = true;
    struct span *texts[] = {&p->name,        &p->helo,       &p->listener, &p->protocol,
                            &p->tls_version, &p->tls_cipher, &p->auth_user};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = copied(c, a);
    if (c->failed) {
        *p = (struct peer){0};
        return;
    }
    p->has_ip = flags & PEER_HAS_IP;
    p->behind_mta = flags & PEER_BEHIND_MTA;
    p->stamped = flags & PEER_STAMPED;
    p->may_relay = flags & PEER_MAY_RELAY;
    memcpy(p->ip.b, ip.p, ip.n);
    p->port = (uint16_t)port;
}

struct span addr_domain(struct arena *a, struct span addr)
{
    size_t at = span_rfind(addr, '@');
    return at == SIZE_MAX ? SPAN("") : arena_lower(a, span_from(addr, at + 1));
}

struct span addr_local(struct span addr)
{
    size_t at = span_rfind(addr, '@');
    return at == SIZE_MAX ? addr : span_sub(addr, 0, at);
}
