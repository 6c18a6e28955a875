/* A milter session with an MTA that says anything. First byte: how answers are given and in which
 * pieces the rest arrives. What must hold: events come in an order that makes sense, what we say is
 * whole packets, nothing is held when nothing is in work. */
#include <stdlib.h>

#include "milter/session.h"

struct mta {
    struct milter_session s;
    unsigned mode;
    bool open, header_over, closed;
};

static void check(bool fine)
{
    if (!fine)
        abort();
}

static void host_send(void *ctx, struct span bytes)
{
    (void)ctx;
    while (bytes.n > 0) {
        check(bytes.n >= 5);
        uint32_t n = milter_u32(bytes.p);
        check(n > 0 && n <= bytes.n - 4);
        bytes = span_from(bytes, 4 + n);
    }
}

static void answer(struct mta *m)
{
    switch (m->mode & 3) {
    case 0:
    case 1:
        milter_answer(&m->s, MILTER_CONTINUE);
        break;
    case 2:
        milter_answer_text(&m->s, SPAN("550 5.7.1 100% no\nand no"));
        break;
    default:
        milter_answer(&m->s, MILTER_DISCARD);
    }
}

static void host_connect(void *ctx, struct span name, const struct ip *ip, uint16_t port)
{
    struct mta *m = ctx;
    (void)name, (void)ip, (void)port;
    check(!m->open);
    milter_macro(&m->s, "client_addr");
    answer(m);
}

static void host_helo(void *ctx, struct span name)
{
    struct mta *m = ctx;
    (void)name;
    check(!m->open);
    answer(m);
}

static void host_mail(void *ctx, struct span addr, struct span args)
{
    struct mta *m = ctx;
    struct span arg;
    (void)addr;
    check(!m->open);
    while (milter_string(&args, &arg))
        ;
    m->open = (m->mode & 3) < 2;
    m->header_over = false;
    answer(m);
}

static void host_rcpt(void *ctx, struct span addr, struct span args)
{
    struct mta *m = ctx;
    (void)args;
    check(m->open && addr.p);
    answer(m);
}

static void host_header(void *ctx, struct span name, struct span value)
{
    struct mta *m = ctx;
    check(m->open && !m->header_over && name.n && span_find(value, '\0') == SIZE_MAX);
}

static void host_eoh(void *ctx)
{
    struct mta *m = ctx;
    check(m->open && !m->header_over);
    m->header_over = true;
}

static void host_body(void *ctx, struct span bytes)
{
    struct mta *m = ctx;
    check(m->open && m->header_over && bytes.n > 0);
    if (m->mode & 4)
        milter_enough(&m->s);
}

static void host_end(void *ctx)
{
    struct mta *m = ctx;
    check(m->open && m->header_over);
    answer(m);
}

static void host_reset(void *ctx)
{
    struct mta *m = ctx;
    check(m->open);
    m->open = false;
}

static void host_close(void *ctx, const char *why)
{
    struct mta *m = ctx;
    (void)why;
    check(!m->closed);
    m->closed = true;
}

static const struct milter_host host = {host_send, host_connect, host_helo, host_mail,
                                        host_rcpt, host_header,  host_eoh,  host_body,
                                        host_end,  host_reset,   host_close};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct mta m = {.mode = data[0]};
    struct span rest = span_of((const char *)data + 1, size - 1);
    size_t step = m.mode & 8 ? 1 + (m.mode >> 4) : SIZE_MAX;
    milter_begin(&m.s, 0x1ff, &host, &m);
    while (rest.n > 0 && !m.closed) {
        struct span piece = span_sub(rest, 0, step);
        check(milter_input(&m.s, piece) == piece.n);
        rest = span_from(rest, piece.n);
    }
    if (!m.closed && m.s.reader.nhead == 0)
        check(m.s.reader.left == 0);
    milter_end(&m.s);
    check(!m.open);
    return 0;
}
