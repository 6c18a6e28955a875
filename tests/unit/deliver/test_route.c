/* Routes in Sendmail's words, and the retry schedule. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "deliver/deliver.h"
#include "deliver/route.h"

static struct arena *arena;

static void goes(const char *text, const char *key)
{
    struct route r;
    struct err e = {0};
    if (route_parse(span_str(text), arena, &r, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    struct span got = route_key(&r, SPAN("rcpt.example"), arena);
    assert_string_equal(arena_cstr(arena, got), key);
}

static void fails(const char *text)
{
    struct route r;
    struct err e = {0};
    assert_int_equal(route_parse(span_str(text), arena, &r, &e), -1);
    assert_true(e.text[0]);
}

static void forms_of_routes(void **state)
{
    (void)state;
    arena = arena_new(0);
    goes("smtp:[192.0.2.1]:2525", "smtp:[192.0.2.1]:2525");
    goes("esmtp:[mail.Example.org]", "smtp:[mail.example.org]:25");
    goes("relay:[IPv6:2001:db8::1]", "smtp:[2001:db8::1]:25");
    goes("relay:example.org", "mx:example.org");
    goes("smtp:example.org:26", "mx:example.org:26");
    goes("mx", "mx:rcpt.example");
    goes("smtp:", "mx:rcpt.example");
    goes("[10.0.0.1]", "smtp:[10.0.0.1]:25");
    goes("[10.0.0.1]:2526", "smtp:[10.0.0.1]:2526");
    goes("mail.example.org", "mx:mail.example.org");
    goes("localhost:2525", "mx:localhost:2525");
    goes("lmtp:/run/dovecot/lmtp", "lmtp:/run/dovecot/lmtp");
    goes("lmtp:unix:/run/lmtp", "lmtp:/run/lmtp");
    goes("lmtp:[127.0.0.1]:24", "lmtp:[127.0.0.1]:24");
    goes("maildir:/var/mail/x", "maildir:/var/mail/x");
    fails("");
    fails("smtp:[1.2.3.4");
    fails("smtp:[1.2.3.4]25");
    fails("smtp:[1.2.3.4]:0");
    fails("smtp:[1.2.3.4]:99999");
    fails("smtp:bad host");
    fails("smtp:-x.example");
    fails("uucp:there");
    fails("lmtp:");
    fails("maildir:");
    fails("smtp:[a]\nb");
    arena_free(arena);
}

static void errors_as_routes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reply;
    } rows[] = {
        {"error:5.1.1:550 no such user", "550 5.1.1 no such user"},
        {"error:550 gone", "550 5.0.0 gone"},
        {"error:4.2.1:450 later", "450 4.2.1 later"},
        {"error:nouser not here", "550 5.1.1 not here"},
        {"error:tempfail", "450 4.3.0 refused by the mail route"},
    };
    arena = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route r;
        assert_int_equal(route_parse(span_str(rows[i].text), arena, &r, NULL), 0);
        assert_int_equal(r.kind, ROUTE_ERROR);
        assert_string_equal(arena_cstr(arena, r.reply), rows[i].reply);
    }
    fails("error:");
    fails("error:what");
    fails("error:5.1.1:450 contradiction");
    arena_free(arena);
}

static void the_longest_domain_wins(void **state)
{
    (void)state;
    char path[] = "/tmp/gatehouse-routes-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "example.org smtp:[192.0.2.1]\n"
                               ".example.org smtp:[192.0.2.2]\n"
                               ".deep.example.org smtp:[192.0.2.3]\n"
                               "broken.example nonsense:there\n"
                               ". smtp:[192.0.2.9]\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    struct route_settings set = {.file = path, .fallback = "mx"};
    struct err e = {0};
    struct routes *r = routes_open(&set, &e);
    assert_non_null(r);
    static const struct {
        const char *domain, *key;
    } rows[] = {
        {"example.org", "smtp:[192.0.2.1]:25"},        {"www.example.org", "smtp:[192.0.2.2]:25"},
        {"a.deep.example.org", "smtp:[192.0.2.3]:25"}, {"deep.example.org", "smtp:[192.0.2.2]:25"},
        {"other.example", "smtp:[192.0.2.9]:25"},      {"broken.example", "smtp:[192.0.2.9]:25"},
    };
    arena = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span d = span_str(rows[i].domain);
        assert_string_equal(arena_cstr(arena, route_key(routes_find(r, d), d, arena)), rows[i].key);
    }
    arena_free(arena);
    routes_free(r);
    close(fd);
    unlink(path);
    set.file = "/nonexistent/routes";
    r = routes_open(&set, &e);
    assert_null(routes_find(r, SPAN("example.org"))); /* not known is not the fallback */
    routes_free(r);
    set.fallback = "uucp:x";
    assert_null(routes_open(&set, &e));
}

static void waits_grow_and_the_last_repeats(void **state)
{
    (void)state;
    usec waits[] = {60, 300, 900};
    struct queue_settings s = {.retry = {waits, 3}};
    assert_int_equal(deliver_wait(&s, 1), 60);
    assert_int_equal(deliver_wait(&s, 2), 300);
    assert_int_equal(deliver_wait(&s, 3), 900);
    assert_int_equal(deliver_wait(&s, 99), 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_routes),
        cmocka_unit_test(errors_as_routes),
        cmocka_unit_test(the_longest_domain_wins),
        cmocka_unit_test(waits_grow_and_the_last_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
