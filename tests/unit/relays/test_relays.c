#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relays/relays.h"

#define RECEIVED(ip)                                                                               \
    "Received: from h.example (r.example [" ip "]) by m.example (Postfix) with ESMTP id AB1\n"
#define AUTH(ip)                                                                                   \
    "Received: from h.example (r.example [" ip "]) by m.example (Postfix) with ESMTPSA id AB1\n"

/* Which networks are known, which lines there are; how many relays end up in each zone, and the
 * index of the last Received line of the trusted and the internal ones. */
static const struct {
    const char *trusted, *internal, *msa; /* words separated by spaces; NULL: not configured */
    const char *message;
    size_t ntrusted, nuntrusted, ninternal, nexternal, unparseable;
    long last_trusted, last_internal;
} table[] = {
    /* by guess: private addresses and authenticated senders, up to the first other one */
    {NULL, NULL, NULL, RECEIVED("10.0.0.1") RECEIVED("203.0.113.1") RECEIVED("10.0.0.2"), 1, 2, 1,
     2, 0, 0, 0},
    {NULL, NULL, NULL, AUTH("203.0.113.1") RECEIVED("10.0.0.2"), 2, 0, 2, 0, 0, 1, 1},
    {NULL, NULL, NULL, "Received: by nobody\nReceived: from what is this\n" RECEIVED("203.0.113.1"),
     0, 1, 0, 1, 1, 1, 1},
    {NULL, NULL, NULL, "Subject: none\n", 0, 0, 0, 0, 0, -1, -1},
    /* by networks */
    {"203.0.113", NULL, NULL, RECEIVED("203.0.113.1") RECEIVED("198.51.100.1"), 1, 1, 1, 1, 0, 0,
     0},
    {"203.0.113 198.51.100", "203.0.113", NULL,
     RECEIVED("203.0.113.1") RECEIVED("198.51.100.1") RECEIVED("192.0.2.1"), 2, 1, 1, 2, 0, 1, 0},
    {NULL, "203.0.113", NULL, RECEIVED("203.0.113.1") RECEIVED("10.0.0.1"), 1, 1, 1, 1, 0, 0, 0},
    {"203.0.113", NULL, NULL, RECEIVED("203.0.113.1") AUTH("198.51.100.1") RECEIVED("192.0.2.1"), 2,
     1, 2, 1, 0, 1, 1},
    {"203.0.113", NULL, "203.0.113.9", RECEIVED("203.0.113.9") RECEIVED("192.0.2.1"), 2, 0, 2, 0, 0,
     1, 1},
    /* a fetcher's line starts anew, as long as all was trusted so far */
    {NULL, NULL, NULL,
     RECEIVED("10.0.0.1") "Received: from p [127.0.0.1] by l with POP3 (fetchmail)\n" RECEIVED(
         "203.0.113.1"),
     0, 1, 0, 1, 0, 1, 1},
    {NULL, NULL, NULL,
     RECEIVED("203.0.113.1") "Received: from p [127.0.0.1] by l with POP3 (fetchmail)\n", 0, 1, 0,
     1, 0, -1, -1},
    /* the client's own address by a header of its webmail */
    {NULL, NULL, NULL, RECEIVED("10.0.0.1") "X-Originating-IP: [203.0.113.7]\n", 1, 1, 1, 1, 0, 0,
     0},
};

static void networks(struct arena *a, struct netset *s, const char *words)
{
    struct span rest = span_str(words), word;
    s->configured = words != NULL;
    while ((word = span_word(&rest, " ")).p)
        assert_true(netset_add(s, a, word));
}

static void zones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct arena *a = arena_new(0);
        struct span originating = SPAN("X-Originating-IP");
        struct relays_settings s = {.originating_ip_headers = &originating, .noriginating = 1};
        networks(a, &s.trusted, table[i].trusted);
        networks(a, &s.internal, table[i].internal);
        networks(a, &s.msa, table[i].msa);
        struct mime_limits limits = MIME_LIMITS_DEFAULT;
        struct span text = arena_printf(a, "%s\nbody\n", table[i].message);
        const struct relays *r = relays_parse(mime_parse(a, text, &limits), &s, NULL);
        if (r->ntrusted != table[i].ntrusted || r->nuntrusted != table[i].nuntrusted ||
            r->ninternal != table[i].ninternal || r->nexternal != table[i].nexternal ||
            r->unparseable != table[i].unparseable || r->last_trusted != table[i].last_trusted ||
            r->last_internal != table[i].last_internal)
            fail_msg("row %zu: %zu %zu %zu %zu %zu %ld %ld", i, r->ntrusted, r->nuntrusted,
                     r->ninternal, r->nexternal, r->unparseable, r->last_trusted, r->last_internal);
        arena_free(a);
    }
}

static void strings_tell_zone_and_submission(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct relays_settings s = {0};
    networks(a, &s.trusted, "203.0.113");
    networks(a, &s.msa, "203.0.113.9");
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct relays *r = relays_parse(
        mime_parse(a, SPAN(RECEIVED("203.0.113.9") RECEIVED("192.0.2.1") "\n"), &limits), &s, NULL);
    assert_true(
        span_eq(r->trusted_text,
                SPAN("[ ip=203.0.113.9 rdns=r.example helo=h.example by=m.example ident= "
                     "envfrom= intl=1 id=AB1 auth= msa=1 ] [ ip=192.0.2.1 rdns=r.example "
                     "helo=h.example by=m.example ident= envfrom= intl=1 id=AB1 auth= msa=0 ]")));
    assert_int_equal(r->untrusted_text.n, 0);
    assert_non_null(r->untrusted_text.p);
    arena_free(a);
}

static void scanner_sender_goes_to_the_next_relay(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct relays_settings s = {0};
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct relays *r = relays_parse(
        mime_parse(
            a,
            SPAN("Received: from 198.51.100.7 by m.example (envelope-from <joe@e.example>, uid "
                 "502) with qmail-scanner-1.24 (clean)\n" RECEIVED("203.0.113.9") "\n"),
            &limits),
        &s, NULL);
    assert_int_equal(r->nuntrusted, 1);
    assert_true(span_eq(r->untrusted[0]->envfrom, SPAN("joe@e.example")));
    arena_free(a);
}

static void loops_of_lines_end(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    enum { LINES = 3000 };
    size_t n = sizeof(RECEIVED("203.0.113.9")) - 1;
    char *text = arena_raw(a, LINES * n + 1);
    for (size_t i = 0; i < LINES; i++)
        memcpy(text + i * n, RECEIVED("203.0.113.9"), n);
    text[LINES * n] = '\n';
    struct relays_settings s = {0};
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct relays *r = relays_parse(mime_parse(a, span_of(text, LINES * n + 1), &limits), &s, NULL);
    assert_int_equal(r->nuntrusted, 1000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones),
        cmocka_unit_test(strings_tell_zone_and_submission),
        cmocka_unit_test(scanner_sender_goes_to_the_next_relay),
        cmocka_unit_test(loops_of_lines_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
