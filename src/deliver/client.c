/* A connection to the next hop: greeting, TLS, what the stream says, its end. */
#include "deliver/client_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "smtp/reply.h"
#include "tls/context.h"
#include "tls/dane.h"

void client_end(struct client *c, enum client_end how, struct span why)
{
    if (c->state == ENDED)
        return;
    c->state = ENDED;
    c->t = NULL;
    c->ev.on_end(c->ctx, how, why);
    if (c->s)
        stream_close(c->s);
}

void client_fail(struct client *c, struct span why)
{
    switch (c->state) {
    case GREETING:
    case EHLO:
    case HELO:
    case STARTTLS:
        client_end(c, CLIENT_UNREACHABLE, why);
        break;
    case HANDSHAKE:
        client_end(c, CLIENT_NO_TLS, why);
        break;
    case COMMANDS:
    case BODY:
    case FINAL:
        client_answer_rest(c, ANSWER_TEMP, why);
        client_end(c, CLIENT_LOST, why);
        break;
    case IDLE:
    case QUITTING:
        client_end(c, CLIENT_CLOSED, why);
        break;
    case ENDED:
        break;
    }
}

void client_flush(struct client *c, usec deadline)
{
    stream_write(c->s, buf_span(&c->out));
    buf_clear(&c->out);
    stream_deadline(c->s, deadline);
}

static void command(struct client *c, enum client_state next, const char *verb, const char *arg)
{
    c->state = next;
    buf_printf(&c->out, arg ? "%s %s\r\n" : "%s\r\n", verb, arg);
    client_flush(c, c->o.command_timeout);
}

/* --- EHLO --- */

static void read_extension(struct extensions *x, struct span line)
{
    struct span word = span_word(&line, " ");
    if (span_ieq(word, SPAN("PIPELINING"))) {
        x->pipelining = true;
    } else if (span_ieq(word, SPAN("SIZE"))) {
        x->size = true;
        if (!span_u64(span_trim(line), &x->size_max))
            x->size_max = 0;
    } else if (span_ieq(word, SPAN("8BITMIME"))) {
        x->body8 = true;
    } else if (span_ieq(word, SPAN("SMTPUTF8"))) {
        x->utf8 = true;
    } else if (span_ieq(word, SPAN("DSN"))) {
        x->dsn = true;
    } else if (span_ieq(word, SPAN("STARTTLS"))) {
        x->starttls = true;
    } else if (span_ieq(word, SPAN("REQUIRETLS"))) {
        x->requiretls = true;
    }
}

static void ready(struct client *c)
{
    c->state = IDLE;
    stream_deadline(c->s, 0);
    c->ev.on_ready(c->ctx);
}

static void greeted(struct client *c, const struct smtp_reply *r)
{
    struct span rest = r->lines, line;
    c->ext = (struct extensions){0};
    reply_next(&rest, &line); /* the server's name */
    while (reply_next(&rest, &line))
        read_extension(&c->ext, line);
    if (!c->tls.secure && c->o.tls != DTLS_NONE && c->o.tls_context && c->ext.starttls)
        command(c, STARTTLS, "STARTTLS", NULL);
    else if (!c->tls.secure && c->o.tls == DTLS_REQUIRED)
        client_end(c, CLIENT_NO_TLS, SPAN("450 4.7.4 the next hop does not offer TLS"));
    else
        ready(c);
}

/* --- replies --- */

static void on_greeting_reply(struct client *c, const struct smtp_reply *r)
{
    struct buf b = {0};
    reply_flatten(r, TEXT_MAX, &b);
    bool ok = r->code / 100 == 2;
    if (c->state == GREETING && ok) {
        command(c, EHLO, c->o.lmtp ? "LHLO" : "EHLO", c->o.helo);
    } else if (c->state == EHLO && ok) {
        greeted(c, r);
    } else if (c->state == EHLO && r->code / 100 == 5 && !c->o.lmtp && !c->tls.secure) {
        command(c, HELO, "HELO", c->o.helo);
    } else if (c->state == HELO && ok) {
        c->ext = (struct extensions){0};
        if (c->o.tls == DTLS_REQUIRED)
            client_end(c, CLIENT_NO_TLS, SPAN("450 4.7.4 the next hop does not offer TLS"));
        else
            ready(c);
    } else if (c->state == STARTTLS && ok) {
        c->state = HANDSHAKE;
        c->tls.tried = true;
        stream_starttls(c->s, c->o.tls_context, false, c->o.dane ? NULL : c->o.host);
        stream_deadline(c->s, c->o.command_timeout);
    } else if (c->state == STARTTLS && c->o.tls == DTLS_MAY) {
        ready(c);
    } else if (c->state == STARTTLS) {
        client_end(c, CLIENT_NO_TLS, buf_span(&b));
    } else {
        client_fail(c, buf_span(&b));
    }
    buf_free(&b);
}

/* 421: the server closes the channel, whatever we were doing. An answer while the body still flows
 * is its last word about the message. */
static void on_interruption(struct client *c, const struct smtp_reply *r)
{
    struct buf b = {0};
    reply_flatten(r, TEXT_MAX, &b);
    if (c->state == BODY && r->code / 100 == 5)
        client_answer_rest(c, ANSWER_PERM, buf_span(&b));
    client_fail(c, buf_span(&b));
    buf_free(&b);
}

static void on_reply(struct client *c, const struct smtp_reply *r)
{
    if (r->code == 421) {
        on_interruption(c, r);
        return;
    }
    if (c->t)
        c->t->heard = true;
    switch (c->state) {
    case GREETING:
    case EHLO:
    case HELO:
    case STARTTLS:
        on_greeting_reply(c, r);
        break;
    case COMMANDS:
        if (c->answered < c->sent)
            client_step_reply(c, r);
        else
            client_fail(c, SPAN("451 4.5.0 a reply without a command"));
        break;
    case FINAL:
        client_final_reply(c, r);
        break;
    case BODY:
    case IDLE:
    case HANDSHAKE:
        on_interruption(c, r);
        break;
    case QUITTING:
        client_end(c, CLIENT_CLOSED, SPAN("quit"));
        break;
    case ENDED:
        break;
    }
}

/* --- the stream --- */

static size_t on_data(void *ctx, struct span bytes)
{
    struct client *c = ctx;
    size_t all = bytes.n;
    while (bytes.n && c->state != ENDED) {
        struct smtp_reply r;
        size_t used;
        enum client_state before = c->state;
        enum reply_status status = reply_parse(bytes, &used, &r);
        if (status == REPLY_MORE)
            break;
        if (status == REPLY_BAD) {
            client_fail(c, SPAN("451 4.5.0 the next hop does not speak SMTP"));
            break;
        }
        bytes = span_from(bytes, used);
        on_reply(c, &r);
        if (before == STARTTLS && c->state == HANDSHAKE)
            break; /* what came in plain text is not to be read (CVE-2011-0411) */
    }
    return all - bytes.n;
}

static void on_drain(void *ctx)
{
    struct client *c = ctx;
    if (c->state == BODY)
        client_send_body(c);
}

static void on_connect(void *ctx)
{
    struct client *c = ctx;
    uint16_t port;
    c->connected = true;
    c->tls.has_local = stream_local(c->s, &c->tls.local, &port);
    stream_deadline(c->s, c->o.command_timeout);
}

static int on_handshake(void *ctx, SSL *ssl)
{
    struct client *c = ctx;
    c->ssl = ssl;
    if (c->o.tls_testing)
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return c->o.dane ? dane_apply(c->o.dane, ssl) : 0;
}

static void note_certificate(struct client *c)
{
    if (c->ssl)
        c->tls.verify = SSL_get_verify_result(c->ssl);
}

static void on_secure(void *ctx)
{
    struct client *c = ctx;
    if (c->state != HANDSHAKE)
        return;
    c->tls.secure = true;
    note_certificate(c);
    command(c, EHLO, c->o.lmtp ? "LHLO" : "EHLO", c->o.helo);
}

static void on_timeout(void *ctx)
{
    struct client *c = ctx;
    if (c->state == COMMANDS && c->steps == 0) {
        client_done(c); /* refused without asking: see client_send */
        return;
    }
    if (!c->connected)
        client_fail(c, SPAN("450 4.4.1 the connection attempt timed out"));
    else if (c->state == BODY || c->state == FINAL)
        client_fail(c, SPAN("450 4.4.2 the next hop did not take the message in time"));
    else
        client_fail(c, SPAN("450 4.4.2 the next hop did not answer in time"));
}

static void on_close(void *ctx, const char *why)
{
    struct client *c = ctx;
    if (c->state != ENDED) {
        char text[160];
        note_certificate(c);
        if (c->state == HANDSHAKE)
            snprintf(text, sizeof text, "450 4.7.5 no trusted TLS: %s", why);
        else
            snprintf(text, sizeof text, "450 %s %s: %s", c->connected ? "4.4.2" : "4.4.1",
                     c->connected ? "the connection was lost" : "can't connect", why);
        c->s = NULL;
        client_fail(c, span_str(text));
    }
    buf_free(&c->out);
    free(c);
}

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_connect = on_connect,
    .on_handshake = on_handshake,
    .on_secure = on_secure,
    .on_timeout = on_timeout,
    .on_close = on_close,
};

static struct client *make(const struct client_options *o, const struct client_events *ev,
                           void *ctx)
{
    struct client *c = xcalloc(1, sizeof *c);
    c->o = *o;
    c->ev = *ev;
    c->ctx = ctx;
    return c;
}

struct client *client_tcp(uv_loop_t *loop, const struct ip *ip, uint16_t port,
                          const struct client_options *o, const struct client_events *ev, void *ctx)
{
    struct client *c = make(o, ev, ctx);
    c->s = stream_connect_tcp(loop, ip, port, &stream_events, c);
    stream_deadline(c->s, o->connect_timeout);
    return c;
}

struct client *client_unix(uv_loop_t *loop, const char *path, const struct client_options *o,
                           const struct client_events *ev, void *ctx)
{
    struct client *c = make(o, ev, ctx);
    c->s = stream_connect_unix(loop, path, &stream_events, c);
    stream_deadline(c->s, o->connect_timeout);
    return c;
}

struct client *client_fd(uv_loop_t *loop, int fd, const struct client_options *o,
                         const struct client_events *ev, void *ctx)
{
    struct client *c = make(o, ev, ctx);
    c->s = stream_from_fd(loop, fd, &stream_events, c);
    c->connected = true;
    stream_deadline(c->s, o->command_timeout);
    return c;
}

void client_quit(struct client *c)
{
    if (c->state == IDLE)
        command(c, QUITTING, "QUIT", NULL);
    else if (c->state != ENDED)
        client_abort(c, "closed");
}

void client_abort(struct client *c, const char *why)
{
    client_fail(c, span_str(why));
}

bool client_secure(const struct client *c)
{
    return c->tls.secure;
}

const struct client_tls *client_tls(const struct client *c)
{
    return &c->tls;
}
