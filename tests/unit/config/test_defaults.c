#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/settings.h"

static void without_a_file_the_defaults_hold(void **state)
{
    (void)state;
    struct err e = {0};
    struct settings *s = settings_load(NULL, &e);
    assert_non_null(s);
    assert_null(s->file);
    assert_true(s->hostname[0] != '\0');
    assert_int_equal(s->limits.message_size, 50 << 20);
    assert_int_equal(s->limits.header_bytes, 512 << 10);
    assert_int_equal(s->limits.command_timeout, 120 * USEC_PER_SEC);
    assert_string_equal(s->paths.state, "/var/lib/gatehouse");
    assert_int_equal(s->line_endings, LINES_REFUSE);
    assert_int_equal(s->queue.retry.n, 7);
    assert_int_equal(s->queue.retry.v[6], 4 * 3600 * USEC_PER_SEC);
    assert_int_equal(s->queue.tls, DTLS_MAY);
    assert_int_equal(s->virus.on_error, FAIL_DEFER);
    assert_int_equal(s->virus.on_no_engine, FAIL_PASS);
    assert_true(s->rules.enabled);
    assert_true(s->rules.required_score == 5 && s->rules.reject_score == 15);
    assert_string_equal(s->routes.fallback, "mx");
    settings_free(s);
}

static void the_default_listener_is_on_loopback_only(void **state)
{
    (void)state;
    struct err e = {0};
    struct settings *s = settings_load(NULL, &e);
    assert_non_null(s);
    assert_int_equal(s->listeners.n, 1);
    assert_string_equal(s->listeners.v[0].address, "127.0.0.1:25");
    assert_string_equal(s->listeners.v[0].name, "mx");
    assert_int_equal(s->listeners.v[0].tls, TLS_MODE_NONE);
    assert_false(s->listeners.v[0].require_auth);
    settings_free(s);
}

static void the_default_policy_is_there(void **state)
{
    (void)state;
    struct err e = {0};
    struct settings *s = settings_load(NULL, &e);
    assert_non_null(s);
    assert_int_equal(s->policies.n, 1);
    const struct policy *p = &s->policies.v[0];
    assert_string_equal(p->name, "default");
    assert_true(p->scan);
    assert_true(p->required_score == 5 && p->reject_score == 15);
    assert_int_equal(p->on_spam, OUT_TAG);
    assert_int_equal(p->on_high_spam, OUT_REJECT);
    assert_int_equal(p->on_virus, OUT_REJECT);
    assert_int_equal(p->headers, HEADERS_SPAMASSASSIN);
    assert_int_equal(p->recipients.n + p->senders.n + p->clients.n + p->listeners.n, 0);
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_the_defaults_hold),
        cmocka_unit_test(the_default_listener_is_on_loopback_only),
        cmocka_unit_test(the_default_policy_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
