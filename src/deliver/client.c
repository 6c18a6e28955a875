#include "deliver/client_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "smtp/reply.h"
#include "tls/context.h"

static void end(struct client *c, enum client_end how, struct span why)
{
    if (c->state == ENDED)
        return;
    c->state = ENDED;
    c->t = NULL;
    c->ev.on_end(c->ctx, how, why);
    if (c->s)
        stream_close(c->s);
}

/* Recipients without a last word get this one. */
static void answer_rest(struct client *c, enum answer_class class, struct span text)
{
    struct transaction *t = c->t;
    text = arena_dup(t->arena, text);
    for (size_t i = 0; i < t->nrcpts; i++)
        if (t->answers[i].class == ANSWER_NONE)
            t->answers[i] = (struct answer){class, text};
}

static void fail(struct client *c, struct span why)
{
    switch (c->state) {
    case GREETING:
    case EHLO:
    case HELO:
    case STARTTLS:
        end(c, CLIENT_UNREACHABLE, why);
        break;
    case HANDSHAKE:
        end(c, CLIENT_NO_TLS, why);
        break;
    case COMMANDS:
    case BODY:
    case FINAL:
        answer_rest(c, ANSWER_TEMP, why);
        end(c, CLIENT_LOST, why);
        break;
    case IDLE:
    case QUITTING:
        end(c, CLIENT_CLOSED, why);
        break;
    case ENDED:
        break;
    }
}

static void flush(struct client *c, usec deadline)
{
    stream_write(c->s, buf_span(&c->out));
    buf_clear(&c->out);
    stream_deadline(c->s, deadline);
}

static void command(struct client *c, enum client_state next, const char *verb, const char *arg)
{
    c->state = next;
    buf_printf(&c->out, arg ? "%s %s\r\n" : "%s\r\n", verb, arg);
    flush(c, c->o.command_timeout);
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
    if (!c->secure && c->o.tls != DTLS_NONE && c->o.tls_context && c->ext.starttls)
        command(c, STARTTLS, "STARTTLS", NULL);
    else if (!c->secure && c->o.tls == DTLS_REQUIRED)
        end(c, CLIENT_NO_TLS, SPAN("450 4.7.4 the next hop does not offer TLS"));
    else
        ready(c);
}

/* --- the commands of a transaction --- */

/* Step 0 is RSET (or nothing), 1 MAIL, then the RCPTs, then DATA. */
static void add_step(struct client *c, size_t step)
{
    if (step == 0)
        buf_str(&c->out, "RSET\r\n");
    else if (step == 1)
        client_add_mail(c);
    else if (step < c->t->nrcpts + 2)
        client_add_rcpt(c, &c->t->env->rcpts[c->t->rcpts[step - 2]]);
    else
        buf_str(&c->out, "DATA\r\n");
}

static void send_steps(struct client *c)
{
    size_t until = c->ext.pipelining ? c->steps : c->answered + 1;
    for (; c->sent < until && c->sent < c->steps; c->sent++)
        add_step(c, c->sent);
    if (c->out.n)
        flush(c, c->o.command_timeout);
}

static void done(struct client *c)
{
    c->state = IDLE;
    c->t = NULL;
    stream_deadline(c->s, 0);
    c->ev.on_done(c->ctx);
}

static void refuse_later(struct stream *s)
{
    stream_deadline(s, 1);
}

void client_send(struct client *c, struct transaction *t)
{
    c->t = t;
    c->mail_ok = false;
    c->accepted = c->finals = 0;
    c->body_at = 0;
    c->crc = 0;
    c->wire = 0;
    c->state = COMMANDS;
    const char *no = client_impossible(c, t);
    if (no) {
        /* The answer comes from the loop, as every other one. */
        answer_rest(c, ANSWER_PERM, span_str(no));
        c->steps = c->sent = c->answered = 0;
        refuse_later(c->s);
        return;
    }
    c->steps = t->nrcpts + (t->probe ? 2 : 3);
    c->sent = c->answered = c->need_reset ? 0 : 1;
    c->need_reset = false;
    t->dsn_passed = c->ext.dsn;
    send_steps(c);
}

/* --- the body --- */

static void send_body(struct client *c)
{
    struct transaction *t = c->t;
    char piece[READ_PIECE];
    while (c->body_at < t->size && !stream_full(c->s)) {
        int64_t n = t->read(t->read_ctx, c->body_at, piece, sizeof piece);
        if (n <= 0) {
            t->damaged = n == 0; /* else it may be readable later */
            fail(c, SPAN("451 4.3.0 the queued message can't be read"));
            return;
        }
        struct span bytes = span_of(piece, (size_t)n);
        c->crc = t->checksum(c->crc, bytes);
        c->body_at += (uint64_t)n;
        wire_body(&c->out, bytes, &c->wire);
        if (c->body_at < t->size)
            flush(c, c->o.data_timeout);
    }
    if (c->body_at < t->size)
        return;
    if (c->crc != t->crc) {
        t->damaged = true;
        fail(c, SPAN("451 4.3.0 the queued message is damaged"));
        return;
    }
    wire_end(&c->out, c->wire);
    c->state = FINAL;
    t->sent_dot = true;
    flush(c, c->o.data_timeout);
}

/* --- replies --- */

static enum answer_class class_of(unsigned code)
{
    return code / 100 == 2 ? ANSWER_OK : code / 100 == 5 ? ANSWER_PERM : ANSWER_TEMP;
}

static struct span text_of(struct client *c, const struct smtp_reply *r)
{
    struct buf b = {0};
    reply_flatten(r, TEXT_MAX, &b);
    struct span s = arena_dup(c->t->arena, buf_span(&b));
    buf_free(&b);
    return s;
}

static void on_mail_reply(struct client *c, const struct smtp_reply *r)
{
    c->mail_ok = r->code / 100 == 2;
    if (c->mail_ok)
        return;
    answer_rest(c, class_of(r->code), text_of(c, r));
    if (!c->ext.pipelining)
        c->steps = c->answered; /* nothing more to ask */
}

/* RFC 5321 section 4.5.3.1.10: 552 to RCPT means too many recipients, to be tried again. */
static void on_rcpt_reply(struct client *c, size_t i, const struct smtp_reply *r)
{
    struct answer *a = &c->t->answers[i];
    if (!c->mail_ok)
        return;
    enum answer_class class = r->code == 552 ? ANSWER_TEMP : class_of(r->code);
    if (class == ANSWER_OK && !c->t->probe) {
        c->accepted++;
        return;
    }
    *a = (struct answer){class, text_of(c, r)};
}

static void on_data_reply(struct client *c, const struct smtp_reply *r)
{
    c->need_reset = true;
    if (r->code == 354 && c->accepted) {
        c->need_reset = false;
        c->state = BODY;
        send_body(c);
        return;
    }
    if (r->code == 354) {
        /* It wants a message nobody is to get (RFC 2920 section 3.1). */
        if (c->o.lmtp) {
            end(c, CLIENT_LOST, SPAN("354 without recipients"));
            return;
        }
        buf_str(&c->out, ".\r\n");
        c->state = FINAL;
        flush(c, c->o.data_timeout);
        return;
    }
    answer_rest(c, r->code / 100 == 5 ? ANSWER_PERM : ANSWER_TEMP, text_of(c, r));
    done(c);
}

static void on_step_reply(struct client *c, const struct smtp_reply *r)
{
    size_t step = c->answered++, data = c->t->nrcpts + 2;
    if (step == 1) {
        on_mail_reply(c, r);
    } else if (step > 1 && step < data) {
        on_rcpt_reply(c, step - 2, r);
    } else if (step == data) {
        on_data_reply(c, r);
        return;
    }
    if (step + 1 == data && !c->ext.pipelining && !c->accepted && !c->t->probe)
        c->steps = c->answered; /* nobody to send it to */
    if (c->answered < c->steps) {
        send_steps(c);
        return;
    }
    c->need_reset = c->mail_ok;
    done(c);
}

/* The next accepted recipient that LMTP tells about. */
static struct answer *next_unanswered(struct transaction *t)
{
    for (size_t i = 0; i < t->nrcpts; i++)
        if (t->answers[i].class == ANSWER_NONE)
            return &t->answers[i];
    return NULL;
}

static void on_final_reply(struct client *c, const struct smtp_reply *r)
{
    struct transaction *t = c->t;
    if (!c->o.lmtp) {
        answer_rest(c, class_of(r->code), text_of(c, r));
        done(c);
        return;
    }
    struct answer *a = next_unanswered(t);
    if (a)
        *a = (struct answer){class_of(r->code), text_of(c, r)};
    if (++c->finals >= c->accepted)
        done(c);
}

static void on_greeting_reply(struct client *c, const struct smtp_reply *r)
{
    struct buf b = {0};
    reply_flatten(r, TEXT_MAX, &b);
    bool ok = r->code / 100 == 2;
    if (c->state == GREETING && ok) {
        command(c, EHLO, c->o.lmtp ? "LHLO" : "EHLO", c->o.helo);
    } else if (c->state == EHLO && ok) {
        greeted(c, r);
    } else if (c->state == EHLO && r->code / 100 == 5 && !c->o.lmtp && !c->secure) {
        command(c, HELO, "HELO", c->o.helo);
    } else if (c->state == HELO && ok) {
        c->ext = (struct extensions){0};
        if (c->o.tls == DTLS_REQUIRED)
            end(c, CLIENT_NO_TLS, SPAN("450 4.7.4 the next hop does not offer TLS"));
        else
            ready(c);
    } else if (c->state == STARTTLS && ok) {
        c->state = HANDSHAKE;
        stream_starttls(c->s, c->o.tls_context, false, c->o.host);
        stream_deadline(c->s, c->o.command_timeout);
    } else if (c->state == STARTTLS && c->o.tls == DTLS_MAY) {
        ready(c);
    } else if (c->state == STARTTLS) {
        end(c, CLIENT_NO_TLS, buf_span(&b));
    } else {
        fail(c, buf_span(&b));
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
        answer_rest(c, ANSWER_PERM, buf_span(&b));
    fail(c, buf_span(&b));
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
            on_step_reply(c, r);
        else
            fail(c, SPAN("451 4.5.0 a reply without a command"));
        break;
    case FINAL:
        on_final_reply(c, r);
        break;
    case BODY:
    case IDLE:
    case HANDSHAKE:
        on_interruption(c, r);
        break;
    case QUITTING:
        end(c, CLIENT_CLOSED, SPAN("quit"));
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
            fail(c, SPAN("451 4.5.0 the next hop does not speak SMTP"));
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
        send_body(c);
}

static void on_connect(void *ctx)
{
    struct client *c = ctx;
    c->connected = true;
    stream_deadline(c->s, c->o.command_timeout);
}

static void on_secure(void *ctx)
{
    struct client *c = ctx;
    if (c->state != HANDSHAKE)
        return;
    c->secure = true;
    command(c, EHLO, c->o.lmtp ? "LHLO" : "EHLO", c->o.helo);
}

static void on_timeout(void *ctx)
{
    struct client *c = ctx;
    if (c->state == COMMANDS && c->steps == 0) {
        done(c); /* refused without asking: see client_send */
        return;
    }
    if (!c->connected)
        fail(c, SPAN("450 4.4.1 the connection attempt timed out"));
    else if (c->state == BODY || c->state == FINAL)
        fail(c, SPAN("450 4.4.2 the next hop did not take the message in time"));
    else
        fail(c, SPAN("450 4.4.2 the next hop did not answer in time"));
}

static void on_close(void *ctx, const char *why)
{
    struct client *c = ctx;
    if (c->state != ENDED) {
        char text[160];
        snprintf(text, sizeof text, "450 %s %s: %s", c->connected ? "4.4.2" : "4.4.1",
                 c->connected ? "the connection was lost" : "can't connect", why);
        c->s = NULL;
        fail(c, span_str(text));
    }
    buf_free(&c->out);
    free(c);
}

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_connect = on_connect,
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
    fail(c, span_str(why));
}

bool client_secure(const struct client *c)
{
    return c->secure;
}
