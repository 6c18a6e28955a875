/* Where reports go: consent of other organisations, redirection, what the DNS does not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../auth/zone.h"
#include "reports/rua.h"

static void count(void *ctx)
{
    ++*(int *)ctx;
}

struct row {
    enum dmarc_method method;
    const char *domain, *record;
    const char *to[3];      /* expected addresses */
    const char *refused[3]; /* part of why, or NULL */
};

static const struct row rows[] = {
    /* Its own, below it, above it in the same organisation. */
    {DMARC_TREE,
     "a.example",
     "v=DMARC1; p=none; rua=mailto:r@a.example,mailto:r@b.a.example!10k",
     {"r@a.example", "r@b.a.example"},
     {NULL, NULL}},
    {DMARC_SUFFIX,
     "b.a.example",
     "v=DMARC1; p=none; rua=mailto:r@a.example",
     {"r@a.example"},
     {NULL}},
    {DMARC_TREE,
     "b.a.example",
     "v=DMARC1; p=none; rua=mailto:r@a.example",
     {"r@a.example"},
     {NULL}},
    /* Others agree, do not, agree for everybody, send elsewhere at home, send elsewhere abroad. */
    {DMARC_TREE,
     "a.example",
     "v=DMARC1; p=none; rua=mailto:r@yes.example,mailto:r@no.example,mailto:r@all.example",
     {"r@yes.example", "r@no.example", "r@all.example"},
     {NULL, "does not say", NULL}},
    {DMARC_SUFFIX,
     "a.example",
     "v=DMARC1; p=none; rua=mailto:r@home.example,mailto:r@abroad.example,mailto:r@down.example",
     {"other@home.example", "r@abroad.example", "r@down.example"},
     {NULL, "another domain", "can't be asked"}},
    /* The same twice, other schemes, junk. */
    {DMARC_TREE,
     "a.example",
     "v=DMARC1; p=none; rua=mailto:r@a.example,mailto:R@A.example,https://a.example/,mailto:x",
     {"r@a.example"},
     {NULL}},
    {DMARC_TREE, "a.example", "v=DMARC1; p=none", {NULL}, {NULL}},
};

static void zone(struct zone *z, bool later)
{
    zone_new(z);
    z->later = later;
    zone_txt(z, "_dmarc.a.example", "v=DMARC1; p=none");
    zone_txt(z, "a.example._report._dmarc.yes.example", "v=DMARC1;");
    zone_txt(z, "a.example._report._dmarc.no.example", "v=spf1 -all");
    zone_txt(z, "a.example._report._dmarc.all.example", "v=DMARC1");
    zone_txt(z, "a.example._report._dmarc.home.example", "v=DMARC1; rua=mailto:other@home.example");
    zone_txt(z, "a.example._report._dmarc.abroad.example", "v=DMARC1; rua=mailto:v@victim.example");
    zone_add(z, SPAN("a.example._report._dmarc.down.example"), ZONE_TIMEOUT, SPAN(""));
}

static void dmarc(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct row *r = &rows[i];
            struct zone z;
            struct rua out;
            int done = 0;
            zone(&z, later);
            rua_dmarc(&out, r->method, span_str(r->domain), span_str(r->record), &z.resolver, z.a,
                      count, &done);
            zone_run(&z);
            assert_int_equal(done, 1);
            size_t n = 0;
            while (n < 3 && r->to[n])
                n++;
            assert_int_equal(out.n, n);
            for (size_t k = 0; k < n; k++) {
                if (!span_eq(out.v[k].address, span_str(r->to[k])))
                    fail_msg("row %zu: %.*s", i, SPAN_ARG(out.v[k].address));
                if (!out.v[k].refused != !r->refused[k] ||
                    (r->refused[k] && !strstr(out.v[k].refused, r->refused[k])))
                    fail_msg("row %zu: %s", i, out.v[k].refused);
                assert_int_equal(out.v[k].later, r->refused[k] && strstr(r->refused[k], "asked"));
            }
            if (i == 0)
                assert_int_equal(out.v[1].max_size, 10 << 10);
            zone_free(&z);
        }
}

/* Ten destinations are looked at, however many are named; each costs a bounded number of
 * questions. */
static void many(void **state)
{
    struct zone z;
    struct rua out;
    struct buf b = {0};
    int done = 0;
    (void)state;
    zone(&z, false);
    buf_str(&b, "v=DMARC1; p=none; rua=");
    for (int i = 0; i < 50; i++)
        buf_printf(&b, "mailto:r@v%d.example,", i);
    rua_dmarc(&out, DMARC_TREE, SPAN("a.example"), buf_span(&b), &z.resolver, z.a, count, &done);
    assert_int_equal(done, 1);
    assert_int_equal(out.n, DMARC_URIS_MAX);
    for (size_t i = 0; i < out.n; i++)
        assert_non_null(out.v[i].refused);
    assert_true(z.asked <= 2 + DMARC_URIS_MAX * (DMARC_WALK_MAX + 1));
    buf_free(&b);
    zone_free(&z);
}

static void tls(void **state)
{
    struct zone z;
    struct rua out;
    int done = 0;
    (void)state;
    zone_new(&z);
    zone_txt(&z, "_smtp._tls.a.example",
             "v=TLSRPTv1; rua=mailto:t@elsewhere.example,https://a.example/");
    zone_txt(&z, "_smtp._tls.a.example", "v=spf1 -all");
    zone_txt(&z, "_smtp._tls.two.example", "v=TLSRPTv1; rua=mailto:t@two.example");
    zone_txt(&z, "_smtp._tls.two.example", "v=TLSRPTv1; rua=mailto:u@two.example");
    zone_add(&z, SPAN("_smtp._tls.down.example"), ZONE_TIMEOUT, SPAN(""));
    rua_tls(&out, SPAN("a.example"), &z.resolver, z.a, count, &done);
    assert_int_equal(out.n, 1);
    assert_true(span_eq(out.v[0].address, SPAN("t@elsewhere.example")) && !out.v[0].refused);
    rua_tls(&out, SPAN("two.example"), &z.resolver, z.a, count, &done);
    assert_int_equal(out.n, 0);
    rua_tls(&out, SPAN("none.example"), &z.resolver, z.a, count, &done);
    assert_true(out.n == 0 && !out.later);
    rua_tls(&out, SPAN("down.example"), &z.resolver, z.a, count, &done);
    assert_true(out.n == 0 && out.later);
    assert_int_equal(done, 4);
    zone_free(&z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dmarc),
        cmocka_unit_test(many),
        cmocka_unit_test(tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
