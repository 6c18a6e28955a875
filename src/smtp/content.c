/* DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030). */
#include "smtp/session_private.h"

#include <stdio.h>

/* Beyond the size limit this much more is read before the connection is closed without waiting for
 * the end. */
enum { SWALLOW_MORE = 8 * 1024 * 1024 };

static void refuse(struct smtp_session *s, enum reply_id id)
{
    if (s->refused == R_GREETING)
        s->refused = id;
}

static void take_content(void *ctx, struct span bytes)
{
    struct smtp_session *s = ctx;
    s->size += bytes.n;
    if (s->size > s->limits->message_size)
        refuse(s, R_TOO_BIG);
    if (!s->head.done) {
        head_feed(&s->head, bytes);
        if (s->head.header_bytes > s->limits->header_bytes)
            refuse(s, R_HEADER_BIG);
        if (s->head.hops > s->limits->hops)
            refuse(s, R_TOO_MANY_HOPS);
    }
    if (s->refused == R_GREETING)
        s->host->content(s->ctx, bytes);
}

static void open_message(struct smtp_session *s, bool dots)
{
    data_begin(&s->data, dots, s->policy->normalise);
    s->data.sink = take_content;
    s->data.ctx = s;
    head_begin(&s->head);
    s->size = s->swallowed = s->chunks = 0;
}

/* The message is not taken: its transaction is over (RFC 3030 section 2 for BDAT). */
static void fail_message(struct smtp_session *s)
{
    enum reply_id id = s->refused;
    char limit[24];
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)s->limits->message_size);
    session_reset(s);
    session_reply(s, id, limit);
    if (s->leaving && !s->closed)
        session_reply(s, R_SHUTDOWN, NULL);
}

static void close_message(struct smtp_session *s)
{
    if (s->data.bare)
        s->faults |= FAULT_BARE_LINE_END;
    if (s->data.bare && !s->data.normalise)
        refuse(s, R_BARE_LINE_END);
    s->content = CONTENT_NONE;
    if (s->refused != R_GREETING) {
        fail_message(s);
        return;
    }
    s->wait = WAIT_END;
    s->host->end(s->ctx);
}

void content_data(struct smtp_session *s)
{
    enum reply_id id = s->host->begin(s->ctx);
    if (id != R_DATA_GO) {
        session_reset(s);
        session_reply(s, id, NULL);
        return;
    }
    open_message(s, true);
    s->content = CONTENT_DATA;
    s->commands--;
    session_reply(s, R_DATA_GO, NULL);
}

/* BDAT SP chunk-size [ SP "LAST" ]. Without knowing the size there is no way to stay in step. */
static bool parse_chunk(struct smtp_session *s, struct span arg)
{
    struct span size = span_word(&arg, " "), last = span_word(&arg, " ");
    if (!span_u64(size, &s->chunk_left) || arg.n > 0)
        return false;
    s->chunk_last = last.p != NULL;
    return !last.p || span_ieq(last, SPAN("LAST"));
}

static void chunk_done(struct smtp_session *s)
{
    if (s->state < SMTP_RCPT) { /* was out of order: nothing was begun */
        enum reply_id id = s->refused;
        s->content = CONTENT_NONE;
        s->refused = R_GREETING;
        session_reply(s, id, NULL);
        return;
    }
    if (s->refused != R_GREETING) {
        s->content = CONTENT_NONE;
        fail_message(s);
    } else if (s->chunk_last) {
        data_end(&s->data);
        close_message(s);
    } else {
        s->content = CONTENT_NONE;
        s->commands--; /* limits.bdat_chunks counts these */
        session_reply(s, R_CHUNK_OK, NULL);
    }
}

void content_chunk(struct smtp_session *s, struct span arg)
{
    if (!parse_chunk(s, arg)) {
        session_reply(s, R_SYNTAX, NULL);
        session_close(s);
        return;
    }
    if (s->chunk_left > s->limits->message_size + SWALLOW_MORE) {
        char limit[24];
        snprintf(limit, sizeof limit, "%llu", (unsigned long long)s->limits->message_size);
        session_reply(s, R_TOO_BIG, limit);
        session_close(s);
        return;
    }
    if (s->state < SMTP_RCPT) {
        refuse(s, s->state == SMTP_START ? R_HELO_FIRST : R_NO_TRANSACTION);
    } else if (s->state == SMTP_RCPT) {
        enum reply_id id = s->host->begin(s->ctx);
        open_message(s, false);
        s->state = SMTP_CHUNKS;
        if (id != R_DATA_GO)
            refuse(s, id);
    }
    if (++s->chunks > s->limits->bdat_chunks)
        refuse(s, R_TOO_MANY_CHUNKS);
    s->content = CONTENT_CHUNK;
    if (s->chunk_left == 0)
        chunk_done(s);
}

static bool swallowed_too_much(struct smtp_session *s, size_t n)
{
    s->swallowed += n;
    if (s->swallowed <= s->limits->message_size + SWALLOW_MORE || s->refused == R_GREETING)
        return false;
    fail_message(s);
    session_close(s);
    return true;
}

size_t content_feed(struct smtp_session *s, struct span in)
{
    if (s->content == CONTENT_DATA) {
        bool end;
        size_t n = data_feed(&s->data, in, &end);
        if (end)
            close_message(s);
        else
            swallowed_too_much(s, n);
        return n;
    }
    struct span part = span_sub(in, 0, (size_t)(s->chunk_left < in.n ? s->chunk_left : in.n));
    s->chunk_left -= part.n;
    if (s->state >= SMTP_RCPT) {
        bool end;
        data_feed(&s->data, part, &end);
    }
    if (s->chunk_left == 0)
        chunk_done(s);
    else
        swallowed_too_much(s, part.n);
    return part.n;
}
