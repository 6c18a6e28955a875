/* Senders that come back: what we made is known again, what others made or changed is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/srs.h"
#include "smtp/path.h"

static const usec day = 86400 * USEC_PER_SEC, now = 1790000000 * USEC_PER_SEC;
static const char *const old_secret[] = {"old"};
static const char *const secrets[] = {"new", "old"};
static const struct srs ours = {secrets, 2, "fwd.example", 21 * 86400 * USEC_PER_SEC};
static const struct srs tags = {secrets, 2, NULL, 7 * 86400 * USEC_PER_SEC};

static struct span forward(const struct srs *s, struct arena *a, const char *from, usec at)
{
    struct span out;
    assert_true(srs_forward(s, a, span_str(from), at, &out));
    return out;
}

static void there_and_back(void **state)
{
    static const char *const senders[] = {"u@one.example",
                                          "a=b@one.example",
                                          "A.B+c@One.Example",
                                          "\"x y\"@one.example",
                                          "\"a\\\"@b\"@one.example",
                                          "u@[192.0.2.1]",
                                          "\xc3\xbc@b\xc3\xbc.example"};
    struct arena *a = arena_new(0);
    struct span back;
    (void)state;
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        struct span f = forward(&ours, a, senders[i], now);
        struct smtp_path path;
        assert_int_equal(mailbox_parse(f, true, &path), PATH_OK);
        assert_true(span_istarts(span_from(f, f.p[0] == '"'), SPAN("SRS0=")));
        assert_true(span_ends(f, SPAN("@fwd.example")));
        assert_int_equal(srs_reverse(&ours, a, f, now + 3 * day, &back), SRS_OK);
        assert_true(span_eq(back, span_str(senders[i])));
    }
    assert_true(span_eq(forward(&ours, a, "", now), SPAN("")));
    assert_true(span_eq(forward(&ours, a, "u@Fwd.example", now), SPAN("u@Fwd.example")));
    /* Mail systems on the way may lower the case of everything. */
    struct span low = arena_lower(a, forward(&ours, a, "u@one.example", now));
    assert_int_equal(srs_reverse(&ours, a, low, now, &back), SRS_OK);
    assert_true(span_eq(back, SPAN("u@one.example")));
    arena_free(a);
}

static void chains(void **state)
{
    struct arena *a = arena_new(0);
    struct srs second = {old_secret, 1, "two.example", ours.max_age};
    struct srs third = {old_secret, 1, "three.example", ours.max_age};
    struct span one = forward(&ours, a, "u@one.example", now), back;
    (void)state;
    struct span two = forward(&second, a, arena_cstr(a, one), now);
    struct span three = forward(&third, a, arena_cstr(a, two), now);
    assert_true(span_starts(two, SPAN("SRS1=")) && span_starts(three, SPAN("SRS1=")));
    assert_int_equal(srs_reverse(&third, a, three, now, &back), SRS_OK);
    assert_true(span_eq(back, one)); /* to the first forwarder at once */
    assert_int_equal(srs_reverse(&second, a, two, now, &back), SRS_OK);
    assert_true(span_eq(back, one));
    assert_int_equal(srs_reverse(&ours, a, back, now, &back), SRS_OK);
    assert_true(span_eq(back, SPAN("u@one.example")));
    arena_free(a);
}

static void not_ours(void **state)
{
    struct arena *a = arena_new(0);
    struct span back, f = forward(&ours, a, "u@one.example", now);
    struct srs before = {old_secret, 1, "fwd.example", ours.max_age};
    struct srs other = {(const char *const[]){"other"}, 1, "fwd.example", ours.max_age};
    (void)state;
    assert_int_equal(srs_reverse(&ours, a, f, now + 30 * day, &back), SRS_EXPIRED);
    assert_int_equal(srs_reverse(&other, a, f, now, &back), SRS_FORGED);
    assert_int_equal(srs_reverse(&ours, a, forward(&before, a, "u@one.example", now), now, &back),
                     SRS_OK);
    for (size_t i = 5; i < f.n - SPAN("@fwd.example").n; i++) {
        struct span bent = arena_dup(a, f);
        ((char *)(uintptr_t)bent.p)[i] = bent.p[i] == 'Q' ? 'R' : 'Q';
        assert_int_not_equal(srs_reverse(&ours, a, bent, now, &back), SRS_OK);
    }
    static const char *const bad[] = {"SRS0=@fwd.example", "SRS0=AAAAAAAA@fwd.example",
                                      "SRS0=AAAAAAAA=@fwd.example", "SRS1=AAAAAAAA=x@fwd.example",
                                      "SRS0=AAAAAAAA=AA=one.example@fwd.example"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(srs_reverse(&ours, a, span_str(bad[i]), now, &back) != SRS_OK);
    assert_int_equal(srs_reverse(&ours, a, SPAN("u@fwd.example"), now, &back), SRS_NONE);
    assert_int_equal(srs_reverse(&ours, a, SPAN("SRS0=x=y@else.example"), now, &back), SRS_NONE);
    char longest[300];
    memset(longest, 'x', sizeof longest);
    memcpy(longest + 250, "@one.example", 13);
    assert_false(srs_forward(&ours, a, span_str(longest), now, &back));
    arena_free(a);
}

static void bounces(void **state)
{
    struct arena *a = arena_new(0);
    struct span s, back;
    (void)state;
    assert_true(batv_sign(&tags, a, SPAN("u=v@our.example"), now, &s));
    assert_true(span_starts(s, SPAN("prvs=0")) && span_ends(s, SPAN("=u=v@our.example")));
    assert_int_equal(batv_verify(&tags, a, s, now + 6 * day, &back), SRS_OK);
    assert_true(span_eq(back, SPAN("u=v@our.example")));
    assert_int_equal(batv_verify(&tags, a, s, now + 8 * day, &back), SRS_EXPIRED);
    assert_true(span_eq(back, SPAN("u=v@our.example")));
    assert_int_equal(batv_verify(&tags, a, SPAN("u=v@our.example"), now, &back), SRS_NONE);
    struct span bent = arena_dup(a, s);
    ((char *)(uintptr_t)bent.p)[9] = bent.p[9] == '0' ? '1' : '0';
    assert_int_equal(batv_verify(&tags, a, bent, now, &back), SRS_FORGED);
    struct srs before = {old_secret, 1, NULL, tags.max_age};
    assert_true(batv_sign(&before, a, SPAN("u@our.example"), now, &s));
    assert_int_equal(batv_verify(&tags, a, s, now, &back), SRS_OK);
    /* A tag that was made when tags lasted longer holds as long as it says. */
    struct srs longer = {secrets, 2, NULL, 60 * day};
    assert_true(batv_sign(&longer, a, SPAN("u@our.example"), now, &s));
    assert_int_equal(batv_verify(&tags, a, s, now + 59 * day, &back), SRS_OK);
    assert_int_equal(batv_verify(&tags, a, s, now + 61 * day, &back), SRS_EXPIRED);
    assert_true(batv_sign(&tags, a, SPAN(""), now, &s) && s.n == 0);
    /* Case and quotes change on the way. */
    assert_true(batv_sign(&tags, a, SPAN("Anna.B@Our.example"), now, &s));
    assert_int_equal(batv_verify(&tags, a, arena_lower(a, s), now, &back), SRS_OK);
    assert_true(batv_sign(&tags, a, SPAN("\"x y\"@our.example"), now, &s));
    assert_true(span_starts(s, SPAN("\"prvs=0")) && span_ends(s, SPAN("=x y\"@our.example")));
    assert_int_equal(batv_verify(&tags, a, s, now, &back), SRS_OK);
    assert_true(span_eq(back, SPAN("\"x y\"@our.example")));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(chains),
        cmocka_unit_test(not_ours),
        cmocka_unit_test(bounces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
