#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "smtp/params.h"
#include "smtp/path.h"
#include "smtp/proxy.h"
#include "smtp/sasl.h"
#include "smtp/xclient.h"

/* A span in a static table; may hold NULs. */
#define BYTES(lit)                                                                                 \
    {                                                                                              \
        lit, sizeof(lit) - 1                                                                       \
    }

/* ---- paths ---- */

static const struct {
    const char *in;
    bool utf8;
    const char *addr; /* NULL: refused */
    const char *rest;
} paths[] = {
    {"<>", false, "", ""},
    {"<a@b.example>", false, "a@b.example", ""},
    {"<a@b.example> SIZE=1", false, "a@b.example", " SIZE=1"},
    {"<a.b+c_d=e@b-c.example>", false, "a.b+c_d=e@b-c.example", ""},
    {"<postmaster>", false, "postmaster", ""},
    {"<\"a b\"@c.example>", false, "\"a b\"@c.example", ""},
    {"<\"ab\"@c.example>", false, "ab@c.example", ""},
    {"<\"a\\b\"@c.example>", false, "ab@c.example", ""},
    {"<\"a\\\"b\"@c.example>", false, "\"a\\\"b\"@c.example", ""},
    {"<\"a>b\"@c.example>", false, "\"a>b\"@c.example", ""},
    {"<\"\"@c.example>", false, "\"\"@c.example", ""},
    {"<\"a@b\"@c.example>", false, "\"a@b\"@c.example", ""},
    {"<a@[192.0.2.1]>", false, "a@[192.0.2.1]", ""},
    {"<a@[IPv6:2001:db8::1]>", false, "a@[IPv6:2001:db8::1]", ""},
    {"<@r.example,@s.example:a@b.example>", false, "a@b.example", ""},
    {"<@[192.0.2.1]:a@b.example>", false, "a@b.example", ""},
    {"<@[IPv6:::1]:a@b.example>", false, "a@b.example", ""},
    {"<a_b@under_score.example>", false, "a_b@under_score.example", ""},
    {"<j\xc3\xb6rg@b\xc3\xbc"
     "cher.example>",
     true,
     "j\xc3\xb6rg@b\xc3\xbc"
     "cher.example",
     ""},

    {"", false, NULL, NULL},
    {"<", false, NULL, NULL},
    {">", false, NULL, NULL},
    {"a@b.example", false, NULL, NULL},
    {"<a@b.example", false, NULL, NULL},
    {"<a@b.example.>", false, NULL, NULL},
    {"<a@b.example >", false, NULL, NULL},
    {"< a@b.example>", false, NULL, NULL},
    {"<a@>", false, NULL, NULL},
    {"<@b.example>", false, NULL, NULL},
    {"<a@@b.example>", false, NULL, NULL},
    {"<a@b@c.example>", false, NULL, NULL},
    {"<.a@b.example>", false, NULL, NULL},
    {"<a.@b.example>", false, NULL, NULL},
    {"<a..b@b.example>", false, NULL, NULL},
    {"<a b@c.example>", false, NULL, NULL},
    {"<\"a@c.example>", false, NULL, NULL},
    {"<\"a\"b@c.example>", false, NULL, NULL},
    {"<\"a\\", false, NULL, NULL},
    {"<\"a\nb\"@c.example>", false, NULL, NULL},
    {"<a@-b.example>", false, NULL, NULL},
    {"<a@b-.example>", false, NULL, NULL},
    {"<a@b..example>", false, NULL, NULL},
    {"<a@b!c.example>", false, NULL, NULL},
    {"<a@[192.0.2]>", false, NULL, NULL},
    {"<a@[192.0.2.256]>", false, NULL, NULL},
    {"<a@[2001:db8::1]>", false, NULL, NULL},
    {"<a@[IPv6:192.0.2.1]>", false, NULL, NULL},
    {"<a@[[192.0.2.1]]>", false, NULL, NULL},
    {"<a@[]>", false, NULL, NULL},
    {"<@r.example a@b.example>", false, NULL, NULL},
    {"<@r.example:>", false, NULL, NULL},
    {"<r.example:a@b.example>", false, NULL, NULL},
    {"<j\xc3\xb6rg@b.example>", false, NULL, NULL},
    {"<j\xf6rg@b.example>", true, NULL, NULL},
    {"<j\xc0\xafrg@b.example>", true, NULL, NULL},
    {"<\xc2\x85@b.example>", true, NULL, NULL},
    {"<\xed\xa0\x80@b.example>", true, NULL, NULL},
};

static void paths_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct span rest = span_str(paths[i].in);
        struct smtp_path p;
        enum path_error e = path_parse(&rest, paths[i].utf8, &p);
        if ((e == PATH_OK) != (paths[i].addr != NULL))
            fail_msg("%s: %d", paths[i].in, e);
        if (e != PATH_OK)
            continue;
        if (!span_eq(path_addr(&p), span_str(paths[i].addr)))
            fail_msg("%s: %s", paths[i].in, p.addr);
        assert_true(span_eq(rest, span_str(paths[i].rest)));
        assert_int_equal(p.null, p.n == 0);
    }
}

static void paths_have_limits(void **state)
{
    (void)state;
    struct smtp_path p;
    char text[3000];
    for (size_t local = SMTP_LOCAL_MAX - 1; local <= SMTP_LOCAL_MAX + 1; local++) {
        memset(text, 'a', sizeof text);
        text[0] = '<';
        memcpy(text + 1 + local, "@b.example>", 12);
        struct span rest = span_str(text);
        assert_int_equal(path_parse(&rest, false, &p) == PATH_OK, local <= SMTP_LOCAL_MAX);
    }
    /* Quoted pairs double what is written back. */
    text[0] = '<';
    text[1] = '"';
    for (size_t i = 0; i < SMTP_LOCAL_MAX; i++)
        memcpy(text + 2 + 2 * i, "\\\"", 2);
    memcpy(text + 2 + 2 * SMTP_LOCAL_MAX, "\"@b.example>", 13);
    struct span rest = span_str(text);
    assert_int_equal(path_parse(&rest, false, &p), PATH_OK);
    assert_int_equal(p.at, 2 * SMTP_LOCAL_MAX + 2);
    for (size_t label = SMTP_LABEL_MAX; label <= SMTP_LABEL_MAX + 1; label++) {
        memset(text, 'b', label);
        memcpy(text + label, ".example", 9);
        assert_int_equal(domain_valid(span_str(text), false), label <= SMTP_LABEL_MAX);
    }
    memset(text, 'x', sizeof text);
    for (size_t i = 50; i < SMTP_DOMAIN_MAX; i += 50)
        text[i] = '.';
    assert_true(domain_valid(span_of(text, SMTP_DOMAIN_MAX), false));
    assert_false(domain_valid(span_of(text, SMTP_DOMAIN_MAX + 1), false));
}

static void routes_in_local_parts(void **state)
{
    (void)state;
    assert_true(local_is_route(SPAN("a%b")));
    assert_true(local_is_route(SPAN("b!a")));
    assert_true(local_is_route(SPAN("\"a@b\"")));
    assert_false(local_is_route(SPAN("a+b=c.d")));
}

/* ---- parameters ---- */

static const struct {
    const char *in;
    enum param_status status;
    const char *name;
} mail_cases[] = {
    {"", PARAM_OK, ""},
    {" SIZE=123 BODY=8BITMIME", PARAM_OK, NULL},
    {" size=0 body=7bit smtputf8", PARAM_OK, NULL},
    {" RET=HDRS ENVID=QQ+2B314159", PARAM_OK, NULL},
    {" SIZE", PARAM_BAD, "SIZE"},
    {" SIZE=", PARAM_BAD, "SIZE"},
    {" SIZE=-1", PARAM_BAD, "SIZE"},
    {" SIZE=99999999999999999999999", PARAM_BAD, "SIZE"},
    {" SIZE=1 SIZE=2", PARAM_BAD, "SIZE"},
    {" BODY=BINARYMIME", PARAM_BAD, "BODY"},
    {" SMTPUTF8=yes", PARAM_BAD, "SMTPUTF8"},
    {" RET=ALL", PARAM_BAD, "RET"},
    {" ENVID=", PARAM_BAD, "ENVID"},
    {" ENVID=a+00b", PARAM_BAD, "ENVID"},
    {" ENVID=a+0Db", PARAM_BAD, "ENVID"},
    {" ENVID=a+0Ab", PARAM_BAD, "ENVID"},
    {" ENVID=a+7Fb", PARAM_BAD, "ENVID"},
    {" ENVID=a+E4b", PARAM_BAD, "ENVID"},
    {" ENVID=a+2b", PARAM_BAD, "ENVID"},
    {" ENVID=a+", PARAM_BAD, "ENVID"},
    {" ENVID=a+4", PARAM_BAD, "ENVID"},
    {" ENVID=a\xc3\xa4", PARAM_BAD, "ENVID"},
    {" ENVID=a=b", PARAM_BAD, "ENVID"},
    {" XYZZY=1", PARAM_UNKNOWN, "XYZZY"},
    {" AUTH=<>", PARAM_UNKNOWN, "AUTH"},
    {" \x01\xff", PARAM_UNKNOWN, "??"},
};

static void mail_parameters(void **state)
{
    (void)state;
    struct mail_params p;
    char name[PARAM_NAME_SIZE];
    for (size_t i = 0; i < sizeof mail_cases / sizeof *mail_cases; i++) {
        enum param_status s = mail_params_parse(span_str(mail_cases[i].in), false, &p, name);
        if (s != mail_cases[i].status)
            fail_msg("%s: %d", mail_cases[i].in, s);
        if (s != PARAM_OK)
            assert_string_equal(name, mail_cases[i].name);
    }
    mail_params_parse(SPAN(" ENVID=QQ+2B314+3D SIZE=77 RET=FULL BODY=8BITMIME"), false, &p, name);
    assert_true(span_eq(p.envid, SPAN("QQ+314=")));
    assert_int_equal(p.size, 77);
    assert_true(p.has_size && p.body_8bit && p.ret == MAIL_RET_FULL);
    assert_int_equal(mail_params_parse(SPAN(" AUTH=a+40b"), true, &p, name), PARAM_OK);
    assert_int_equal(mail_params_parse(SPAN(" AUTH=a+00b"), true, &p, name), PARAM_BAD);
}

static const struct {
    const char *in;
    bool utf8;
    enum param_status status;
} rcpt_cases[] = {
    {"", false, PARAM_OK},
    {" NOTIFY=NEVER", false, PARAM_OK},
    {" NOTIFY=SUCCESS,FAILURE,DELAY", false, PARAM_OK},
    {" NOTIFY=NEVER,FAILURE", false, PARAM_BAD},
    {" NOTIFY=", false, PARAM_BAD},
    {" NOTIFY=,", false, PARAM_BAD},
    {" NOTIFY=SUCCESS,", false, PARAM_BAD},
    {" NOTIFY=SUCCESS,SUCCESS", false, PARAM_BAD},
    {" NOTIFY=MAYBE", false, PARAM_BAD},
    {" NOTIFY=DELAY NOTIFY=DELAY", false, PARAM_BAD},
    {" ORCPT=rfc822;a@b.example", false, PARAM_OK},
    {" ORCPT=rfc822;a+2Bc@b.example", false, PARAM_OK},
    {" ORCPT=rfc822;a+00@b.example", false, PARAM_BAD},
    {" ORCPT=rfc822;a+0D+0ADATA", false, PARAM_BAD},
    {" ORCPT=rfc822;", false, PARAM_BAD},
    {" ORCPT=;a@b.example", false, PARAM_BAD},
    {" ORCPT=a@b.example", false, PARAM_BAD},
    {" ORCPT=rfc 822;a", false, PARAM_BAD},
    {" ORCPT=utf-8;j\\x{F6}rg@b.example", false, PARAM_OK},
    {" ORCPT=utf-8;j\xc3\xb6rg@b.example", true, PARAM_OK},
    {" ORCPT=utf-8;j\xc3\xb6rg@b.example", false, PARAM_BAD},
    {" ORCPT=utf-8;j\xf6rg@b.example", true, PARAM_BAD},
    {" SIZE=1", false, PARAM_UNKNOWN},
};

static void rcpt_parameters(void **state)
{
    (void)state;
    struct rcpt_params p;
    char name[PARAM_NAME_SIZE];
    for (size_t i = 0; i < sizeof rcpt_cases / sizeof *rcpt_cases; i++) {
        enum param_status s =
            rcpt_params_parse(span_str(rcpt_cases[i].in), rcpt_cases[i].utf8, &p, name);
        if (s != rcpt_cases[i].status)
            fail_msg("%s: %d", rcpt_cases[i].in, s);
    }
    rcpt_params_parse(SPAN(" ORCPT=rfc822;a+2Bc@b.example NOTIFY=DELAY,FAILURE"), false, &p, name);
    assert_true(span_eq(p.orcpt, SPAN("rfc822;a+c@b.example")));
    assert_int_equal(p.notify, RCPT_NOTIFY_DELAY | RCPT_NOTIFY_FAILURE);
}

static void xtext_both_ways(void **state)
{
    (void)state;
    struct buf b = {0};
    char out[64];
    xtext_encode(&b, SPAN("a+b=c d\xc3\xa4"));
    assert_string_equal(b.p, "a+2Bb+3Dc+20d+C3+A4");
    long n = xtext_decode(buf_span(&b), out);
    assert_true(span_eq(span_of(out, (size_t)n), SPAN("a+b=c d\xc3\xa4")));
    buf_free(&b);
}

/* ---- SASL ---- */

static void sasl_plain(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum sasl_status status;
    } cases[] = {
        {"AGFubmEAc2VjcmV0", SASL_DONE},         /* \0anna\0secret */
        {"YW5uYQBhbm5hAHNlY3JldA==", SASL_DONE}, /* anna\0anna\0secret */
        {"Ym9iAGFubmEAc2VjcmV0", SASL_BAD},      /* bob\0anna\0secret */
        {"AAAAc2VjcmV0", SASL_BAD},              /* empty user */
        {"AGFubmEAc2VjAHJldA==", SASL_BAD},      /* NUL in the password */
        {"YW5uYQ==", SASL_BAD},
        {"AGFubmEAc2VjcmV", SASL_BAD},
        {"AGFu bmEAc2VjcmV0", SASL_BAD},
        {"!!!!", SASL_BAD},
        {"", SASL_BAD},
        {"=", SASL_BAD},
        {"*", SASL_CANCELLED},
    };
    struct sasl s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(sasl_begin(&s, SPAN("plain")));
        assert_int_equal(sasl_take(&s, span_str(cases[i].line)), cases[i].status);
        if (cases[i].status == SASL_DONE) {
            assert_string_equal(s.user, "anna");
            assert_string_equal(s.password, "secret");
        }
    }
    assert_false(sasl_begin(&s, SPAN("GSSAPI")));
    /* However long the line is, nothing outgrows its buffer. */
    char big[20000];
    memset(big, 'A', sizeof big);
    for (size_t n = 0; n < sizeof big; n += 997) {
        sasl_begin(&s, SPAN("PLAIN"));
        assert_int_equal(sasl_take(&s, span_of(big, n)), SASL_BAD);
    }
}

static void sasl_login(void **state)
{
    (void)state;
    struct sasl s;
    assert_true(sasl_begin(&s, SPAN("LOGIN")));
    assert_string_equal(sasl_prompt(&s), "VXNlcm5hbWU6");
    assert_int_equal(sasl_take(&s, SPAN("YW5uYQ==")), SASL_MORE);
    assert_string_equal(sasl_prompt(&s), "UGFzc3dvcmQ6");
    assert_int_equal(sasl_take(&s, SPAN("c2VjcmV0")), SASL_DONE);
    assert_string_equal(s.user, "anna");
    assert_string_equal(s.password, "secret");
    sasl_begin(&s, SPAN("LOGIN"));
    assert_int_equal(sasl_take(&s, SPAN("YQpi")), SASL_BAD); /* a, LF, b */
}

/* ---- PROXY, XCLIENT ---- */

#define V2 "\r\n\r\n\0\r\nQUIT\n"
static const struct {
    struct span in;
    enum proxy_status status;
    size_t used;
    const char *ip;
    uint16_t port;
} proxies[] = {
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 5000 25\r\nEHLO"), PROXY_DONE, 40, "192.0.2.1", 5000},
    {BYTES("PROXY TCP6 2001:db8::1 ::1 5000 25\r\n"), PROXY_DONE, 36, "2001:db8::1", 5000},
    {BYTES("PROXY UNKNOWN\r\n"), PROXY_DONE, 15, NULL, 0},
    {BYTES("PROXY UNKNOWN ffff::1 x 1 2\r\n"), PROXY_DONE, 29, NULL, 0},
    {BYTES("PROXY TCP4 192.0.2.1"), PROXY_MORE, 0, NULL, 0},
    {BYTES("PRO"), PROXY_MORE, 0, NULL, 0},
    {BYTES(""), PROXY_MORE, 0, NULL, 0},
    {BYTES("EHLO x\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 5000 25\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP4 2001:db8::1 ::1 5000 25\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 5000 25\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 5000 25 x\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES("PROXY TCP9 192.0.2.1 192.0.2.2 5000 25\r\n"), PROXY_BAD, 0, NULL, 0},
    {BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x13\x88\0\x19"), PROXY_DONE, 28, "192.0.2.1",
     5000},
    {BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x13\x88\0"), PROXY_MORE, 0, NULL, 0},
    {BYTES(V2 "\x20\x00\0\0"), PROXY_DONE, 16, NULL, 0},
    {BYTES(V2 "\x21\x11\0\x04\xc0\0\2\1"), PROXY_BAD, 0, NULL,
     0}, /* length too short for its family */
    {BYTES(V2 "\x21\x21\0\x0c\xc0\0\2\1\xc0\0\2\2\x13\x88\0\x19"), PROXY_BAD, 0, NULL, 0},
    {BYTES(V2 "\x31\x11\0\x0c"), PROXY_BAD, 0, NULL, 0}, /* version 3 */
    {BYTES(V2 "\x22\x11\0\x0c"), PROXY_BAD, 0, NULL, 0}, /* unknown command */
    {BYTES(V2 "\x21\x11\xff\xff"), PROXY_BAD, 0, NULL, 0},
    {BYTES(V2 "\x21\x99\0\0"), PROXY_BAD, 0, NULL, 0},
    {BYTES("\r\n\r\n"), PROXY_MORE, 0, NULL, 0},
    {BYTES("\r\n\r\n\0\r\nQUIX"), PROXY_BAD, 0, NULL, 0},
};

static void proxy_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++) {
        struct proxy_header h;
        size_t used;
        enum proxy_status s = proxy_parse(proxies[i].in, &used, &h);
        if (s != proxies[i].status)
            fail_msg("case %zu (%.20s): %d", i, proxies[i].in.p, s);
        if (s != PROXY_DONE)
            continue;
        assert_int_equal(used, proxies[i].used);
        assert_int_equal(h.has_ip, proxies[i].ip != NULL);
        if (h.has_ip) {
            struct ip want;
            ip_parse(span_str(proxies[i].ip), &want);
            assert_memory_equal(&h.ip, &want, sizeof want);
            assert_int_equal(h.port, proxies[i].port);
        }
    }
    char endless[200] = "PROXY ";
    struct proxy_header h;
    size_t used;
    memset(endless + 6, 'x', sizeof endless - 6);
    assert_int_equal(proxy_parse(span_of(endless, PROXY_V1_MAX), &used, &h), PROXY_BAD);
}

static void xclient_attributes(void **state)
{
    (void)state;
    struct xclient x;
    assert_true(xclient_parse(SPAN("ADDR=192.0.2.7 PORT=99 NAME=[UNAVAILABLE] HELO=a.example "
                                   "PROTO=ESMTP LOGIN=anna+40b"),
                              &x));
    struct ip want;
    ip_parse(SPAN("192.0.2.7"), &want);
    assert_memory_equal(&x.ip, &want, sizeof want);
    assert_int_equal(x.port, 99);
    assert_true(x.name.p && x.name.n == 0);
    assert_true(span_eq(x.helo, SPAN("a.example")));
    assert_true(span_eq(x.login, SPAN("anna@b")));
    assert_int_equal(x.esmtp, 1);
    assert_true(xclient_parse(SPAN("ADDR=IPv6:2001:db8::1"), &x));
    static const char *const bad[] = {"",           "ADDR",        "ADDR=x",     "ADDR=[192.0.2.1]",
                                      "PORT=70000", "HELO=a+0Ab",  "HELO=a+00b", "WHAT=1",
                                      "NAME=a b",   "LOGIN=a+20b", "PROTO=SMTPX"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (xclient_parse(span_str(bad[i]), &x))
            fail_msg("%s", bad[i]);
    char big[3000] = "HELO=";
    memset(big + 5, 'h', sizeof big - 6);
    big[sizeof big - 1] = '\0';
    assert_false(xclient_parse(span_str(big), &x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_read),
        cmocka_unit_test(paths_have_limits),
        cmocka_unit_test(routes_in_local_parts),
        cmocka_unit_test(mail_parameters),
        cmocka_unit_test(rcpt_parameters),
        cmocka_unit_test(xtext_both_ways),
        cmocka_unit_test(sasl_plain),
        cmocka_unit_test(sasl_login),
        cmocka_unit_test(proxy_headers),
        cmocka_unit_test(xclient_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
