/* MAIL and RCPT with their parameters (RFC 1870, 3461, 6152, 6531, 8689). */
#include "deliver/client_private.h"
#include "smtp/params.h"

static bool ascii_only(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static bool addresses_need_utf8(const struct transaction *t)
{
    if (!ascii_only(t->from))
        return true;
    for (size_t i = 0; i < t->nrcpts; i++)
        if (!ascii_only(t->env->rcpts[t->rcpts[i]].addr))
            return true;
    return false;
}

/* Whether the header holds bytes beyond ASCII (RFC 6531 section 3.6: then the message is an
 * internationalized one). The first piece of the message is looked at. */
static bool header_needs_utf8(const struct transaction *t)
{
    char *p = arena_raw(t->arena, READ_PIECE);
    int64_t n = t->read(t->read_ctx, 0, p, READ_PIECE);
    if (n <= 0)
        return false;
    struct span head = span_of(p, (size_t)n);
    size_t end_at = span_search(head, SPAN("\r\n\r\n"));
    return !ascii_only(span_sub(head, 0, end_at));
}

static bool wants_utf8(const struct transaction *t)
{
    return addresses_need_utf8(t) || (t->env->smtputf8 && !t->probe && header_needs_utf8(t));
}

void client_add_mail(struct client *c)
{
    const struct transaction *t = c->t;
    const struct envelope *env = t->env;
    struct buf *b = &c->out;
    buf_str(b, "MAIL FROM:<");
    buf_add(b, t->probe ? SPAN("") : t->from);
    buf_char(b, '>');
    if (c->ext.size && !t->probe)
        buf_printf(b, " SIZE=%llu", (unsigned long long)t->size);
    if (c->ext.body8 && env->body_8bit)
        buf_str(b, " BODY=8BITMIME");
    if (c->ext.utf8 && wants_utf8(t))
        buf_str(b, " SMTPUTF8");
    if (c->ext.requiretls && env->require_tls)
        buf_str(b, " REQUIRETLS");
    if (c->ext.dsn && env->ret != RET_DEFAULT)
        buf_str(b, env->ret == RET_FULL ? " RET=FULL" : " RET=HDRS");
    if (c->ext.dsn && env->envid.n) {
        buf_str(b, " ENVID=");
        xtext_encode(b, env->envid);
    }
    buf_str(b, "\r\n");
}

void client_add_rcpt(struct client *c, const struct rcpt *r)
{
    buf_str(&c->out, "RCPT TO:<");
    buf_add(&c->out, r->addr);
    buf_char(&c->out, '>');
    if (c->ext.dsn && !c->t->probe) {
        rcpt_params_add(&c->out, r->notify, r->orcpt);
    }
    buf_str(&c->out, "\r\n");
}

const char *client_impossible(const struct client *c, const struct transaction *t)
{
    if (!c->ext.utf8 && wants_utf8(t))
        return "550 5.6.7 the next hop does not support internationalized mail (SMTPUTF8)";
    if (t->env->require_tls && (!c->tls.secure || !c->ext.requiretls))
        return "550 5.7.30 the next hop does not support REQUIRETLS";
    if (c->ext.size_max && t->size > c->ext.size_max && !t->probe)
        return "552 5.3.4 the message is larger than the next hop takes";
    return NULL;
}
