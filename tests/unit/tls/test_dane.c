#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tls/dane.h"

static struct span record(char *to, const char *head, size_t data)
{
    memcpy(to, head, 3);
    memset(to + 3, 'x', data);
    return span_of(to, 3 + data);
}

static void what_is_usable(void **state)
{
    (void)state;
    static const struct {
        char head[4];
        size_t data;
        bool usable;
    } cases[] = {{"\3\1\1", 32, true},  {"\2\0\1", 32, true},   {"\3\0\2", 64, true},
                 {"\3\1\0", 91, true},  {"\0\0\1", 32, false},  {"\1\1\1", 32, false},
                 {"\4\1\1", 32, false}, {"\3\2\1", 32, false},  {"\3\1\3", 32, false},
                 {"\3\1\1", 31, false}, {"\3\1\1", 64, false},  {"\3\1\2", 32, false},
                 {"\3\1\0", 0, false},  {"\3\1\0", 5000, false}};
    char bytes[6000];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (dane_usable(record(bytes, cases[i].head, cases[i].data)) != cases[i].usable)
            fail_msg("case %zu", i);
    assert_false(dane_usable(SPAN("")));
    assert_false(dane_usable(SPAN("\3\1")));
}

static void the_number_of_records_is_bounded(void **state)
{
    (void)state;
    char good[64], bad[64];
    struct span v[64];
    for (size_t i = 0; i < 64; i++)
        v[i] = i < 40 ? record(good, "\3\1\1", 32) : record(bad, "\1\1\1", 32);
    struct dane *d = dane_new("mx.example", NULL, v, 64);
    assert_int_equal(d->n, DANE_RECORDS_MAX);
    assert_int_equal(d->seen, 64);
    struct dane *again = dane_ref(d);
    assert_ptr_equal(again, d);
    dane_unref(again);
    assert_string_equal(d->host, "mx.example");
    dane_unref(d);
    dane_unref(NULL);
}

/* What OpenSSL does not take at all is refused before anything is said. */
static void junk_is_refused_before_the_handshake(void **state)
{
    (void)state;
    char bytes[64];
    SSL_CTX *ctx = dane_context(SSL_CTX_new(TLS_client_method()));
    struct span junk = record(bytes, "\3\1\0", 20);
    struct dane *d = dane_new("mx.example", "example", &junk, 1);
    SSL *ssl = SSL_new(ctx);
    assert_int_equal(d->n, 1);
    assert_int_equal(dane_apply(d, ssl), -1);
    SSL_free(ssl);
    dane_unref(d);
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_usable),
        cmocka_unit_test(the_number_of_records_is_bounded),
        cmocka_unit_test(junk_is_refused_before_the_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
