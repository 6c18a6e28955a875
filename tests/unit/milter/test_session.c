/* The milter machine as conversations: packets in, events and packets out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "milter/session.h"

/* A line an event; what is sent appears as "<c" and so on. */
struct script {
    struct milter_session s;
    struct buf log;
    bool later; /* answers are not given at once */
};

static void say(struct script *x, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(&x->log, s.p[i] == '\0' ? '~' : s.p[i]);
}

static void host_send(void *ctx, struct span bytes)
{
    struct script *x = ctx;
    while (bytes.n >= 5) {
        uint32_t n = milter_u32(bytes.p);
        struct span data = span_sub(bytes, 5, 4 + n);
        buf_printf(&x->log, "<%c", bytes.p[4]);
        if (bytes.p[4] != 'O')
            say(x, data);
        buf_char(&x->log, ' ');
        bytes = span_from(bytes, 4 + n);
    }
    assert_int_equal(bytes.n, 0);
}

static void event(struct script *x, const char *name, struct span a)
{
    buf_printf(&x->log, "%s(", name);
    say(x, a);
    buf_str(&x->log, ") ");
}

static void host_connect(void *ctx, struct span name, const struct ip *ip, uint16_t port)
{
    struct script *x = ctx;
    char text[IP_TEXT_SIZE] = "-";
    if (ip)
        ip_text(ip, text);
    buf_printf(&x->log, "connect(%.*s %s %u) ", SPAN_ARG(name), text, port);
    if (!x->later)
        milter_answer(&x->s, span_eq(name, SPAN("refused")) ? MILTER_REJECT : MILTER_CONTINUE);
}

static void host_helo(void *ctx, struct span name)
{
    struct script *x = ctx;
    event(x, "helo", name);
    if (span_eq(name, SPAN("no")))
        milter_answer_text(&x->s, SPAN("550 5.7.1 not you"));
    else if (!x->later)
        milter_answer(&x->s, MILTER_CONTINUE);
}

static void envelope(struct script *x, const char *what, struct span addr, struct span args)
{
    buf_printf(&x->log, "%s(%.*s", what, SPAN_ARG(addr));
    struct span arg;
    while (milter_string(&args, &arg))
        buf_printf(&x->log, " %.*s", SPAN_ARG(arg));
    buf_str(&x->log, ") ");
    if (x->later)
        return;
    if (span_eq(addr, SPAN("no")))
        milter_answer_text(&x->s, SPAN("550 5.1.1 100% no"));
    else
        milter_answer(&x->s, MILTER_CONTINUE);
}

static void host_mail(void *ctx, struct span addr, struct span args)
{
    envelope(ctx, "mail", addr, args);
}

static void host_rcpt(void *ctx, struct span addr, struct span args)
{
    envelope(ctx, "rcpt", addr, args);
}

static void host_header(void *ctx, struct span name, struct span value)
{
    struct script *x = ctx;
    buf_printf(&x->log, "%.*s:%.*s ", SPAN_ARG(name), SPAN_ARG(value));
}

static void host_eoh(void *ctx)
{
    event(ctx, "eoh", SPAN(""));
}

static void host_body(void *ctx, struct span bytes)
{
    event(ctx, "body", bytes);
}

static void host_end(void *ctx)
{
    struct script *x = ctx;
    buf_str(&x->log, "end ");
    if (!x->later)
        milter_answer(&x->s, MILTER_ACCEPT);
}

static void host_reset(void *ctx)
{
    buf_str(&((struct script *)ctx)->log, "reset ");
}

static void host_close(void *ctx, const char *why)
{
    buf_printf(&((struct script *)ctx)->log, "close(%s) ", why);
}

static const struct milter_host host = {host_send, host_connect, host_helo, host_mail,
                                        host_rcpt, host_header,  host_eoh,  host_body,
                                        host_end,  host_reset,   host_close};

static void begin(struct script *x)
{
    *x = (struct script){0};
    milter_begin(&x->s, 0x1ff, &host, x);
}

static void finish(struct script *x)
{
    milter_end(&x->s);
    buf_free(&x->log);
}

static void add(struct buf *b, char cmd, struct span data)
{
    milter_packet(b, cmd, data);
}

static void add_offer(struct buf *b, uint32_t version, uint32_t actions, uint32_t steps)
{
    struct buf d = {0};
    milter_add_u32(&d, version);
    milter_add_u32(&d, actions);
    milter_add_u32(&d, steps);
    milter_packet(b, 'O', buf_span(&d));
    buf_free(&d);
}

/* One packet a string: command, then its data with '~' for NUL. */
static void run(struct script *x, uint32_t steps, const char *const *packets, size_t cut)
{
    struct buf in = {0};
    add_offer(&in, 6, 0x1ff, steps);
    for (; *packets; packets++) {
        struct buf d = {0};
        for (const char *p = *packets + 1; *p; p++)
            buf_char(&d, *p == '~' ? '\0' : *p);
        add(&in, **packets, buf_span(&d));
        buf_free(&d);
    }
    struct span rest = buf_span(&in);
    while (rest.n > 0) {
        struct span piece = span_sub(rest, 0, cut);
        assert_int_equal(milter_input(&x->s, piece), piece.n);
        rest = span_from(rest, piece.n);
    }
    buf_free(&in);
}

enum { ALL = 0x1fffff };

struct row {
    const char *packets[14];
    uint32_t steps;
    const char *log;
};

static const struct row rows[] = {
    {{"Cclient~4\x19\x19"
      "192.0.2.1~",
      "Hhelo~", "M<a@b>~SIZE=5~", "R<c@d>~", "LSubject~ x~", "N", "Btext", "E", "Q"},
     ALL,
     "<O connect(client 192.0.2.1 6425) <c helo(helo) mail(a@b SIZE=5) <c rcpt(c@d) <c "
     "Subject: x eoh() body(text) end <a reset close(quit) "},
    {{"C[192.0.2.1]~4\x01\x01"
      "192.0.2.1~",
      "Hh~", "M<>~", "Rc@d~", "T", "N", "Elast"},
     0,
     "<O connect( 192.0.2.1 257) <c helo(h) <c mail() <c rcpt(c@d) <c <c eoh() <c body(last) "
     "end <a reset "},
    {{"Clocal~U"}, ALL, "<O connect(local - 0) <c "},
    {{"Cx~6\x01\x01IPv6:2001:db8::1~"}, ALL, "<O connect(x 2001:db8::1 257) <c "},
    {{"Cunknown~6\x01\x01::1~"}, ALL, "<O connect( ::1 257) <c "},
    {{"Crefused~U"}, ALL, "<O connect(refused - 0) <r "},
    {{"M<no>~", "M<a>~", "R<no>~", "R<b>~", "A"},
     ALL,
     "<O mail(no) <y550 5.1.1 100%% no~ mail(a) <c rcpt(no) <y550 5.1.1 100%% no~ rcpt(b) <c "
     "reset "},
    /* the arguments in one string, as Sendmail 8.17.1 */
    {{"M<a@b> SIZE=1~BODY=7BIT~"}, ALL, "<O mail(a@b SIZE=1) <c "},
    {{"M<a>~", "M<b>~", "Hx~", "M<c>~", "Cz~U"},
     ALL,
     "<O mail(a) <c reset mail(b) <c reset helo(x) mail(c) <c reset connect(z - 0) <c "},
    {{"M<a>~", "K", "Cz~U"}, ALL, "<O mail(a) <c reset connect(z - 0) <c "},
    {{"Uwhat", "Uwhat"}, 0, "<O <c <c "},
    {{"Uwhat"}, 0x20000, "<O "},
    {{"M<a>~", "Bx", "By", "E"}, 0, "<O mail(a) <c eoh() body(x) <c body(y) <c end <a reset "},
    {{"R<a>~"}, ALL, "<O close(command out of order) "},
    {{"M<a>~", "N", "LX~y~"}, ALL, "<O mail(a) <c eoh() close(command out of order) "},
    {{"M<a>~", "N", "Rx~"}, ALL, "<O mail(a) <c eoh() close(command out of order) "},
    {{"M<a>~", "R~"}, ALL, "<O mail(a) <c close(bad RCPT packet) "},
    {{"M"}, ALL, "<O close(bad MAIL packet) "},
    {{"C"}, ALL, "<O close(bad connect packet) "},
    {{"M<a>~", "L~x~"}, ALL, "<O mail(a) <c close(bad header packet) "},
    {{"D"}, ALL, "<O close(bad macro packet) "},
    {{"z"}, ALL, "<O close(command out of order) "},
};

static void conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct script x;
        begin(&x);
        run(&x, rows[i].steps, rows[i].packets, SIZE_MAX);
        assert_string_equal(x.log.p, rows[i].log);
        finish(&x);
    }
}

/* Cut anywhere, the same things happen; but pieces of a body are passed on as they come. */
static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 2; i < sizeof rows / sizeof *rows; i++) {
        if (strstr(rows[i].log, "body"))
            continue;
        for (size_t cut = 1; cut < 8; cut++) {
            struct script x;
            begin(&x);
            run(&x, rows[i].steps, rows[i].packets, cut);
            assert_string_equal(x.log.p, rows[i].log);
            finish(&x);
        }
    }
}

static void waits_for_answers(void **state)
{
    struct script x;
    struct buf in = {0};
    (void)state;
    begin(&x);
    x.later = true;
    add_offer(&in, 6, 0x1ff, ALL);
    add(&in, 'M', SPAN("<a>"));
    size_t upto = in.n;
    add(&in, 'R', SPAN("<b>"));
    assert_int_equal(milter_input(&x.s, buf_span(&in)), upto);
    assert_true(milter_waiting(&x.s));
    assert_int_equal(milter_input(&x.s, span_from(buf_span(&in), upto)), 0);
    milter_answer(&x.s, MILTER_CONTINUE);
    milter_answer(&x.s, MILTER_CONTINUE); /* nothing was asked: nothing is said */
    assert_string_equal(x.log.p, "<O mail(a) <c ");
    milter_input(&x.s, span_from(buf_span(&in), upto));
    assert_int_equal(x.s.wait, MILTER_W_RCPT);
    finish(&x);
    buf_free(&in);
}

static void helo_may_be_refused(void **state)
{
    static const char *const packets[] = {"Hno~", "Hyes~", "M<a>~", NULL};
    struct script x;
    (void)state;
    begin(&x);
    x.s.answers_helo = true;
    run(&x, ALL, packets, SIZE_MAX);
    assert_true(milter_helo_heard(&x.s));
    assert_string_equal(x.log.p, "<O helo(no) <y550 5.7.1 not you~ helo(yes) <c mail(a) <c ");
    finish(&x);
    begin(&x); /* an MTA that does not wait for the answer does not hear it */
    run(&x, ALL, packets, SIZE_MAX);
    assert_false(milter_helo_heard(&x.s));
    assert_string_equal(x.log.p, "<O helo(no) helo(yes) mail(a) <c ");
    finish(&x);
}

static void skips(void **state)
{
    static const char *const one[] = {"M<a>~", "Bx", NULL};
    struct script x;
    (void)state;
    begin(&x);
    run(&x, MILTER_CAN_SKIP, one, SIZE_MAX);
    milter_enough(&x.s);
    struct buf in = {0};
    add(&in, 'B', SPAN("y"));
    milter_input(&x.s, buf_span(&in));
    assert_string_equal(x.log.p, "<O mail(a) <c eoh() body(x) <c body(y) <s ");
    buf_free(&in);
    finish(&x);
}

static void bad_lengths(void **state)
{
    const struct span bad[] = {SPAN("\0\0\0\0"), SPAN("\0\x10\0\1"), SPAN("\xff\xff\xff\xff")};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct script x;
        begin(&x);
        assert_int_equal(milter_input(&x.s, bad[i]), 4);
        assert_string_equal(x.log.p, "close(bad packet length) ");
        finish(&x);
    }
}

static void nothing_is_held_when_idle(void **state)
{
    static const char *const all[] = {"M<a>~", "R<b>~", "LX~ y~", "N", "E", NULL};
    struct script x;
    (void)state;
    begin(&x);
    run(&x, ALL, all, 3);
    assert_int_equal(x.s.reader.hold.cap, 0);
    finish(&x);
}

/* ---- macros ---- */

static void put_macros(struct script *x, struct span data)
{
    struct buf in = {0};
    add(&in, 'D', data);
    milter_input(&x->s, buf_span(&in));
    buf_free(&in);
}

static bool macro_is(struct script *x, const char *name, const char *value)
{
    struct span got = milter_macro(&x->s, name);
    return value ? got.p && span_eq(got, span_str(value)) : !got.p;
}

static void macros_live_as_long_as_their_stage(void **state)
{
    static const char *const nothing[] = {NULL}, *const mail[] = {"M<a>~", NULL};
    struct script x;
    (void)state;
    begin(&x);
    put_macros(&x, SPAN("Cj\0host\0")); /* even before the negotiation */
    run(&x, ALL, nothing, SIZE_MAX);
    put_macros(&x, SPAN("Ci\0first\0{client_addr}\0"
                        "192.0.2.1"));
    assert_true(macro_is(&x, "j", NULL)); /* the later packet replaces the earlier */
    assert_true(macro_is(&x, "client_addr", "192.0.2.1"));
    put_macros(&x, SPAN("Mi\0queued\0"));
    assert_true(macro_is(&x, "i", "queued"));
    run(&x, ALL, mail, SIZE_MAX);
    finish(&x);

    begin(&x);
    run(&x, ALL, nothing, SIZE_MAX);
    put_macros(&x, SPAN("H{tls_version}\0TLSv1.3\0"));
    put_macros(&x, SPAN("Mi\0queued\0"));
    struct buf in = {0};
    add(&in, 'M', SPAN("<a>\0"));
    milter_input(&x.s, buf_span(&in));
    put_macros(&x, SPAN("R{rcpt_addr}\0one\0"));
    put_macros(&x, SPAN("R{rcpt_addr}\0two\0"));
    assert_true(macro_is(&x, "rcpt_addr", "two") && macro_is(&x, "i", "queued"));
    buf_clear(&in);
    add(&in, 'A', SPAN(""));
    milter_input(&x.s, buf_span(&in));
    assert_true(macro_is(&x, "i", NULL) && macro_is(&x, "rcpt_addr", NULL));
    assert_true(macro_is(&x, "tls_version", "TLSv1.3"));
    buf_clear(&in);
    add(&in, 'K', SPAN(""));
    milter_input(&x.s, buf_span(&in));
    assert_true(macro_is(&x, "tls_version", NULL));
    buf_free(&in);
    finish(&x);
}

static void macros_have_a_limit(void **state)
{
    struct milter_macros m = {0};
    char *big = calloc(1, MILTER_MACROS_MAX + 1);
    (void)state;
    big[0] = 'C';
    assert_true(milter_macros_set(&m, span_of(big, MILTER_MACROS_MAX)));
    assert_false(milter_macros_set(&m, span_of(big, MILTER_MACROS_MAX + 1)));
    assert_false(milter_macros_set(&m, SPAN("?x\0y\0")));
    free(big);
    milter_macros_free(&m);
}

/* ---- negotiation ---- */

static void negotiation(void **state)
{
    static const struct {
        struct milter_options offer, chosen;
    } cases[] = {
        {{6, 0x1ff, 0x1fffff}, {6, 0x13, 0x1c2380}},
        {{2, 0x3f, 0x7f}, {2, 0x13, 0}},
        {{7, ~0u, ~0u}, {6, 0x13, 0x1c2380}},
        {{6, 0x11, 0x400}, {6, 0x11, 0x400}}, /* the body can be declined instead */
        {{6, 0x11, 0x80400}, {6, 0x11, 0x80000}},
        {{6, 0, 0x30000}, {6, 0, 0x30000}}, /* sent, but not answered */
        {{6, 0, 0x30300}, {6, 0, 0x300}},   /* better not sent */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct milter_options got = milter_choose(&cases[i].offer, 0x13, false);
        assert_int_equal(got.version, cases[i].chosen.version);
        assert_int_equal(got.actions, cases[i].chosen.actions);
        assert_int_equal(got.steps, cases[i].chosen.steps);
        assert_int_equal(got.steps & ~cases[i].offer.steps, 0);
    }
    struct milter_options o;
    assert_false(milter_offer_parse(SPAN("\0\0\0\1aaaabbbb"), &o));
    assert_false(milter_offer_parse(SPAN("\0\0\0\6aaaabbb"), &o));
    assert_true(milter_offer_parse(SPAN("\0\0\0\6aaaabbbbmore"), &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(waits_for_answers),
        cmocka_unit_test(helo_may_be_refused),
        cmocka_unit_test(skips),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(nothing_is_held_when_idle),
        cmocka_unit_test(macros_live_as_long_as_their_stage),
        cmocka_unit_test(macros_have_a_limit),
        cmocka_unit_test(negotiation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
