#include "milter/session.h"

void milter_begin(struct milter_session *s, uint32_t wanted, const struct milter_host *host,
                  void *ctx)
{
    *s = (struct milter_session){.host = host, .ctx = ctx, .wanted = wanted};
}

static void fail(struct milter_session *s, const char *why)
{
    if (s->closed)
        return;
    s->closed = true;
    s->wait = MILTER_W_NONE;
    s->host->close(s->ctx, why);
}

static void reset_message(struct milter_session *s)
{
    bool open = s->state > MILTER_READY;
    if (open) {
        s->state = MILTER_READY;
        s->host->reset(s->ctx);
    }
    s->skip = false;
    milter_macros_end_message(&s->macros);
}

static void put_verdict(struct milter_session *s, enum milter_verdict v)
{
    struct buf b = {0};
    milter_verdict(&b, v);
    s->host->send(s->ctx, buf_span(&b));
    buf_free(&b);
}

/* ---- answers ---- */

static void answered(struct milter_session *s, bool yes)
{
    enum milter_wait was = s->wait;
    s->wait = MILTER_W_NONE;
    if (was == MILTER_W_MAIL && yes)
        s->state = MILTER_ENVELOPE;
    else if (was == MILTER_W_END)
        reset_message(s);
}

static bool heard(const struct milter_session *s)
{
    return s->wait != MILTER_W_HELO || milter_helo_heard(s);
}

void milter_answer(struct milter_session *s, enum milter_verdict v)
{
    if (s->closed || s->wait == MILTER_W_NONE)
        return;
    if ((s->wait == MILTER_W_CONNECT || s->wait == MILTER_W_HELO) && v == MILTER_DISCARD)
        v = MILTER_CONTINUE;
    if (heard(s))
        put_verdict(s, v);
    answered(s, v == MILTER_CONTINUE);
}

void milter_answer_text(struct milter_session *s, struct span text)
{
    struct buf b = {0};
    if (s->closed || s->wait == MILTER_W_NONE)
        return;
    if (!milter_reply_text(&b, text))
        milter_verdict(&b, MILTER_TEMPFAIL);
    if (heard(s))
        s->host->send(s->ctx, buf_span(&b));
    buf_free(&b);
    answered(s, false);
}

void milter_enough(struct milter_session *s)
{
    s->skip = true;
}

/* For commands that are not put to the host. nr: the bit that says that no answer is given. */
static void pass(struct milter_session *s, uint32_t nr)
{
    if (!s->closed && !(s->options.steps & nr))
        put_verdict(s, MILTER_CONTINUE);
}

/* ---- commands ---- */

static void on_optneg(struct milter_session *s, struct span data)
{
    struct milter_options offer;
    if (!milter_offer_parse(data, &offer)) {
        fail(s, "negotiation that can't be understood");
        return;
    }
    reset_message(s);
    s->options = milter_choose(&offer, s->wanted, s->answers_helo);
    s->state = MILTER_READY;
    struct buf b = {0};
    milter_answer_offer(&b, &s->options);
    s->host->send(s->ctx, buf_span(&b));
    buf_free(&b);
}

/* hostname NUL family [port u16 address NUL] */
static void on_connect(struct milter_session *s, struct span data)
{
    struct span name, address = SPAN_NONE;
    struct ip ip;
    uint16_t port = 0;
    if (!milter_string(&data, &name) || data.n == 0) {
        fail(s, "bad connect packet");
        return;
    }
    char family = data.p[0];
    data = span_from(data, 1);
    if ((family == '4' || family == '6') && data.n >= 2) {
        port = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
        data = span_from(data, 2);
        milter_string(&data, &address);
    }
    bool has_ip = address.n && ip_parse(address, &ip); /* with "IPv6:" in front or not */
    bool known = name.n && name.p[0] != '[' && !span_ieq(name, SPAN("unknown"));
    s->wait = MILTER_W_CONNECT;
    s->host->connect(s->ctx, known ? name : SPAN_NONE, has_ip ? &ip : NULL, port);
}

/* Sendmail 8.17.1 puts the arguments behind the address into the same string. */
static bool envelope(struct span *data, struct span *addr)
{
    if (!milter_string(data, addr))
        return false;
    size_t close = addr->n && addr->p[0] == '<' ? span_search(*addr, SPAN("> ")) : SIZE_MAX;
    if (close != SIZE_MAX) {
        *data = span_from(*addr, close + 2);
        *addr = span_sub(*addr, 0, close + 1);
    }
    *addr = span_trim(*addr);
    if (addr->n >= 2 && addr->p[0] == '<' && addr->p[addr->n - 1] == '>')
        *addr = span_sub(*addr, 1, addr->n - 1);
    return true;
}

static void on_mail(struct milter_session *s, struct span data)
{
    struct span addr;
    if (!envelope(&data, &addr)) {
        fail(s, "bad MAIL packet");
        return;
    }
    s->wait = MILTER_W_MAIL;
    s->host->mail(s->ctx, addr, data);
}

static void on_rcpt(struct milter_session *s, struct span data)
{
    struct span addr;
    if (!envelope(&data, &addr) || addr.n == 0) {
        fail(s, "bad RCPT packet");
        return;
    }
    s->wait = MILTER_W_RCPT;
    s->host->rcpt(s->ctx, addr, data);
}

static void on_header(struct milter_session *s, struct span data)
{
    struct span name, value = SPAN("");
    if (!milter_string(&data, &name) || name.n == 0) {
        fail(s, "bad header packet");
        return;
    }
    milter_string(&data, &value);
    s->state = MILTER_IN_HEADER;
    s->host->header(s->ctx, name, value);
    pass(s, MILTER_NR_HEADER);
}

static void header_over(struct milter_session *s)
{
    if (s->state == MILTER_IN_BODY)
        return;
    s->state = MILTER_IN_BODY;
    s->host->eoh(s->ctx);
}

static void on_body(struct milter_session *s, struct span piece, bool last)
{
    header_over(s);
    if (piece.n)
        s->host->body(s->ctx, piece);
    if (!last || s->closed || (s->options.steps & MILTER_NR_BODY))
        return;
    bool skip = s->skip && (s->options.steps & MILTER_CAN_SKIP);
    put_verdict(s, skip ? MILTER_SKIP : MILTER_CONTINUE);
}

static void on_end(struct milter_session *s, struct span data)
{
    header_over(s);
    if (data.n)
        s->host->body(s->ctx, data);
    s->wait = MILTER_W_END;
    s->host->end(s->ctx);
}

static void on_quit_nc(struct milter_session *s)
{
    reset_message(s);
    milter_macros_free(&s->macros);
    s->state = MILTER_READY;
}

/* ---- dispatch ---- */

/* Commands, the states in which they may come, and whether a message in work ends before them. */
static bool in_order(const struct milter_session *s, unsigned char cmd)
{
    switch (cmd) {
    case MILTER_OPTNEG:
    case MILTER_QUIT:
    case MILTER_MACRO:
        return true;
    case MILTER_ABORT:
    case MILTER_CONNECT:
    case MILTER_HELO:
    case MILTER_MAIL:
    case MILTER_UNKNOWN:
    case MILTER_QUIT_NC:
        return s->state >= MILTER_READY;
    case MILTER_RCPT:
    case MILTER_DATA:
        return s->state == MILTER_ENVELOPE;
    case MILTER_HEADER:
    case MILTER_EOH:
        return s->state == MILTER_ENVELOPE || s->state == MILTER_IN_HEADER;
    case MILTER_BODY:
    case MILTER_END:
        return s->state >= MILTER_ENVELOPE;
    default:
        return false;
    }
}

/* The macros that came in front of a MAIL belong to the message that it begins. */
static void end_message_before(struct milter_session *s, unsigned char cmd)
{
    bool ends = cmd == MILTER_CONNECT || cmd == MILTER_HELO || cmd == MILTER_MAIL;
    if (ends && milter_in_message(s)) {
        s->state = MILTER_READY;
        s->skip = false;
        s->host->reset(s->ctx);
    }
}

static void on_packet(struct milter_session *s, unsigned char cmd, struct span data)
{
    end_message_before(s, cmd);
    switch (cmd) {
    case MILTER_OPTNEG:
        on_optneg(s, data);
        break;
    case MILTER_MACRO:
        if (!milter_macros_set(&s->macros, data))
            fail(s, "bad macro packet");
        break;
    case MILTER_CONNECT:
        on_connect(s, data);
        break;
    case MILTER_HELO: {
        struct span name = SPAN("");
        milter_string(&data, &name);
        s->wait = MILTER_W_HELO;
        s->host->helo(s->ctx, name);
        break;
    }
    case MILTER_MAIL:
        on_mail(s, data);
        break;
    case MILTER_RCPT:
        on_rcpt(s, data);
        break;
    case MILTER_DATA:
        pass(s, MILTER_NR_DATA);
        break;
    case MILTER_UNKNOWN:
        pass(s, MILTER_NR_UNKNOWN);
        break;
    case MILTER_HEADER:
        on_header(s, data);
        break;
    case MILTER_EOH:
        header_over(s);
        pass(s, MILTER_NR_EOH);
        break;
    case MILTER_END:
        on_end(s, data);
        break;
    case MILTER_ABORT:
        reset_message(s);
        break;
    case MILTER_QUIT_NC:
        on_quit_nc(s);
        break;
    case MILTER_QUIT:
        fail(s, "quit");
        break;
    default:
        fail(s, "a command that there is not");
    }
}

size_t milter_input(struct milter_session *s, struct span bytes)
{
    struct span rest = bytes, data;
    unsigned char cmd;
    while (!s->closed && s->wait == MILTER_W_NONE) {
        enum milter_read r = milter_read(&s->reader, &rest, &cmd, &data);
        if (r == MILTER_MORE)
            break;
        if (r == MILTER_BAD)
            fail(s, "bad packet length");
        else if (!in_order(s, cmd))
            fail(s, "command out of order");
        else if (r == MILTER_PIECE)
            on_body(s, data, s->reader.left == 0);
        else
            on_packet(s, cmd, data);
    }
    return s->closed ? bytes.n : bytes.n - rest.n;
}

void milter_end(struct milter_session *s)
{
    s->closed = true;
    s->wait = MILTER_W_NONE;
    reset_message(s);
    milter_macros_free(&s->macros);
    milter_reader_free(&s->reader);
}
