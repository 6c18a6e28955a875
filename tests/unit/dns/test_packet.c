/* Answers as libunbound encodes them, and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/dns_private.h"

#define HEAD(rcode, answers) "\x00\x01\x81" rcode "\x00\x01\x00" answers "\x00\x00\x00\x00"
#define WWW                                                                                        \
    "\x03www\x07"                                                                                  \
    "example\x00"
#define IN_TTL(seconds) "\x00\x01\x00\x00\x00" seconds

/* An alias in other letters, then two addresses, the second one with the shorter life; an address
 * of somebody else does not belong to it. */
static void an_alias_is_followed(void **state)
{
    struct dns_result r = {0};
    struct span v[DNS_ANSWERS_MAX];
    (void)state;
    assert_true(dns_packet_read(
        SPAN(HEAD("\x80", "\x04") WWW
             "\x00\x01\x00\x01"
             "\xc0\x0c\x00\x05" IN_TTL(
                 "\x3c") "\x00\x04\x01"
                         "a\xc0\x10"
                         "\x01"
                         "A\xc0\x10\x00\x01" IN_TTL(
                             "\x3c") "\x00\x04\x7f\x00\x00\x02"
                                     "\x01"
                                     "b\xc0\x10\x00\x01" IN_TTL(
                                         "\x01") "\x00\x04\x7f\x00\x00\x09"
                                                 "\x01"
                                                 "a\xc0\x10\x00\x01" IN_TTL(
                                                     "\x05") "\x00\x04\x7f\x00\x00\x03"),
        DNS_A, &r));
    assert_int_equal(dns_result_records(&r, v), 2);
    assert_memory_equal(v[0].p, "\x7f\x00\x00\x02", 4);
    assert_memory_equal(v[1].p, "\x7f\x00\x00\x03", 4);
    assert_int_equal(r.ttl, 5);
    assert_int_equal(r.rcode, 0);
    buf_free(&r.bytes);
}

static void names_in_rdata_are_written_out(void **state)
{
    struct dns_result r = {0};
    struct span v[DNS_ANSWERS_MAX];
    (void)state;
    assert_true(dns_packet_read(SPAN(HEAD("\x80", "\x01") WWW
                                     "\x00\x0f\x00\x01"
                                     "\xc0\x0c\x00\x0f" IN_TTL("\x3c") "\x00\x07\x00\x0a\x02"
                                                                       "MX\xc0\x10"),
                                DNS_MX_RR, &r));
    assert_int_equal(dns_result_records(&r, v), 1);
    struct dns_mx mx;
    assert_true(dns_rdata_mx(v[0], &mx));
    assert_string_equal(mx.host, "mx.example");
    assert_int_equal(mx.preference, 10);
    buf_free(&r.bytes);
}

static void nothing_is_nothing(void **state)
{
    struct dns_result r = {0};
    (void)state;
    assert_true(dns_packet_read(SPAN(HEAD("\x83", "\x00") WWW "\x00\x01\x00\x01"), DNS_A, &r));
    assert_int_equal(r.rcode, DNS_RCODE_NXDOMAIN);
    assert_false(r.havedata);
}

static void malformed_packets(void **state)
{
    static const struct span bad[] = {
        {"", 0},
        {"\x00", 1},
        {"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00", 11},
        {HEAD("\x80", "\x01"), 12},                            /* no question */
        {HEAD("\x80", "\x00") "\xc0\x0c\x00\x01\x00\x01", 18}, /* a pointer to itself */
        {HEAD("\x80", "\x00") "\xc0\x40\x00\x01\x00\x01", 18}, /* and one forwards */
        {HEAD("\x80", "\x00") "\x3f"
                              "abc",
         16}, /* a label cut short */
        {HEAD("\x80", "\x00") "\x41"
                              "abc",
         16}, /* an unknown kind of label */
        {HEAD("\x80", "\x01") WWW "\x00\x01\x00\x01\xc0\x0c\x00", 32}, /* a record cut short */
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct dns_result r = {0};
        assert_false(dns_packet_read(bad[i], DNS_A, &r));
        assert_int_equal(r.n, 0);
        buf_free(&r.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_is_followed),
        cmocka_unit_test(names_in_rdata_are_written_out),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(malformed_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
