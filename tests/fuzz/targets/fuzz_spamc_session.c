/* A client of spamd that says anything. First byte: in which pieces. What must hold: the session
 * ends once, no content comes before begin or beyond the limit, one answer. */
#include <stdlib.h>

#include "spamc/reply.h"

enum { MESSAGE_MAX = 100000 };

struct client {
    struct spamc_session s;
    bool begun, ended, closed;
    size_t content, sent;
};

static void check(bool fine)
{
    if (!fine)
        abort();
}

static void host_send(void *ctx, struct span bytes)
{
    struct client *c = ctx;
    c->sent += bytes.n;
    check(!c->closed && bytes.n > 2 && span_ends(bytes, SPAN("\r\n")));
    for (size_t i = 0; i + 2 < bytes.n; i++)
        check((unsigned char)bytes.p[i] >= ' ');
}

static bool host_begin(void *ctx, const struct spamc_request *r)
{
    struct client *c = ctx;
    check(!c->begun && r->nfields < SPAMC_FIELDS_MAX);
    c->begun = true;
    return true;
}

static void host_content(void *ctx, struct span bytes)
{
    struct client *c = ctx;
    check(c->begun && !c->ended && !c->closed && bytes.n > 0);
    c->content += bytes.n;
    check(c->content <= MESSAGE_MAX);
}

static void host_end(void *ctx, const struct spamc_request *r)
{
    struct client *c = ctx;
    struct buf b = {0};
    const struct spamc_verdict v = {
        .shown = SPAN("1.0"), .score = 1, .required = 5, .names = SPAN("A"), .report = SPAN("r\n")};
    check(c->begun && !c->ended && !c->closed);
    c->ended = true;
    spamc_reply(&b, r, &v);
    check(span_starts(buf_span(&b), SPAN("SPAMD/1.")));
    buf_free(&b);
}

static void host_close(void *ctx, const char *why)
{
    struct client *c = ctx;
    check(!c->closed && !c->ended && why);
    c->closed = true;
}

static const struct spamc_host host = {host_send, host_begin, host_content, host_end, host_close};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct client c = {0};
    struct span rest = span_of((const char *)data + 1, size - 1);
    size_t step = data[0] ? data[0] : SIZE_MAX;
    check(spamc_header_size(rest) <= rest.n);
    spamc_begin(&c.s, MESSAGE_MAX, &host, &c);
    while (rest.n > 0) {
        struct span piece = span_sub(rest, 0, step);
        spamc_input(&c.s, piece);
        rest = span_from(rest, piece.n);
    }
    spamc_eof(&c.s);
    check(c.ended != c.closed);
    spamc_end(&c.s);
    return 0;
}
