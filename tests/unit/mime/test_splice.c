#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mime/header_edit.h"
#include "mime/mime.h"
#include "mime/splice.h"

static struct span apply(struct arena *a, struct splices *s, struct span raw)
{
    struct err e;
    assert_int_equal(splices_sort(s, raw.n, &e), 0);
    struct buf b = {0};
    splices_apply(s, raw, &b);
    assert_int_equal(splices_size(s, raw.n), b.n);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    size_t n, at = 0;
    struct iovec *v = splices_iov(s, raw, a, &n);
    for (size_t i = 0; i < n; i++) {
        assert_true(at + v[i].iov_len <= out.n);
        assert_memory_equal(out.p + at, v[i].iov_base, v[i].iov_len);
        at += v[i].iov_len;
    }
    assert_int_equal(at, out.n);
    return out;
}

static void assert_text(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got  [%.*s]\nwant [%s]", SPAN_ARG(got), want);
}

static void inserts_keep_their_order(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct splices s = {0};
    splices_add(&s, a, 5, 0, SPAN("x"));
    splices_add(&s, a, 0, 0, SPAN("1"));
    splices_add(&s, a, 5, 2, SPAN("y"));
    splices_add(&s, a, 0, 0, SPAN("2"));
    splices_add(&s, a, 5, 0, SPAN("z"));
    splices_add(&s, a, 10, 0, SPAN("!"));
    assert_text(apply(a, &s, SPAN("0123456789")), "1201234xyz789!");
    arena_free(a);
}

static void overlaps_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct err e;
    const struct splice bad[][2] = {
        {{0, 3, SPAN("")}, {2, 1, SPAN("")}},  {{4, 4, SPAN("")}, {5, 0, SPAN("x")}},
        {{2, 2, SPAN("")}, {2, 2, SPAN("")}},  {{0, 0, SPAN("")}, {11, 0, SPAN("x")}},
        {{0, 0, SPAN("")}, {9, 2, SPAN("x")}}, {{0, 0, SPAN("")}, {9, UINT64_MAX, SPAN("x")}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct splices s = {0};
        splices_add(&s, a, bad[i][1].at, bad[i][1].del, bad[i][1].ins);
        splices_add(&s, a, bad[i][0].at, bad[i][0].del, bad[i][0].ins);
        assert_int_equal(splices_sort(&s, 10, &e), -1);
        assert_true(e.text[0] != '\0');
    }
    arena_free(a);
}

/* Random edits; what no edit names must come out unchanged and in order. */
static void untouched_bytes_stay(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 300; round++) {
        struct arena *a = arena_new(0);
        char raw[400];
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (char)(rand() % 128); /* the inserts have the eighth bit */
        struct splices s = {0};
        struct buf want = {0};
        for (size_t at = 0; at < sizeof raw;) {
            size_t keep = (size_t)(rand() % 40), del = (size_t)(rand() % 20);
            if (keep > sizeof raw - at)
                keep = sizeof raw - at;
            buf_add(&want, span_of(raw + at, keep));
            at += keep;
            if (del > sizeof raw - at)
                del = sizeof raw - at;
            splices_add(&s, a, at, del, rand() % 2 ? SPAN("\xe4\xe5") : SPAN_NONE);
            at += del;
        }
        for (size_t i = s.n; i > 1; i--) { /* any order in, as long as no two are at one offset */
            size_t k = (size_t)rand() % i;
            bool same = false;
            for (size_t j = 1; j < s.n; j++)
                same = same || s.v[j].at == s.v[j - 1].at;
            if (same)
                break;
            struct splice swap = s.v[k];
            s.v[k] = s.v[i - 1];
            s.v[i - 1] = swap;
        }
        struct span out = apply(a, &s, span_of(raw, sizeof raw));
        struct buf kept = {0};
        for (size_t i = 0; i < out.n; i++)
            if (!((unsigned char)out.p[i] & 0x80))
                buf_char(&kept, out.p[i]);
        assert_int_equal(kept.n, want.n);
        assert_memory_equal(buf_span(&kept).p, buf_span(&want).p, want.n);
        buf_free(&kept);
        buf_free(&want);
        arena_free(a);
    }
}

static void wire_form(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct splices s = {0}, back;
    splices_add(&s, a, 7, 3, SPAN("abc"));
    splices_add(&s, a, UINT64_MAX, 0, SPAN(""));
    struct buf b = {0};
    splices_encode(&b, &s);
    for (size_t n = 0; n <= b.n; n++) {
        struct cursor c = cursor_over(span_of(b.p, n));
        splices_decode(&c, a, &back);
        assert_int_equal(cursor_ok(&c), n == b.n);
        assert_int_equal(back.n, n == b.n ? 2 : 0);
    }
    assert_int_equal(back.v[0].at, 7);
    assert_int_equal(back.v[0].del, 3);
    assert_text(back.v[0].ins, "abc");
    assert_true(back.v[1].at == UINT64_MAX);
    struct cursor huge = cursor_over(SPAN("\xff\xff\xff\xff"));
    splices_decode(&huge, a, &back);
    assert_true(huge.failed);
    buf_free(&b);
    arena_free(a);
}

static struct span edited(struct arena *a, struct mime *m, struct splices *s)
{
    return apply(a, s, m->raw);
}

static void header_edits(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct mime *m = mime_parse(a,
                                SPAN("From a@b Thu Jan  1 00:00:00 1970\n"
                                     "X-Spam-Flag: YES\n"
                                     "Subject: =?utf-8?q?h=C3=A9?=\n\tfold\n"
                                     "x-spam-flag: NO\n"
                                     "\n"
                                     "body\n"),
                                NULL);
    struct splices s = {0};
    header_insert(&s, m, SPAN("X-New: 1\n\tmore"));
    header_insert(&s, m, SPAN("X-New: 2\r\n"));
    assert_int_equal(header_delete_all(&s, m, SPAN("X-SPAM-FLAG")), 2);
    header_prefix(&s, m, mime_last(&m->root->fields, SPAN("Subject")), SPAN("*** "));
    assert_text(edited(a, m, &s), "From a@b Thu Jan  1 00:00:00 1970\n"
                                  "X-New: 1\n\tmore\nX-New: 2\n"
                                  "Subject: *** =?utf-8?q?h=C3=A9?=\n\tfold\n"
                                  "\n"
                                  "body\n");
    arena_free(a);
}

static void header_edits_with_crlf(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct mime *m =
        mime_parse(a, SPAN("Subject:\r\n one\r\nTo:x\r\nCc: y\r\n z\r\n\r\nbody\r\n"), NULL);
    struct splices s = {0};
    header_insert(&s, m, SPAN("X-New: 1"));
    header_prefix(&s, m, &m->root->fields.v[0], SPAN("[t\xc3\xa4g] "));
    header_prefix(&s, m, &m->root->fields.v[1], SPAN("[t] "));
    header_replace(&s, m, &m->root->fields.v[2], SPAN("q\n\tr"));
    assert_text(edited(a, m, &s), "X-New: 1\r\nSubject: =?utf-8?b?W3TDpGddIA==?= \r\n one\r\n"
                                  "To: [t] x\r\nCc: q\r\n\tr\r\n\r\nbody\r\n");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserts_keep_their_order),
        cmocka_unit_test(overlaps_are_refused),
        cmocka_unit_test(untouched_bytes_stay),
        cmocka_unit_test(wire_form),
        cmocka_unit_test(header_edits),
        cmocka_unit_test(header_edits_with_crlf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
