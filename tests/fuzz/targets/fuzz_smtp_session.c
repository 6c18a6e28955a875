/* The whole server machine against a stranger's bytes, in pieces, with a host that answers now or
 * later, yes or no, as the bytes decide. The invariants of smtp/session.h are asserted. */
#include <stdlib.h>

#include "smtp/session.h"

struct host_state {
    struct smtp_session s;
    unsigned char whim;
    unsigned open;
    bool content_open, closed, started;
    size_t out;
};

static enum reply_id pick(struct host_state *h, enum reply_id yes, enum reply_id no)
{
    h->whim = (unsigned char)(h->whim * 5 + 3);
    return h->whim % 8 == 0 ? no : yes;
}

static void f_send(void *ctx, struct span bytes)
{
    struct host_state *h = ctx;
    h->out += bytes.n;
    if (bytes.n < 5 || bytes.p[bytes.n - 1] != '\n' || bytes.p[bytes.n - 2] != '\r')
        abort();
}
static void f_mail(void *ctx, const struct smtp_path *from, const struct mail_params *p)
{
    struct host_state *h = ctx;
    (void)p;
    if (h->open || from->n > SMTP_ADDR_MAX)
        abort();
    enum reply_id id = pick(h, R_MAIL_OK, R_SENDER_DENIED);
    h->open = id == R_MAIL_OK;
    smtp_answer(&h->s, id, NULL);
}
static void f_rcpt(void *ctx, const struct smtp_path *to, const struct rcpt_params *p)
{
    struct host_state *h = ctx;
    (void)p;
    if (h->open != 1 || to->n == 0)
        abort();
    if (h->whim % 4 != 1)
        smtp_answer(&h->s, pick(h, R_RCPT_OK, R_RCPT_UNKNOWN), NULL);
}
static enum reply_id f_begin(void *ctx)
{
    struct host_state *h = ctx;
    if (h->open != 1)
        abort();
    h->content_open = true;
    return pick(h, R_DATA_GO, R_LOCAL_ERROR);
}
static void f_content(void *ctx, struct span bytes)
{
    struct host_state *h = ctx;
    if (h->open != 1 || !h->content_open || bytes.n == 0)
        abort();
}
static void f_end(void *ctx)
{
    struct host_state *h = ctx;
    if (h->open != 1 || !h->content_open)
        abort();
    if (h->whim % 4 != 1)
        smtp_answer(&h->s, pick(h, R_STORED, R_REJECTED), "ID");
}
static void f_reset(void *ctx)
{
    struct host_state *h = ctx;
    if (h->open != 1)
        abort();
    h->open = 0;
    h->content_open = false;
}
static void f_helo(void *ctx, struct span name, bool esmtp)
{
    struct host_state *h = ctx;
    (void)esmtp;
    if (name.n == 0 || name.n > SMTP_HELO_MAX)
        abort();
    if (h->whim % 8 == 3)
        smtp_answer_text(&h->s, SPAN("550 5.7.1 no"));
    else
        smtp_answer(&h->s, R_EHLO, NULL);
}
static void f_auth(void *ctx, const char *user, const char *password, size_t n)
{
    struct host_state *h = ctx;
    if (strlen(user) > SASL_USER_MAX || strlen(password) != n)
        abort();
    if (h->whim % 4 != 1)
        smtp_answer(&h->s, pick(h, R_AUTH_OK, R_AUTH_BAD), NULL);
}
static void f_starttls(void *ctx)
{
    ((struct host_state *)ctx)->started = true;
}
static void f_xclient(void *ctx, const struct xclient *x)
{
    (void)ctx, (void)x;
}
static void f_close(void *ctx)
{
    ((struct host_state *)ctx)->closed = true;
}

static const struct smtp_host host = {f_send,  f_mail, f_rcpt, f_begin,    f_content, f_end,
                                      f_reset, f_helo, f_auth, f_starttls, f_xclient, f_close};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static const struct smtp_limits limits = {.message_size = 2000,
                                              .header_bytes = 300,
                                              .hops = 3,
                                              .recipients = 5,
                                              .errors = 30,
                                              .commands = 200,
                                              .transactions = 10,
                                              .line_length = 300,
                                              .bdat_chunks = 6};
    struct smtp_policy policy = {.hostname = "gate.test",
                                 .banner = "ESMTP",
                                 .tls_offered = data[0] & 1,
                                 .auth_offered = data[0] & 2,
                                 .auth_plaintext = data[0] & 4,
                                 .xclient = data[0] & 8,
                                 .normalise = data[0] & 16};
    struct host_state h = {.whim = data[1]};
    smtp_begin(&h.s, &limits, &policy, &host, &h);
    smtp_greet(&h.s);
    struct buf pending = {0};
    size_t step = 1 + (data[0] >> 5) * 37u;
    struct span in = span_of((const char *)data + 2, size - 2);
    for (size_t at = 0; at < in.n && !h.s.closed; at += step) {
        buf_add(&pending, span_sub(in, at, at + step));
        buf_drop(&pending, smtp_input(&h.s, buf_span(&pending)));
        if (h.started) {
            h.started = false;
            buf_clear(&pending);
            smtp_secured(&h.s);
        }
        while (smtp_waiting(&h.s)) {
            smtp_answer(&h.s, pick(&h, R_STORED, R_DEFERRED), "ID");
            buf_drop(&pending, smtp_input(&h.s, buf_span(&pending)));
            if (h.started) {
                h.started = false;
                buf_clear(&pending);
                smtp_secured(&h.s);
            }
        }
    }
    if (data[1] & 1)
        smtp_leave(&h.s);
    smtp_end(&h.s);
    if (h.open)
        abort();
    buf_free(&pending);
    return 0;
}
