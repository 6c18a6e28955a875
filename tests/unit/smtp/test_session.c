#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "smtp/session.h"

/* A host that says yes to everything but what a test tells it to. */
struct bench {
    struct smtp_session s;
    struct smtp_limits limits;
    struct smtp_policy policy;
    struct buf out, content, events;
    bool tls_started, closed, later, helo_later;
    enum reply_id rcpt_answer, begin_answer, end_answer, auth_answer;
    unsigned open; /* transactions: accepted MAIL minus reset */
    char user[300], password[600];
};

static void b_send(void *ctx, struct span bytes)
{
    buf_add(&((struct bench *)ctx)->out, bytes);
}
static void b_mail(void *ctx, const struct smtp_path *from, const struct mail_params *p)
{
    struct bench *b = ctx;
    buf_printf(&b->events, "mail<%s>%s%s;", from->addr, p->smtputf8 ? "u" : "",
               p->body_8bit ? "8" : "");
    assert_int_equal(b->open, 0);
    b->open++;
    smtp_answer(&b->s, R_MAIL_OK, NULL);
}
static void b_rcpt(void *ctx, const struct smtp_path *to, const struct rcpt_params *p)
{
    struct bench *b = ctx;
    buf_printf(&b->events, "rcpt<%s>%u;", to->addr, p->notify);
    assert_int_equal(b->open, 1);
    smtp_answer(&b->s, b->rcpt_answer ? b->rcpt_answer : R_RCPT_OK, NULL);
}
static enum reply_id b_begin(void *ctx)
{
    struct bench *b = ctx;
    assert_int_equal(b->open, 1);
    buf_clear(&b->content);
    return b->begin_answer ? b->begin_answer : R_DATA_GO;
}
static void b_content(void *ctx, struct span bytes)
{
    assert_int_equal(((struct bench *)ctx)->open, 1);
    buf_add(&((struct bench *)ctx)->content, bytes);
}
static void b_end(void *ctx)
{
    struct bench *b = ctx;
    buf_str(&b->events, "end;");
    if (!b->later)
        smtp_answer(&b->s, b->end_answer ? b->end_answer : R_STORED, "ID");
}
static void b_reset(void *ctx)
{
    struct bench *b = ctx;
    buf_str(&b->events, "reset;");
    assert_int_equal(b->open, 1);
    b->open--;
}
static void b_helo(void *ctx, struct span name, bool esmtp)
{
    struct bench *b = ctx;
    buf_printf(&b->events, "%s(%.*s);", esmtp ? "ehlo" : "helo", SPAN_ARG(name));
    if (span_eq(name, SPAN("unwanted.example")))
        smtp_answer_text(&b->s, SPAN("550 5.7.1 not you"));
    else if (!b->helo_later)
        smtp_answer(&b->s, R_EHLO, NULL);
}
static void b_auth(void *ctx, const char *user, const char *password, size_t n)
{
    struct bench *b = ctx;
    (void)n;
    snprintf(b->user, sizeof b->user, "%s", user);
    snprintf(b->password, sizeof b->password, "%s", password);
    smtp_answer(&b->s, b->auth_answer ? b->auth_answer : R_AUTH_OK, NULL);
}
static void b_starttls(void *ctx)
{
    ((struct bench *)ctx)->tls_started = true;
}
static void b_xclient(void *ctx, const struct xclient *x)
{
    buf_printf(&((struct bench *)ctx)->events, "xclient(%.*s);", SPAN_ARG(x->helo));
}
static void b_close(void *ctx)
{
    ((struct bench *)ctx)->closed = true;
}

static const struct smtp_host host = {b_send,  b_mail, b_rcpt, b_begin,    b_content, b_end,
                                      b_reset, b_helo, b_auth, b_starttls, b_xclient, b_close};

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    b->limits = (struct smtp_limits){.message_size = 1000,
                                     .header_bytes = 500,
                                     .hops = 3,
                                     .recipients = 3,
                                     .errors = 20,
                                     .commands = 100,
                                     .transactions = 5,
                                     .line_length = 200,
                                     .bdat_chunks = 4};
    b->policy = (struct smtp_policy){.hostname = "gate.test", .banner = "ESMTP"};
    smtp_begin(&b->s, &b->limits, &b->policy, &host, b);
    smtp_greet(&b->s);
    buf_clear(&b->out);
    return b;
}

static void bench_free(struct bench *b)
{
    smtp_end(&b->s);
    assert_int_equal(b->open, 0); /* the invariant of session.h */
    buf_free(&b->out);
    buf_free(&b->content);
    buf_free(&b->events);
    free(b);
}

static void feed(struct bench *b, struct span in, size_t step)
{
    struct buf pending = {0};
    for (size_t at = 0; at < in.n; at += step) {
        buf_add(&pending, span_sub(in, at, at + step));
        buf_drop(&pending, smtp_input(&b->s, buf_span(&pending)));
    }
    buf_free(&pending);
}

/* The codes of what was said since, "250 354 250", and forgets it. */
static const char *codes(struct bench *b)
{
    static char text[4000];
    size_t n = 0;
    struct span rest = buf_span(&b->out), line;
    text[0] = '\0';
    while (span_line(&rest, &line))
        if (line.n > 3 && line.p[3] == ' ')
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%.3s", n ? " " : "", line.p);
    buf_clear(&b->out);
    return text;
}

#define SAY(b, text) (feed((b), SPAN(text), 1000000), codes(b))
#define GO           "EHLO c\r\n"
#define TO           "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"

/* One dialogue a row: what is said in a session of its own (lines are fed one at a time, since some
 * commands may not be pipelined), and the codes that come back. */
static const struct {
    const char *said, *codes;
} dialogues[] = {
    {"MAIL FROM:<a@b.example>\r\n", "503"},
    {"RCPT TO:<a@b.example>\r\n", "503"},
    {"DATA\r\n", "503"},
    {"HELO c\r\nRCPT TO:<a@b.example>\r\n", "250 503"},
    {"HELO c\r\nDATA\r\n", "250 503"},
    {"HELO c\r\nMAIL FROM:<a@b.example>\r\nDATA\r\n", "250 250 503"},
    {"HELO c\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\n", "250 250 503"},
    {"HELO c\r\n" TO "MAIL FROM:<a@b.example>\r\n", "250 250 250 503"},
    {"HELO c\r\n" TO "DATA\r\nx\r\n.\r\n", "250 250 250 354 250"},
    {"HELO c\r\n" TO "DATA\r\nx\r\n.\r\nDATA\r\n", "250 250 250 354 250 503"},
    {"HELO c\r\n" TO "DATA\r\nx\r\n.\r\nRCPT TO:<a@b.example>\r\n", "250 250 250 354 250 503"},
    {"HELO c\r\n" TO "RSET\r\nRCPT TO:<a@b.example>\r\n", "250 250 250 250 503"},
    {"HELO c\r\n" TO "HELO c\r\nDATA\r\n", "250 250 250 250 503"},
    {"HELO c\r\n" TO "EHLO c\r\nRCPT TO:<a@b.example>\r\n", "250 250 250 250 503"},
    {"HELO\r\n", "501"},
    {"HELO \r\n", "501"},
    {"EHLO a b\r\n", "501"},
    {"EHLO a(b)\r\n", "501"},
    {"EHLO [192.0.2.1]\r\n", "250"},
    {"EHLO unwanted.example\r\nMAIL FROM:<a@b.example>\r\nHELO c\r\nMAIL FROM:<a@b.example>\r\n",
     "550 503 250 250"},
    {"HELO c\r\n" TO "HELO unwanted.example\r\nRCPT TO:<a@b.example>\r\n", "250 250 250 550 503"},
    {"ehlo c\r\nmail from:<a@b.example>\r\nrcpt to:<c@d.example>\r\ndata\r\nx\r\n.\r\nquit\r\n",
     "250 250 250 354 250 221"},
    {"NOOP\r\nNOOP x\r\nRSET\r\nHELP\r\n", "250 250 250 214"},
    {"VRFY a\r\n", "503"},
    {GO "VRFY a\r\nVRFY\r\nEXPN a\r\nETRN a\r\nTURN\r\n", "250 252 501 502 502 502"},
    {"RSET x\r\nQUIT x\r\n", "501 501"},
    {GO "DATA x\r\n", "250 503"},
    {GO TO "DATA x\r\n", "250 250 250 501"},
    {GO "MAIL\r\nMAIL a@b.example\r\nMAIL FROM\r\nMAIL TO:<a@b.example>\r\n",
     "250 501 501 501 501"},
    {GO "MAIL FROM:a@b.example\r\nMAIL FROM:<a@b.example>x\r\n", "250 501 501"},
    {GO "MAIL FROM: <a@b.example>\r\nRCPT TO: <a@b.example> \r\n", "250 250 250"},
    {GO "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<@>\r\n", "250 250 501 501"},
    {GO "MAIL FROM:<a@b.example> SIZE=1000\r\n", "250 250"},
    {GO "MAIL FROM:<a@b.example> SIZE=1001\r\n", "250 552"},
    {GO "MAIL FROM:<a@b.example> FOO=1\r\nMAIL FROM:<a@b.example> BODY=9BIT\r\n", "250 555 501"},
    {"HELO c\r\nMAIL FROM:<a@b.example> SIZE=1\r\n", "250 501"},
    {GO "MAIL FROM:<\xc3\xa4@b.example>\r\n", "250 553"},
    {GO "MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8\r\nRCPT TO:<\xc3\xb6@c.example>\r\n",
     "250 250 250"},
    {GO "MAIL FROM:<a@b.example>\r\nRCPT TO:<\xc3\xb6@c.example>\r\n", "250 250 553"},
    {GO "MAIL FROM:<\xe4@b.example> SMTPUTF8\r\n", "250 553"},
    {GO "VRFY \xc3\xb6\r\n", "250 252"},
    {GO "STARTTLS\r\n", "250 502"},
    {GO "AUTH PLAIN\r\n", "250 502"},
    {GO "XCLIENT ADDR=192.0.2.1\r\n", "250 550"},
    {"XYZZY\r\n\r\n \r\n", "500 500 500"},
    {"GET / HTTP/1.1\r\nHost: x\r\n", "421"},
    {"Subject: hello\r\n", "421"},
    {"NOOP\n", "500"},
    {"NO\rOP\r\n", "500"},
    {GO "BDAT 3\r\nabcNOOP\r\n", "250 503 250"},
    {"BDAT 3\r\nabcNOOP\r\n", "503 250"},
    {GO "BDAT\r\n", "250 501"},
    {GO "BDAT x\r\nNOOP\r\n", "250 501"},
    {GO "BDAT -1\r\n", "250 501"},
    {GO "BDAT 1 FIRST\r\n", "250 501"},
    {GO "BDAT 99999999999\r\n", "250 552"},
    {GO TO "BDAT 4 LAST\r\nab\r\nNOOP\r\n", "250 250 250 250 250"},
    {GO TO "BDAT 0 LAST\r\n", "250 250 250 250"},
    {GO TO "BDAT 0\r\nBDAT 0 LAST\r\n", "250 250 250 250 250"},
    {GO TO "BDAT 2\r\nabDATA\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRSET\r\n" TO,
     "250 250 250 250 503 503 503 250 250 250"},
    {GO TO "BDAT 2\r\nabQUIT\r\n", "250 250 250 250 221"},
    {GO TO "BDAT 4 LAST\r\na\nb\nBDAT 1\r\nx", "250 250 250 550 503"}, /* error, then BDAT again */
    {GO TO "BDAT 4 LAST\r\na\nb\nDATA\r\n", "250 250 250 550 503"},
    {GO TO "BDAT 0\r\nBDAT 0\r\nBDAT 0\r\nBDAT 0\r\nBDAT 0\r\nBDAT 0\r\n",
     "250 250 250 250 250 250 250 552 503"},
    {GO TO "DATA\r\na\nb\r\n.\r\nRCPT TO:<a@b.example>\r\n", "250 250 250 354 550 503"},
    {GO TO "DATA\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\n\r\n.\r\n", "250 250 250 354 250"},
    {GO TO "DATA\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\n\r\n.\r\nDATA\r\n",
     "250 250 250 354 554 503"},
    {GO "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@c.d>\r\nRCPT TO:<2@c.d>\r\nRCPT TO:<3@c.d>\r\n"
        "RCPT TO:<4@c.d>\r\nDATA\r\n",
     "250 250 250 250 250 452 354"},
};

static void by_line(struct bench *b, struct span in)
{
    struct buf pending = {0};
    while (in.n > 0) {
        size_t nl = span_find(in, '\n');
        size_t n = nl == SIZE_MAX ? in.n : nl + 1;
        buf_add(&pending, span_sub(in, 0, n));
        buf_drop(&pending, smtp_input(&b->s, buf_span(&pending)));
        in = span_from(in, n);
    }
    buf_free(&pending);
}

static void dialogues_have_their_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct bench *b = bench_new();
            struct span said = span_str(dialogues[i].said);
            if (bytewise)
                feed(b, said, 1);
            else
                by_line(b, said);
            const char *got = codes(b);
            if (strcmp(got, dialogues[i].codes) != 0)
                fail_msg("%s (bytewise %d):\n  got    %s\n  wanted %s", dialogues[i].said, bytewise,
                         got, dialogues[i].codes);
            bench_free(b);
        }
    }
}

static void extensions_are_offered(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->policy.tls_offered = b->policy.auth_offered = b->policy.xclient = true;
    feed(b, SPAN("EHLO c\r\n"), 100);
    static const char *const want[] = {"250-gate.test\r\n",
                                       "PIPELINING",
                                       "SIZE 1000\r\n",
                                       "8BITMIME",
                                       "SMTPUTF8",
                                       "CHUNKING",
                                       "DSN",
                                       "STARTTLS",
                                       "XCLIENT NAME ADDR",
                                       "250 ENHANCEDSTATUSCODES\r\n"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(b->out.p, want[i]))
            fail_msg("%s missing in %s", want[i], b->out.p);
    assert_null(strstr(b->out.p, "AUTH")); /* not in the clear */
    buf_clear(&b->out);
    smtp_mark_secure(&b->s);
    feed(b, SPAN("EHLO c\r\n"), 100);
    assert_non_null(strstr(b->out.p, "AUTH PLAIN LOGIN"));
    assert_null(strstr(b->out.p, "STARTTLS"));
    bench_free(b);
}

static void pipelining_keeps_its_order(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    SAY(b, GO);
    b->later = true;
    assert_string_equal(SAY(b, TO "DATA\r\n"), "250 250 354");
    size_t used = smtp_input(&b->s, SPAN("x\r\n.\r\nMAIL FROM:<n@b.example>\r\nQUIT\r\n"));
    assert_int_equal(used, 6); /* nothing is taken while the answer is open */
    assert_string_equal(codes(b), "");
    assert_int_equal(smtp_input(&b->s, SPAN("MAIL")), 0);
    smtp_answer(&b->s, R_STORED, "ID");
    assert_string_equal(codes(b), "250");
    assert_string_equal(SAY(b, "MAIL FROM:<n@b.example>\r\nQUIT\r\n"), "250 221");
    assert_true(b->closed);
    bench_free(b);
}

static void early_talkers_are_cut_off(void **state)
{
    (void)state;
    static const char *const early[] = {"EHLO c\r\nMAIL FROM:<a@b.example>\r\n",
                                        GO TO "DATA\r\nx\r\n.\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct bench *b = bench_new();
        const char *said = early[i];
        if (i == 1) {
            SAY(b, GO);
            said += strlen(GO);
        }
        feed(b, span_str(said), 1000);
        const char *got = codes(b);
        assert_string_equal(got + strlen(got) - 3, "554");
        assert_true(b->closed);
        bench_free(b);
    }
}

static void starttls_forgets_everything(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->policy.tls_offered = b->policy.tls_required = true;
    assert_string_equal(SAY(b, "HELO c\r\n"), "530");
    assert_string_equal(SAY(b, GO), "250");
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "530");
    assert_string_equal(SAY(b, "BDAT 2 LAST\r\nab"), "530");
    assert_string_equal(SAY(b, "STARTTLS x\r\n"), "501");
    size_t used = smtp_input(&b->s, SPAN("STARTTLS\r\nMAIL FROM:<evil@b.example>\r\n"));
    assert_int_equal(used, 10);
    assert_true(b->tls_started);
    assert_string_equal(codes(b), "220");
    smtp_secured(&b->s);
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "503"); /* EHLO anew */
    assert_string_equal(SAY(b, GO), "250");
    assert_string_equal(SAY(b, "STARTTLS\r\n"), "503");
    assert_string_equal(SAY(b, TO), "250 250");
    assert_string_equal(smtp_protocol(&b->s), "ESMTPS");
    bench_free(b);
}

static void authentication(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->policy.auth_offered = b->policy.auth_required = true;
    assert_string_equal(SAY(b, GO "\r\n"), "554");
    bench_free(b);
    b = bench_new();
    b->policy.auth_offered = b->policy.auth_required = true;
    SAY(b, GO);
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "530");
    assert_string_equal(SAY(b, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n"), "538");
    smtp_mark_secure(&b->s);
    assert_string_equal(SAY(b, "AUTH\r\n"), "501");
    assert_string_equal(SAY(b, "AUTH CRAM-MD5\r\n"), "504");
    assert_string_equal(SAY(b, "AUTH PLAIN\r\n"), "334");
    assert_string_equal(SAY(b, "*\r\n"), "501");
    assert_string_equal(SAY(b, "AUTH PLAIN !!!\r\n"), "501");
    assert_string_equal(SAY(b, "AUTH LOGIN\r\n"), "334");
    feed(b, SPAN("YW5uYQ==\r\n"), 1);
    assert_string_equal(b->out.p, "334 UGFzc3dvcmQ6\r\n");
    buf_clear(&b->out);
    b->auth_answer = R_AUTH_BAD;
    assert_string_equal(SAY(b, "c2VjcmV0\r\n"), "535");
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "530");
    b->auth_answer = R_AUTH_OK;
    assert_string_equal(SAY(b, "AUTH PLAIN\r\n"), "334");
    assert_string_equal(SAY(b, "AGFubmEAc2VjcmV0\r\n"), "235");
    assert_string_equal(b->user, "anna");
    assert_string_equal(b->password, "secret");
    assert_string_equal(SAY(b, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n"), "503");
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "250");
    assert_string_equal(smtp_protocol(&b->s), "ESMTPSA");
    assert_string_equal(SAY(b, "AUTH PLAIN AGFubmEAc2VjcmV0\r\n"), "503");
    bench_free(b);

    b = bench_new(); /* a line that is too long ends the dialogue */
    b->policy.auth_offered = b->policy.auth_plaintext = true;
    SAY(b, GO);
    SAY(b, "AUTH PLAIN\r\n");
    char big[500];
    memset(big, 'A', sizeof big);
    feed(b, span_of(big, sizeof big), 50);
    assert_string_equal(SAY(b, "\r\nNOOP\r\n"), "500 250");
    bench_free(b);
}

static void xclient_starts_anew(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->policy.xclient = true;
    b->policy.auth_required = true;
    SAY(b, GO);
    assert_string_equal(SAY(b, "XCLIENT FOO=1\r\n"), "501");
    assert_string_equal(SAY(b, "XCLIENT HELO=h.example LOGIN=anna\r\n"), "220");
    assert_string_equal(SAY(b, "MAIL FROM:<a@b.example>\r\n"), "503");
    SAY(b, GO);
    assert_string_equal(SAY(b, TO "XCLIENT ADDR=192.0.2.1\r\n"), "250 250 503");
    assert_non_null(strstr(b->events.p, "xclient(h.example);"));
    bench_free(b);
}

static void limits_of_a_session(void **state)
{
    (void)state;
    struct bench *b = bench_new(); /* errors */
    b->limits.errors = 3;
    assert_string_equal(SAY(b, "X\r\nX\r\nX\r\nNOOP\r\n"), "500 500 500 421");
    assert_true(b->closed);
    bench_free(b);

    b = bench_new(); /* commands that lead nowhere */
    b->limits.commands = 3;
    assert_string_equal(SAY(b, "NOOP\r\nRSET\r\nNOOP\r\nNOOP\r\n"), "250 250 250 421");
    bench_free(b);

    b = bench_new(); /* commands of mail don't count */
    b->limits.commands = 4;
    SAY(b, GO);
    assert_string_equal(SAY(b, TO "RCPT TO:<2@c.d>\r\nRCPT TO:<3@c.d>\r\nDATA\r\n"),
                        "250 250 250 250 354");
    assert_string_equal(SAY(b, "x\r\n.\r\n"), "250");
    bench_free(b);

    b = bench_new(); /* transactions */
    b->limits.transactions = 1;
    SAY(b, GO);
    assert_string_equal(SAY(b, TO "RSET\r\nMAIL FROM:<a@b.example>\r\n"), "250 250 250 421");
    bench_free(b);

    b = bench_new(); /* length of a line, in pieces and whole */
    char big[5000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 2] = '\r';
    big[sizeof big - 1] = '\n';
    feed(b, span_of(big, sizeof big), 100);
    feed(b, span_of(big, sizeof big), sizeof big);
    feed(b, SPAN("NOOP\r\n"), 1);
    assert_string_equal(codes(b), "500 500 250");
    bench_free(b);
}

static void limits_of_a_message(void **state)
{
    (void)state;
    char big[1200];
    memset(big, 'x', sizeof big);
    for (size_t size = 999; size <= 1001; size++) { /* bytes with the last line end */
        struct bench *b = bench_new();
        SAY(b, GO);
        SAY(b, TO "DATA\r\n");
        feed(b, SPAN("\r\n"), 2);
        feed(b, span_of(big, size - 4), 77);
        assert_string_equal(SAY(b, "\r\n.\r\n"), size <= 1000 ? "250" : "552");
        assert_int_equal(b->content.n <= 1000, 1);
        assert_string_equal(SAY(b, "DATA\r\n"), "503");
        bench_free(b);
    }
    struct bench *b = bench_new();
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    feed(b, SPAN("X: "), 3);
    feed(b, span_of(big, 500), 77);
    assert_string_equal(SAY(b, "\r\n\r\n.\r\n"), "552");
    bench_free(b);

    b = bench_new(); /* who never stops is cut off */
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    for (int i = 0; i < 9000 && !b->closed; i++)
        smtp_input(&b->s, span_of(big, 1000));
    assert_true(b->closed);
    assert_string_equal(codes(b), "552");
    bench_free(b);
}

static void helo_is_answered_later(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->helo_later = true;
    assert_string_equal(SAY(b, "EHLO c\r\n"), "");
    assert_int_equal(b->s.wait, WAIT_HELO);
    smtp_leave(&b->s); /* not before the answer */
    assert_string_equal(codes(b), "");
    smtp_answer(&b->s, R_EHLO, NULL);
    assert_non_null(strstr(b->out.p, "250-PIPELINING"));
    assert_string_equal(codes(b), "250 421");
    bench_free(b);
}

static void every_way_out_resets(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "RSET\r\n", "EHLO c\r\n", "HELO c\r\n", "QUIT\r\n", "BDAT x\r\n", "GET / HTTP\r\n",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct bench *b = bench_new();
        SAY(b, GO);
        SAY(b, TO);
        assert_int_equal(b->open, 1);
        by_line(b, span_str(ways[i]));
        assert_int_equal(b->open, 0);
        codes(b);
        if (!b->closed)
            assert_string_equal(SAY(b, "DATA\r\n"), "503");
        bench_free(b);
    }
    static const enum reply_id ends[] = {R_STORED, R_REJECTED, R_SPOOL_FULL, R_SHUTDOWN};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct bench *b = bench_new();
        b->end_answer = ends[i];
        SAY(b, GO);
        SAY(b, TO "DATA\r\n");
        SAY(b, "x\r\n.\r\n");
        assert_int_equal(b->open, 0);
        if (!b->closed)
            assert_string_equal(SAY(b, "RCPT TO:<c@d.example>\r\nDATA\r\n"), "503 503");
        bench_free(b);
    }
    struct bench *b = bench_new();
    b->begin_answer = R_LOCAL_ERROR;
    SAY(b, GO);
    assert_string_equal(SAY(b, TO "DATA\r\n"), "250 250 451");
    assert_int_equal(b->open, 0);
    assert_string_equal(SAY(b, TO "BDAT 3\r\nabcBDAT 3 LAST\r\nabc"), "250 250 451 503");
    assert_int_equal(b->open, 0);
    bench_free(b);
}

static void answers_from_outside(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->later = true;
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    SAY(b, "x\r\n.\r\n");
    smtp_answer_text(&b->s, SPAN("550 5.7.1 no\r\n250 yes"));
    assert_string_equal(codes(b), "451"); /* not a reply: our own */
    SAY(b, TO "DATA\r\n");
    SAY(b, "x\r\n.\r\n");
    smtp_answer_text(&b->s, SPAN("550 5.7.1 no"));
    assert_string_equal(b->out.p, "550 5.7.1 no\r\n");
    assert_string_equal(codes(b), "550");
    SAY(b, TO "DATA\r\n");
    SAY(b, "x\r\n.\r\n");
    smtp_answer_text(&b->s, SPAN("550 5.7.1 no\nnever"));
    assert_string_equal(b->out.p, "550-5.7.1 no\r\n550 5.7.1 never\r\n");
    smtp_answer(&b->s, R_STORED, "ID"); /* nothing is open: nothing is said */
    assert_string_equal(codes(b), "550");
    bench_free(b);
}

static void leaving_waits_for_the_transaction(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    smtp_leave(&b->s);
    assert_string_equal(codes(b), "421");
    assert_true(b->closed);
    bench_free(b);
    b = bench_new();
    b->later = true;
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    smtp_leave(&b->s);
    SAY(b, "x\r\n.\r\n");
    assert_false(b->closed);
    smtp_answer(&b->s, R_STORED, "ID");
    assert_string_equal(codes(b), "250 421");
    assert_true(b->closed);
    bench_free(b);
    b = bench_new();
    SAY(b, GO);
    SAY(b, TO);
    smtp_leave(&b->s);
    assert_string_equal(SAY(b, "RSET\r\n"), "250 421");
    bench_free(b);
}

static void content_arrives_whole(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    feed(b, SPAN("Subject: x\r\n\r\n..dot\r\n.\r\n"), 3);
    assert_string_equal(b->content.p, "Subject: x\r\n\r\n.dot\r\n");
    codes(b);
    feed(b,
         SPAN(TO "BDAT 5\r\n.a\r\n.BDAT 4\r\n\r\n\xff\xfe"
                 "BDAT 0 LAST\r\n"),
         7);
    assert_string_equal(codes(b), "250 250 250 250 250");
    assert_true(span_eq(buf_span(&b->content), SPAN(".a\r\n.\r\n\xff\xfe\r\n")));
    bench_free(b);
}

static void lenient_where_told(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    b->policy.normalise = true;
    assert_string_equal(SAY(b, "NOOP\n"), "250");
    SAY(b, GO);
    SAY(b, TO "DATA\r\n");
    assert_string_equal(SAY(b, "a\n.\nb\r\n.\r\n"), "250");
    assert_string_equal(b->content.p, "a\r\n.\r\nb\r\n");
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues_have_their_codes),
        cmocka_unit_test(extensions_are_offered),
        cmocka_unit_test(pipelining_keeps_its_order),
        cmocka_unit_test(early_talkers_are_cut_off),
        cmocka_unit_test(starttls_forgets_everything),
        cmocka_unit_test(authentication),
        cmocka_unit_test(xclient_starts_anew),
        cmocka_unit_test(limits_of_a_session),
        cmocka_unit_test(limits_of_a_message),
        cmocka_unit_test(helo_is_answered_later),
        cmocka_unit_test(every_way_out_resets),
        cmocka_unit_test(answers_from_outside),
        cmocka_unit_test(leaving_waits_for_the_transaction),
        cmocka_unit_test(content_arrives_whole),
        cmocka_unit_test(lenient_where_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
