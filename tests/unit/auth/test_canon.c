#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "auth/canon.h"
#include "auth/tags.h"

/* --- fields: the examples of RFC 6376 section 3.4.5 --- */

static void expect_field(enum canon form, const char *whole, const char *want)
{
    struct buf b = {0};
    canon_field(&b, form, span_str(whole));
    buf_char(&b, '\0');
    assert_string_equal(b.p, want);
    buf_free(&b);
}

static void test_fields(void **state)
{
    (void)state;
    expect_field(CANON_RELAXED, "A: X", "a:X");
    expect_field(CANON_RELAXED, "B : Y\t\r\n\tZ  ", "b:Y Z");
    expect_field(CANON_RELAXED, "B:\r\n", "b:");
    expect_field(CANON_RELAXED, "Subject:\n  =?x?=  \n\t y", "subject:=?x?= y");
    expect_field(CANON_SIMPLE, "B : Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  ");
    expect_field(CANON_SIMPLE, "B : Y\t\n\tZ  ", "B : Y\t\r\n\tZ  ");
    expect_field(CANON_DK_NOFWS, "B : Y\t\r\n\tZ  ", "B:YZ");
}

/* --- bodies: each form is compared with the digest of what it should be --- */

static void expect_body(enum canon form, struct span body, uint64_t limit, struct span want)
{
    struct auth_digests d;
    struct body_hashes set = {.n = 0};
    unsigned char digest[AUTH_HASH_SIZE];
    auth_digests_open(&d);
    size_t i = body_hash_want(&set, form, AUTH_SHA256, limit);
    size_t all = body_hash_want(&set, form, AUTH_SHA256, UINT64_MAX);
    body_hash_want(&set, CANON_SIMPLE, AUTH_SHA1, 3); /* company */
    body_hashes_run(&d, body, &set);
    assert_int_equal(set.v[all].length, want.n);
    want = span_sub(want, 0, limit < want.n ? (size_t)limit : want.n);
    EVP_Digest(want.p, want.n, digest, NULL, d.md[AUTH_SHA256], NULL);
    if (memcmp(set.v[i].value, digest, sizeof digest) != 0)
        fail_msg("form %d of '%.*s' is not '%.*s'", (int)form, SPAN_ARG(body), SPAN_ARG(want));
    auth_digests_close(&d);
}

static void expect(enum canon form, const char *body, const char *want)
{
    expect_body(form, span_str(body), UINT64_MAX, span_str(want));
    for (uint64_t limit = 0; limit <= strlen(want); limit++)
        expect_body(form, span_str(body), limit, span_str(want));
}

static void test_bodies(void **state)
{
    (void)state;
    expect(CANON_RELAXED, " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
    expect(CANON_SIMPLE, " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n");
    expect(CANON_SIMPLE, "", "\r\n");
    expect(CANON_SIMPLE, "\r\n\r\n", "\r\n");
    expect(CANON_RELAXED, "", "");
    expect(CANON_RELAXED, " \t\r\n\r\n  ", "");
    expect(CANON_RELAXED, "no end", "no end\r\n");
    expect(CANON_SIMPLE, "no end  ", "no end  \r\n");
    expect(CANON_RELAXED, "a\n\n \nb\tc  \n", "a\r\n\r\n\r\nb c\r\n");
    expect(CANON_SIMPLE, "a\n\n\nb\n", "a\r\n\r\n\r\nb\r\n");
    expect(CANON_SIMPLE, "a\r\n\r\n\nb", "a\r\n\r\n\r\nb\r\n");
    expect(CANON_RELAXED, "\t a", " a\r\n");
    expect(CANON_RELAXED, "a  b  c", "a b c\r\n");
    expect(CANON_RELAXED, "a \r b\r\r\n", "a \r b\r\r\n");
    expect(CANON_DK_SIMPLE, "", "");
    expect(CANON_DK_SIMPLE, "\r\n\r\n", "");
    expect(CANON_DK_SIMPLE, "a \r\n\r\n", "\r\na \r\n");
    expect(CANON_DK_NOFWS, " a b\tc \r\n \t\r\nd\r\n \r\n", "\r\nabc\r\n\r\nd\r\n");
}

/* What a plain reading of the RFC gives, for bodies of any shape. */
static void relaxed_reference(struct buf *out, struct span body)
{
    size_t solid = 0;
    while (body.n) {
        const char *lf = memchr(body.p, '\n', body.n);
        size_t n = lf ? (size_t)(lf - body.p) : body.n;
        struct span line = span_sub(body, 0, n);
        body = span_from(body, n + 1);
        if (lf && line.n && line.p[line.n - 1] == '\r')
            line.n--;
        size_t start = out->n;
        for (size_t i = 0; i < line.n; i++) {
            bool blank = line.p[i] == ' ' || line.p[i] == '\t';
            if (!blank)
                buf_char(out, line.p[i]);
            else if (out->n == start || out->p[out->n - 1] != ' ')
                buf_char(out, ' ');
        }
        if (out->n > start && out->p[out->n - 1] == ' ')
            out->n--;
        bool solid_line = out->n > start;
        buf_str(out, "\r\n");
        if (solid_line)
            solid = out->n;
    }
    out->n = solid;
}

static void test_random_bodies(void **state)
{
    (void)state;
    static const char alphabet[] = "ab  \t\r\n\nxyz";
    srand(7);
    for (int round = 0; round < 300; round++) {
        struct buf body = {0}, want = {0};
        size_t n = (size_t)rand() % (round % 50 == 0 ? 60000 : 80);
        for (size_t i = 0; i < n; i++)
            buf_char(&body, alphabet[(size_t)rand() % (sizeof alphabet - 1)]);
        relaxed_reference(&want, buf_span(&body));
        expect_body(CANON_RELAXED, buf_span(&body), UINT64_MAX, buf_span(&want));
        buf_free(&body);
        buf_free(&want);
    }
}

static void test_shared_hashes(void **state)
{
    (void)state;
    struct body_hashes set = {.n = 0};
    assert_int_equal(body_hash_want(&set, CANON_RELAXED, AUTH_SHA256, UINT64_MAX), 0);
    assert_int_equal(body_hash_want(&set, CANON_SIMPLE, AUTH_SHA256, UINT64_MAX), 1);
    assert_int_equal(body_hash_want(&set, CANON_RELAXED, AUTH_SHA256, UINT64_MAX), 0);
    for (uint64_t i = 2; i < BODY_HASHES_MAX; i++)
        assert_int_equal(body_hash_want(&set, CANON_RELAXED, AUTH_SHA256, i), i);
    assert_true(body_hash_want(&set, CANON_RELAXED, AUTH_SHA1, 0) == SIZE_MAX);
}

/* --- tag lists --- */

static void test_tags(void **state)
{
    (void)state;
    struct tags t;
    assert_null(tags_parse(SPAN(" v = 1 ;a=rsa-sha256; h=a : b;\r\n\tx_1=;"), &t));
    assert_int_equal(t.n, 4);
    assert_true(span_eq(tags_get(&t, SPAN("v")), SPAN("1")));
    assert_true(span_eq(t.v[0].whole, SPAN(" 1 ")));
    assert_true(tags_get(&t, SPAN("x_1")).p && tags_get(&t, SPAN("x_1")).n == 0);
    assert_null(tags_get(&t, SPAN("V")).p);
    assert_true(tags_has_item(tags_get(&t, SPAN("h")), ':', SPAN("B")));
    assert_false(tags_has_item(tags_get(&t, SPAN("h")), ':', SPAN("c")));
    static const char *const bad[] = {"",      ";",  "a=1;;b=2", "a=1;a=2", "a",       "1a=2",
                                      "a b=1", "=1", "a=\x01",   "a=1;b",   ";a=1;b=2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!tags_parse(span_str(bad[i]), &t))
            fail_msg("'%s' was taken for a tag list", bad[i]);
    struct buf b = {0};
    for (int i = 0; i < TAGS_MAX + 1; i++)
        buf_printf(&b, "t%d=1;", i);
    assert_non_null(tags_parse(buf_span(&b), &t));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_random_bodies), cmocka_unit_test(test_shared_hashes),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
