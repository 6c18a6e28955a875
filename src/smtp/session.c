#include "smtp/session_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

void smtp_begin(struct smtp_session *s, const struct smtp_limits *limits,
                const struct smtp_policy *policy, const struct smtp_host *host, void *ctx)
{
    *s = (struct smtp_session){.limits = limits, .policy = policy, .host = host, .ctx = ctx};
}

/* ---- output ---- */

static void send_out(struct smtp_session *s, struct buf *b)
{
    s->host->send(s->ctx, buf_span(b));
    buf_free(b);
}

void session_close(struct smtp_session *s)
{
    if (s->closed)
        return;
    session_reset(s);
    s->closed = true;
    s->host->close(s->ctx);
}

/* What follows every reply: the count of errors, and the end of sessions that deserve it. */
static void replied(struct smtp_session *s, unsigned code)
{
    if (code == 421) {
        session_close(s);
        return;
    }
    if (code < 500)
        return;
    if (++s->errors >= s->limits->errors) {
        struct buf b = {0};
        reply_add(&b, R_TOO_MANY_ERRORS, s->policy->hostname);
        send_out(s, &b);
        session_close(s);
    }
}

const char *smtp_faults_text(unsigned faults)
{
    static const char *const text[FAULTS] = {"",
                                             "pipelined",
                                             "not-smtp",
                                             "pipelined, not-smtp",
                                             "bare-line-end",
                                             "pipelined, bare-line-end",
                                             "not-smtp, bare-line-end",
                                             "pipelined, not-smtp, bare-line-end"};
    return text[faults % FAULTS];
}

static void note_fault(struct smtp_session *s, enum reply_id id)
{
    if (id == R_TOO_EARLY)
        s->faults |= FAULT_PIPELINED;
    else if (id == R_NOT_SMTP)
        s->faults |= FAULT_NOT_SMTP;
    else if (id == R_BAD_LINE || id == R_BARE_LINE_END)
        s->faults |= FAULT_BARE_LINE_END;
}

void session_reply(struct smtp_session *s, enum reply_id id, const char *detail)
{
    if (s->closed)
        return;
    note_fault(s, id);
    struct buf b = {0};
    unsigned code = reply_row(id)->code;
    reply_add(&b, id, code == 421 ? s->policy->hostname : detail);
    send_out(s, &b);
    replied(s, code);
    if (id == R_TOO_EARLY)
        session_close(s);
}

void smtp_greet(struct smtp_session *s)
{
    char *text = xasprintf("%s %s", s->policy->hostname, s->policy->banner);
    session_reply(s, R_GREETING, text);
    free(text);
}

void smtp_refuse(struct smtp_session *s, enum reply_id id)
{
    if (s->closed)
        return;
    struct buf b = {0};
    reply_add(&b, id, s->policy->hostname);
    send_out(s, &b);
    session_close(s);
}

void smtp_refuse_text(struct smtp_session *s, struct span reply)
{
    if (s->closed)
        return;
    struct buf b = {0};
    reply_text_add(&b, reply);
    send_out(s, &b);
    session_close(s);
}

/* ---- state ---- */

void session_reset(struct smtp_session *s)
{
    bool open = s->state >= SMTP_MAIL;
    if (open)
        s->state = SMTP_READY;
    s->content = CONTENT_NONE;
    s->wait = WAIT_NONE;
    s->smtputf8 = false;
    s->rcpts = 0;
    s->size = s->swallowed = s->chunk_left = s->chunks = 0;
    s->chunk_last = false;
    s->refused = R_GREETING;
    if (s->sasl) {
        sasl_wipe(s->sasl);
        free(s->sasl);
        s->sasl = NULL;
    }
    if (open)
        s->host->reset(s->ctx);
}

void smtp_end(struct smtp_session *s)
{
    session_reset(s);
    s->closed = true;
}

bool smtp_in_content(const struct smtp_session *s)
{
    return s->content != CONTENT_NONE;
}

bool smtp_waiting(const struct smtp_session *s)
{
    return s->wait != WAIT_NONE;
}

bool smtp_in_transaction(const struct smtp_session *s)
{
    return s->state >= SMTP_MAIL;
}

const char *smtp_protocol(const struct smtp_session *s)
{
    static const char *const names[2][4] = {{"ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"},
                                            {"UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"}};
    if (!s->esmtp)
        return "SMTP";
    return names[s->smtputf8][(s->secure ? 2 : 0) + (s->authenticated ? 1 : 0)];
}

void smtp_mark_secure(struct smtp_session *s)
{
    s->secure = true;
}

void smtp_secured(struct smtp_session *s)
{
    session_reset(s);
    s->state = SMTP_START;
    s->esmtp = s->authenticated = s->skipping = false;
    s->secure = true;
}

void smtp_timeout(struct smtp_session *s)
{
    session_reply(s, R_TIMEOUT, NULL);
}

void smtp_leave(struct smtp_session *s)
{
    s->leaving = true;
    if (!smtp_in_transaction(s) && !smtp_waiting(s))
        session_reply(s, R_SHUTDOWN, NULL);
}

/* ---- answers ---- */

static void settle(struct smtp_session *s, unsigned code)
{
    enum smtp_wait was = s->wait;
    s->wait = WAIT_NONE;
    bool good = code < 400;
    switch (was) {
    case WAIT_HELO:
        if (good)
            s->state = SMTP_READY;
        break;
    case WAIT_MAIL:
        if (good)
            s->state = SMTP_MAIL;
        s->transactions += good;
        s->commands -= good;
        break;
    case WAIT_RCPT:
        if (good)
            s->state = SMTP_RCPT;
        s->rcpts += good;
        s->commands -= good;
        break;
    case WAIT_END:
        session_reset(s);
        break;
    case WAIT_AUTH:
        s->authenticated = good;
        break;
    default:
        break;
    }
}

/* The text is copied before the state moves: it may live in the transaction that ends here. */
static void answer(struct smtp_session *s, struct buf *reply, unsigned code)
{
    settle(s, code);
    send_out(s, reply);
    replied(s, code);
    if (s->leaving && !s->closed && !smtp_in_transaction(s))
        session_reply(s, R_SHUTDOWN, NULL);
}

void smtp_answer(struct smtp_session *s, enum reply_id id, const char *detail)
{
    if (s->closed || s->wait == WAIT_NONE)
        return;
    struct buf b = {0};
    unsigned code = reply_row(id)->code;
    if (s->wait == WAIT_HELO && s->esmtp && code < 400)
        session_offer(s, &b);
    else
        reply_add(&b, id, code == 421 || id == R_EHLO ? s->policy->hostname : detail);
    answer(s, &b, code);
}

void smtp_answer_text(struct smtp_session *s, struct span text)
{
    unsigned code;
    if (s->closed || s->wait == WAIT_NONE)
        return;
    if (!reply_valid(text, &code)) {
        smtp_answer(s, R_LOCAL_ERROR, NULL);
        return;
    }
    struct buf b = {0};
    reply_text_add(&b, text);
    answer(s, &b, code);
}

/* ---- input ---- */

/* RFC 5321 section 2.3.8: lines end in CR LF. A bare LF is taken only where data is normalised too.
 */
static bool line_sound(const struct smtp_session *s, struct span *line)
{
    if (line->n > 0 && line->p[line->n - 1] == '\r')
        line->n--;
    else if (!s->policy->normalise)
        return false;
    for (size_t i = 0; i < line->n; i++)
        if ((unsigned char)line->p[i] < ' ' || line->p[i] == 0x7f)
            return false;
    return true;
}

static void take_line(struct smtp_session *s, struct span line, bool more)
{
    bool too_long = s->skipping || line.n > s->limits->line_length;
    s->skipping = false;
    if (too_long || !line_sound(s, &line)) {
        if (s->sasl)
            session_reset(s); /* RFC 4954 section 4: the dialogue is over */
        session_reply(s, too_long ? R_LINE_LONG : R_BAD_LINE, NULL);
    } else if (s->sasl) {
        session_auth_line(s, line);
    } else {
        session_command(s, line, more);
    }
}

size_t smtp_input(struct smtp_session *s, struct span in)
{
    size_t used = 0;
    while (used < in.n && !s->closed && s->wait == WAIT_NONE) {
        struct span rest = span_from(in, used);
        if (s->content != CONTENT_NONE) {
            used += content_feed(s, rest);
            continue;
        }
        size_t nl = span_find(rest, '\n');
        if (nl == SIZE_MAX) {
            /* Nothing but a line that is too long may be thrown away before its end. */
            if (rest.n <= s->limits->line_length + 2)
                break;
            s->skipping = true;
            return in.n;
        }
        used += nl + 1;
        take_line(s, span_sub(rest, 0, nl), used < in.n);
    }
    return used;
}
