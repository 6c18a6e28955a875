/* One message over a connection: its commands, the body, the replies. */
#include "deliver/client_private.h"
#include "smtp/reply.h"

/* Recipients without a last word get this one. */
void client_answer_rest(struct client *c, enum answer_class class, struct span text)
{
    struct transaction *t = c->t;
    text = arena_dup(t->arena, text);
    for (size_t i = 0; i < t->nrcpts; i++)
        if (t->answers[i].class == ANSWER_NONE)
            t->answers[i] = (struct answer){class, text};
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
        client_flush(c, c->o.command_timeout);
}

void client_done(struct client *c)
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
        client_answer_rest(c, ANSWER_PERM, span_str(no));
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

void client_send_body(struct client *c)
{
    struct transaction *t = c->t;
    char piece[READ_PIECE];
    while (c->body_at < t->size && !stream_full(c->s)) {
        int64_t n = t->read(t->read_ctx, c->body_at, piece, sizeof piece);
        if (n <= 0) {
            t->damaged = n == 0; /* else it may be readable later */
            client_fail(c, SPAN("451 4.3.0 the queued message can't be read"));
            return;
        }
        struct span bytes = span_of(piece, (size_t)n);
        c->crc = t->checksum(c->crc, bytes);
        c->body_at += (uint64_t)n;
        wire_body(&c->out, bytes, &c->wire);
        if (c->body_at < t->size)
            client_flush(c, c->o.data_timeout);
    }
    if (c->body_at < t->size)
        return;
    if (c->crc != t->crc) {
        t->damaged = true;
        client_fail(c, SPAN("451 4.3.0 the queued message is damaged"));
        return;
    }
    wire_end(&c->out, c->wire);
    c->state = FINAL;
    t->sent_dot = true;
    client_flush(c, c->o.data_timeout);
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
    client_answer_rest(c, class_of(r->code), text_of(c, r));
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
        client_send_body(c);
        return;
    }
    if (r->code == 354) {
        /* It wants a message nobody is to get (RFC 2920 section 3.1). */
        if (c->o.lmtp) {
            client_end(c, CLIENT_LOST, SPAN("354 without recipients"));
            return;
        }
        buf_str(&c->out, ".\r\n");
        c->state = FINAL;
        client_flush(c, c->o.data_timeout);
        return;
    }
    client_answer_rest(c, r->code / 100 == 5 ? ANSWER_PERM : ANSWER_TEMP, text_of(c, r));
    client_done(c);
}

void client_step_reply(struct client *c, const struct smtp_reply *r)
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
    client_done(c);
}

/* The next accepted recipient that LMTP tells about. */
static struct answer *next_unanswered(struct transaction *t)
{
    for (size_t i = 0; i < t->nrcpts; i++)
        if (t->answers[i].class == ANSWER_NONE)
            return &t->answers[i];
    return NULL;
}

void client_final_reply(struct client *c, const struct smtp_reply *r)
{
    struct transaction *t = c->t;
    if (!c->o.lmtp) {
        client_answer_rest(c, class_of(r->code), text_of(c, r));
        client_done(c);
        return;
    }
    struct answer *a = next_unanswered(t);
    if (a)
        *a = (struct answer){class_of(r->code), text_of(c, r)};
    if (++c->finals >= c->accepted)
        client_done(c);
}
