/* Answers that are kept: the same as they came, for their time, within the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "dns/cache.h"

static const usec now = 1000 * USEC_PER_SEC;

static void put(struct dns_cache *c, const char *name, int type, uint32_t ttl, struct span rdata)
{
    struct lookup_answer a = {.type = type,
                              .havedata = rdata.n > 0,
                              .nxdomain = rdata.n == 0,
                              .secure = true,
                              .ttl = ttl,
                              .rdata = &rdata,
                              .n = rdata.n > 0};
    dns_cache_put(c, span_str(name), &a, now);
}

static bool has(struct dns_cache *c, const char *name, int type, usec when)
{
    struct cache_entry *e = dns_cache_get(c, span_str(name), type, when);
    cache_entry_unref(e);
    return e;
}

static void as_it_came(void **state)
{
    (void)state;
    struct dns_cache *c = dns_cache_new();
    struct span v[] = {SPAN("\3abc"), SPAN(""), span_of("\0\1", 2)};
    struct lookup_answer a = {.type = DNS_TXT,
                              .havedata = true,
                              .secure = true,
                              .ttl = 60,
                              .rdata = v,
                              .n = 3,
                              .canonical = SPAN("other.example")};
    dns_cache_put(c, SPAN("Name.example"), &a, now);
    struct cache_entry *e =
        dns_cache_get(c, SPAN("nAME.EXAMPLE"), DNS_TXT, now + 10 * USEC_PER_SEC);
    assert_non_null(e);
    /* It stays while it is told, whatever takes its place. */
    put(c, "name.example", DNS_TXT, 60, SPAN("\1x"));
    struct lookup_answer got = dns_cache_answer(e, now + 10 * USEC_PER_SEC);
    assert_true(got.havedata && got.secure && !got.nxdomain && got.n == 3 && got.ttl == 50);
    for (size_t i = 0; i < 3; i++)
        assert_true(span_eq(got.rdata[i], v[i]));
    assert_true(span_eq(got.canonical, a.canonical));
    cache_entry_unref(e);
    e = dns_cache_get(c, SPAN("name.example"), DNS_TXT, now);
    got = dns_cache_answer(e, now);
    assert_true(got.n == 1 && span_eq(got.rdata[0], SPAN("\1x")) && !got.canonical.p);
    cache_entry_unref(e);
    assert_false(has(c, "name.example", DNS_A, now));
    dns_cache_free(c);
}

static void for_its_time(void **state)
{
    (void)state;
    struct dns_cache *c = dns_cache_new();
    put(c, "short.example", DNS_A, 5, SPAN("1234"));
    put(c, "none.example", DNS_A, 0, SPAN("1234"));
    put(c, "long.example", DNS_A, 999999, SPAN("1234"));
    put(c, "not.example", DNS_A, 30, SPAN(""));
    assert_true(has(c, "short.example", DNS_A, now + 4 * USEC_PER_SEC));
    assert_false(has(c, "short.example", DNS_A, now + 5 * USEC_PER_SEC));
    assert_false(has(c, "short.example", DNS_A, now)); /* it is gone */
    assert_false(has(c, "none.example", DNS_A, now));
    assert_true(has(c, "long.example", DNS_A, now + (CACHE_SECONDS - 1) * USEC_PER_SEC));
    assert_false(has(c, "long.example", DNS_A, now + CACHE_SECONDS * USEC_PER_SEC));
    struct cache_entry *e = dns_cache_get(c, SPAN("not.example"), DNS_A, now);
    assert_true(dns_cache_answer(e, now).nxdomain && dns_cache_answer(e, now).n == 0);
    cache_entry_unref(e);
    dns_cache_free(c);
}

static void within_the_limits(void **state)
{
    (void)state;
    struct dns_cache *c = dns_cache_new();
    static char bytes[CACHE_ENTRY_MAX];
    char name[64];
    put(c, "large.example", DNS_TXT, 60, span_of(bytes, sizeof bytes));
    assert_int_equal(dns_cache_bytes(c), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        put(c, name, DNS_TXT, 60, span_of(bytes, sizeof bytes / 2));
        assert_true(dns_cache_bytes(c) <= CACHE_BYTES);
        assert_true(has(c, name, DNS_TXT, now)); /* the last one is always there */
    }
    assert_true(dns_cache_bytes(c) > CACHE_BYTES / 2);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "s%d.example", i);
        put(c, name, DNS_A, 60, SPAN("1234"));
    }
    assert_true(dns_cache_bytes(c) <= CACHE_BYTES);
    dns_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_came),
        cmocka_unit_test(for_its_time),
        cmocka_unit_test(within_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
