#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mailcheck.h"

/* The message and the keys of RFC 8463 appendix A. */
#define ED_SIGNATURE                                                                               \
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"                                \
    " d=football.example.com; i=@football.example.com;\r\n"                                        \
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"                                      \
    " subject : date : message-id : from : subject : date;\r\n"                                    \
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                        \
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"                              \
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RSA_SIGNATURE                                                                              \
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"                                    \
    " d=football.example.com; i=@football.example.com;\r\n"                                        \
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"                                \
    " date : message-id : from : subject : date;\r\n"                                              \
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                        \
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"                              \
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"                              \
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define FIELDS                                                                                     \
    "From: Joe SixPack <joe@football.example.com>\r\n"                                             \
    "To: Suzie Q <suzie@shopping.example.net>\r\n"                                                 \
    "Subject: Is dinner ready?\r\n"                                                                \
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                              \
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
#define RSA_KEY                                                                                    \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J1" \
    "6JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2" \
    "EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
#define ED_KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

enum { NOW = 1528637910 };

static void keys(struct mailcheck *c, const char *rsa, const char *ed)
{
    zone_txt(&c->zone, "test._domainkey.football.example.com", rsa);
    zone_txt(&c->zone, "brisbane._domainkey.football.example.com", ed);
}

static void open_with_keys(struct mailcheck *c)
{
    mailcheck_open(c);
    keys(c, "v=DKIM1; k=rsa; p=" RSA_KEY, "v=DKIM1; k=ed25519; p=" ED_KEY);
}

static void expect(const struct dkim_fact *f, enum dkim_result result, bool verified,
                   const char *why)
{
    if (f->result != result || f->verified != verified || (why && !span_eq(f->why, span_str(why))))
        fail_msg("%s, verified %d: %.*s", dkim_result_name(f->result), f->verified,
                 SPAN_ARG(f->why));
}

/* One signature over a message that was changed, or with other keys. */
static void expect_one(const char *raw, const char *rsa, const char *ed, enum dkim_result result,
                       bool verified, const char *why)
{
    struct mailcheck c;
    mailcheck_open(&c);
    keys(&c, rsa ? rsa : "p=" RSA_KEY, ed ? ed : "k=ed25519; p=" ED_KEY);
    const struct auth_facts *f = mailcheck(&c, span_str(raw), NOW);
    assert_true(f->ndkim >= 1);
    expect(&f->dkim[0], result, verified, why);
    mailcheck_close(&c);
}

static void test_rfc8463(void **state)
{
    (void)state;
    struct mailcheck c;
    open_with_keys(&c);
    for (int later = 0; later < 2; later++) {
        c.zone.later = later;
        const struct auth_facts *f =
            mailcheck(&c, SPAN(ED_SIGNATURE RSA_SIGNATURE FIELDS BODY), NOW);
        assert_int_equal(c.done, 1);
        assert_int_equal(f->ndkim, 2);
        expect(&f->dkim[0], DKIM_PASS, true, "");
        expect(&f->dkim[1], DKIM_PASS, true, "");
        assert_int_equal(f->dkim[0].bits, 256);
        assert_int_equal(f->dkim[1].bits, 1024);
        assert_true(f->dkim[0].author && f->dkim[1].author);
        assert_true(span_eq(f->dkim[0].domain, SPAN("football.example.com")));
        assert_true(span_eq(f->dkim[0].identity, SPAN("@football.example.com")));
        assert_true(span_eq(f->dkim[1].selector, SPAN("test")));
        assert_true(span_eq(f->dkim[1].tag_b, SPAN("F45dVWDf")));
        assert_true(span_eq(f->dkim[0].algorithm, SPAN("ed25519-sha256")));
        assert_int_equal(f->dkim[0].signed_at, 1528637909 * USEC_PER_SEC);
        assert_int_equal(f->arc.result, ARC_NONE);
    }
    mailcheck_close(&c);
}

static void test_line_ends(void **state)
{
    (void)state;
    struct mailcheck c;
    struct buf lf = {0};
    open_with_keys(&c);
    buf_str(&lf, "From alice Sun Nov 22 07:30:00 2026\n");
    for (const char *p = RSA_SIGNATURE FIELDS BODY; *p; p++)
        if (*p != '\r')
            buf_char(&lf, *p);
    const struct auth_facts *f = mailcheck(&c, buf_span(&lf), NOW);
    assert_int_equal(f->ndkim, 1);
    expect(&f->dkim[0], DKIM_PASS, true, "");
    buf_free(&lf);
    mailcheck_close(&c);
}

static void test_changed(void **state)
{
    (void)state;
    expect_one(RSA_SIGNATURE FIELDS BODY "\r\n\r\n", NULL, NULL, DKIM_PASS, true, NULL);
    expect_one(RSA_SIGNATURE FIELDS BODY "more\r\n", NULL, NULL, DKIM_FAIL, false,
               "the body was changed");
    expect_one(RSA_SIGNATURE "Subject: Other\r\n" FIELDS BODY, NULL, NULL, DKIM_FAIL, false,
               "the header was changed, or the key is another one");
    expect_one(ED_SIGNATURE FIELDS "Subject: Other\r\n" BODY, NULL, NULL, DKIM_FAIL, false, NULL);
    expect_one(RSA_SIGNATURE "X-Spam: no\r\n" FIELDS BODY, NULL, NULL, DKIM_PASS, true, NULL);
}

/* Fields that one reader shows and another doesn't (attack condition 13 of the peers). */
static void test_traps(void **state)
{
    (void)state;
    /* From is signed twice: a second one breaks the signature itself. */
    expect_one(RSA_SIGNATURE "From: x@example.net\r\n" FIELDS BODY, NULL, NULL, DKIM_FAIL, false,
               NULL);
    /* A signer that does not oversign. */
    expect_one(RSA_SIGNATURE FIELDS "Reply-To: a@example.net\r\nReply-to: b@example.net\r\n" BODY,
               NULL, NULL, DKIM_POLICY, true, "a second Reply-To field is not signed");
    expect_one(RSA_SIGNATURE FIELDS "Content-Type: text/plain\r\ncontent-type: text/html\r\n" BODY,
               NULL, NULL, DKIM_POLICY, true, "a second Content-Type field is not signed");
    expect_one(RSA_SIGNATURE FIELDS "no field\r\n" BODY, NULL, NULL, DKIM_POLICY, true,
               "a line in the header is no field");
}

static void test_keys(void **state)
{
    (void)state;
    const char *mail = RSA_SIGNATURE FIELDS BODY;
    expect_one(mail, "v=DKIM1; p=", NULL, DKIM_PERMERROR, false, "the key was revoked");
    expect_one(mail, "v=DKIM2; p=" RSA_KEY, NULL, DKIM_PERMERROR, false,
               "the record is of another version");
    expect_one(mail, "p=" RSA_KEY "; v=DKIM1", NULL, DKIM_PERMERROR, false, NULL);
    expect_one(mail, "k=rsa", NULL, DKIM_PERMERROR, false, "the record has no key");
    expect_one(mail, "k=dsa; p=" RSA_KEY, NULL, DKIM_PERMERROR, false,
               "the key is of an unknown type");
    expect_one(mail, "k=ed25519; p=" ED_KEY, NULL, DKIM_PERMERROR, false,
               "the key is of another type than the signature");
    expect_one(mail, "h=sha1; p=" RSA_KEY, NULL, DKIM_PERMERROR, false,
               "the key is not for this hash");
    expect_one(mail, "h=sha1 : sha256; p=" RSA_KEY, NULL, DKIM_PASS, true, NULL);
    expect_one(mail, "s=tlsrpt; p=" RSA_KEY, NULL, DKIM_PERMERROR, false,
               "the key is not for mail");
    expect_one(mail, "s=email; p=" RSA_KEY, NULL, DKIM_PASS, true, NULL);
    expect_one(mail, "t=y:s; p=" RSA_KEY, NULL, DKIM_PASS, true, NULL);
    expect_one(mail, "p=" RSA_KEY "A", NULL, DKIM_PERMERROR, false, "the key is no base64");
    expect_one(mail, "p=AAAA", NULL, DKIM_PERMERROR, false, "the key can't be read");
    expect_one(mail, "p=!", NULL, DKIM_PERMERROR, false, "the key is no base64");
    expect_one(mail, "p=" RSA_KEY "; p=" RSA_KEY, NULL, DKIM_PERMERROR, false, NULL);
    expect_one(mail, "", NULL, DKIM_PERMERROR, false, NULL);
    expect_one(ED_SIGNATURE FIELDS BODY, NULL, "k=ed25519; p=AAAA", DKIM_PERMERROR, false,
               "an Ed25519 key has 32 bytes");
    expect_one(ED_SIGNATURE FIELDS BODY, NULL,
               "k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", DKIM_FAIL, false, NULL);
}

static void test_testing(void **state)
{
    (void)state;
    struct mailcheck c;
    mailcheck_open(&c);
    keys(&c, "t=y; p=" RSA_KEY, "p=");
    const struct auth_facts *f = mailcheck(&c, SPAN(RSA_SIGNATURE FIELDS BODY "x"), NOW);
    expect(&f->dkim[0], DKIM_NEUTRAL, false, "the body was changed");
    assert_true(f->dkim[0].testing);
    mailcheck_close(&c);
}

static void test_no_answer(void **state)
{
    (void)state;
    struct mailcheck c;
    mailcheck_open(&c);
    zone_add(&c.zone, SPAN("test._domainkey.football.example.com"), ZONE_TIMEOUT, SPAN(""));
    const struct auth_facts *f = mailcheck(&c, SPAN(ED_SIGNATURE RSA_SIGNATURE FIELDS BODY), NOW);
    expect(&f->dkim[0], DKIM_PERMERROR, false, "there is no key");
    expect(&f->dkim[1], DKIM_TEMPERROR, false, "the DNS does not answer for the key");
    mailcheck_close(&c);
}

/* Several records under one name, broken ones among them. */
static void test_several_records(void **state)
{
    (void)state;
    struct mailcheck c;
    mailcheck_open(&c);
    struct span name = SPAN("test._domainkey.football.example.com");
    zone_add(&c.zone, name, DNS_TXT,
             SPAN("\xff"
                  "cut short"));
    zone_add(&c.zone, name, DNS_TXT, SPAN(""));
    zone_txt_span(&c.zone, name, SPAN("hello"));
    zone_txt_span(&c.zone, name, SPAN("p=" RSA_KEY));
    const struct auth_facts *f = mailcheck(&c, SPAN(RSA_SIGNATURE FIELDS BODY), NOW);
    expect(&f->dkim[0], DKIM_PASS, true, "");
    mailcheck_close(&c);
}

static void expect_wrong(const char *tags, const char *why)
{
    struct buf b = {0};
    buf_printf(&b, "DKIM-Signature: %s\r\n" FIELDS BODY "%c", tags, '\0');
    expect_one(b.p, NULL, NULL, DKIM_PERMERROR, false, why);
    buf_free(&b);
}

#define START "v=1; a=rsa-sha256; s=test; d=football.example.com; b=AAAA; "
#define BH    "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; "

static void test_bad_signatures(void **state)
{
    (void)state;
    expect_wrong("", "no tags");
    expect_wrong(START BH, "a required tag is missing");
    expect_wrong(START BH "h=to:subject", "From is not signed");
    expect_wrong(START "bh=AAAA; h=from", "bh= is no hash of the right length");
    expect_wrong(START "bh=; h=from", "bh= is no hash of the right length");
    expect_wrong(START BH "h=from; l=x", "l= is no length");
    expect_wrong(START BH "h=from; l=", "l= is no length");
    expect_wrong(START BH "h=from; t=-1", "t= is no time");
    expect_wrong(START BH "h=from; t=5; x=5", "x= lies before t=");
    expect_wrong(START BH "h=from; i=@example.com", "i= is not in the domain of d=");
    expect_wrong(START BH "h=from; i=@notfootball.example.com", "i= is not in the domain of d=");
    expect_wrong(START BH "h=from; q=dns/xml", "the key is not to be found in the DNS");
    expect_wrong(START BH "h=from; c=tidy", "a canonical form in c= that is not known");
    expect_wrong(START BH "h=from; h=from", "a tag stands there twice");
    expect_wrong("v=2; a=rsa-sha256; s=test; d=example.com; b=AAAA; h=from; " BH,
                 "a version in v= that is not known");
    expect_wrong("v=1; a=rsa-md5; s=test; d=example.com; b=AAAA; h=from; " BH,
                 "an algorithm in a= that is not known");
    expect_wrong("v=1; a=rsa-sha256; s=test; d=a..b; b=AAAA; h=from; " BH, "d= is no domain");
    expect_wrong("v=1; a=rsa-sha256; s=te st; d=a.b; b=AAAA; h=from; " BH, "s= is no selector");
}

static void test_expired(void **state)
{
    (void)state;
    expect_one("DKIM-Signature: " START BH "h=from; t=100; x=200\r\n" FIELDS BODY, NULL, NULL,
               DKIM_FAIL, false, "the signature has expired");
}

/* What a stranger may make us do. */
static void test_limits(void **state)
{
    (void)state;
    struct mailcheck c;
    struct buf b = {0};
    open_with_keys(&c);
    for (int i = 0; i < 500; i++)
        buf_str(&b, RSA_SIGNATURE);
    buf_str(&b, FIELDS BODY);
    const struct auth_facts *f = mailcheck(&c, buf_span(&b), NOW);
    assert_int_equal(f->ndkim, DKIM_SIGNATURES_MAX);
    assert_int_equal(c.zone.asked, 1);
    assert_string_equal(c.m->facts.facts[0].name, "dkim.signatures.ignored");

    buf_clear(&b);
    buf_str(&b, "DKIM-Signature: " START BH "h=from");
    for (int i = 0; i < 600; i++)
        buf_str(&b, ":x");
    buf_str(&b, "\r\n" FIELDS BODY);
    f = mailcheck(&c, buf_span(&b), NOW);
    expect(&f->dkim[0], DKIM_PERMERROR, false, "h= has too many names");

    buf_clear(&b);
    buf_str(&b, "DKIM-Signature: " START BH "h=from; n=");
    for (int i = 0; i < 17000; i++)
        buf_char(&b, 'x');
    buf_str(&b, "\r\n" FIELDS BODY);
    f = mailcheck(&c, buf_span(&b), NOW);
    expect(&f->dkim[0], DKIM_PERMERROR, false, "the signature field is too long");
    buf_free(&b);
    mailcheck_close(&c);
}

static void test_nothing(void **state)
{
    (void)state;
    struct mailcheck c;
    open_with_keys(&c);
    assert_int_equal(mailcheck(&c, SPAN(""), NOW)->ndkim, 0);
    assert_int_equal(mailcheck(&c, SPAN("DKIM-Signature"), NOW)->ndkim, 0);
    assert_int_equal(mailcheck(&c, SPAN("\r\nDKIM-Signature: x"), NOW)->ndkim, 0);
    assert_int_equal(c.done, 1);
    mailcheck_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc8463),        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_changed),        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_keys),           cmocka_unit_test(test_testing),
        cmocka_unit_test(test_no_answer),      cmocka_unit_test(test_several_records),
        cmocka_unit_test(test_bad_signatures), cmocka_unit_test(test_expired),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
