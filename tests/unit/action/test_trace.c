/* The Received line that we write: valid by RFC 5321 section 4.4, and read back by the relay parser
 * as what it says, whoever the peer claims to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>
#include <stdlib.h>

#include "action/action.h"
#include "relays/relays.h"

#define ID       "3K7F0Q2M8TZC0000"
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What clients say, what stands in the line, and what rules see of it (brackets become '!'). */
static const struct {
    const char *said, *shown, *helo;
} names[] = {
    {"client.example", "client.example", "client.example"},
    {"", "unknown", "unknown"},
    {"localhost", "localhost", "localhost"},
    {"[198.51.100.1]", "[198.51.100.1]", "!198.51.100.1!"},
    {"[IPv6:2001:db8::9]", "[IPv6:2001:db8::9]", "!IPv6:2001:db8::9!"},
    {"198.51.100.1", "198.51.100.1", "198.51.100.1"},
    {"my_pc", "my_pc", "my_pc"},
    {"x [198.51.100.1]) by y", "x?[198.51.100.1]??by?y", "x?!198.51.100.1!??by?y"},
    {"x with ESMTPA id 1;", "x?with?ESMTPA?id?1?", "x?with?ESMTPA?id?1?"},
    {"by", "by", "by"},
    {"HELO", "HELO", "HELO"},
    {"b\xc3\xbc"
     "cher.example",
     "b?"
     "?cher.example",
     "b?"
     "?cher.example"},
    {"a\r\nX-Evil: 1",
     "a?"
     "?X-Evil:?1",
     "a?"
     "?X-Evil:?1"},
    {"(c\\\"<>@,;=", "?c????????", "?c????????"},
};
static const struct {
    const char *name, *rdns;
} reverse[] = {{"mail.sender.example", "mail.sender.example"},
               {NULL, ""},
               {"evil) [198.51.100.1]", "evil?"
                                        "?!198.51.100.1!"}};
static const char *const addresses[] = {"192.0.2.7", "2001:db8::1", "fe80::1"};
static const struct {
    const char *protocol, *auth, *tls;
} ways[] = {
    {"SMTP", "", NULL},
    {"ESMTP", "", NULL},
    {"ESMTPS", "", "TLSv1.3"},
    {"ESMTPA", "ESMTPA", NULL},
    {"ESMTPSA", "ESMTPSA", "TLSv1.2"},
    {"UTF8SMTP", "", NULL},
    {"UTF8SMTPS", "", "TLSv1.3"},
    {"UTF8SMTPA", "UTF8SMTPA", NULL},
    {"UTF8SMTPSA", "UTF8SMTPSA", "TLSv1.3"},
};

static void assert_form(struct span line)
{
    static const char form[] =
        "^Received: from [][A-Za-z0-9._:?-]+ \\([][A-Za-z0-9._:?-]+ "
        "\\[([0-9.]+|IPv6:[0-9a-f:]+)\\]\\)(\r\n\t\\(using [A-Za-z0-9._]+ with cipher "
        "[A-Z0-9_]+\\))?\r\n\tby gate\\.example\\.org with [A-Z0-9]+ id [A-Z0-9]+;\r\n"
        "\tSun, 22 Nov 2026 07:30:00 \\+0000\r\n$";
    regex_t r;
    assert_int_equal(regcomp(&r, form, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&r, line.p, 0, NULL, 0) != 0)
        fail_msg("[%.*s]", SPAN_ARG(line));
    regfree(&r);
    struct span one;
    while (span_line(&line, &one))
        assert_true(one.n <= 998);
}

static void assert_text(struct span got, const char *want, struct span line)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got [%.*s], want [%s] from [%.*s]", SPAN_ARG(got), want, SPAN_ARG(line));
}

static struct span trace_of(struct arena *a, size_t name, size_t rdns, size_t ip, size_t way)
{
    struct settings set = {.hostname = "gate.example.org"};
    struct message m = {.id = ID,
                        .arena = a,
                        .raw = SPAN("A: b\r\n\r\n"),
                        .has_envelope = true,
                        .received = (usec)1795332600 * USEC_PER_SEC};
    m.peer = (struct peer){.has_ip = true,
                           .helo = span_str(names[name].said),
                           .name = reverse[rdns].name ? span_str(reverse[rdns].name) : SPAN_NONE,
                           .protocol = span_str(ways[way].protocol)};
    if (ways[way].auth[0])
        m.peer.auth_user = SPAN("joe.user");
    if (ways[way].tls) {
        m.peer.tls_version = span_str(ways[way].tls);
        m.peer.tls_cipher = SPAN("TLS_AES_256_GCM_SHA384");
    }
    assert_true(ip_parse(span_str(addresses[ip]), &m.peer.ip));
    return action_trace(&set, &m, a);
}

static void check(struct arena *a, size_t name, size_t rdns, size_t ip, size_t way)
{
    struct span line = trace_of(a, name, rdns, ip, way);
    assert_form(line);
    assert_true(span_search(line, SPAN("joe.user")) == SIZE_MAX);
    struct span start = arena_printf(a, "Received: from %s (", names[name].shown);
    assert_text(span_sub(line, 0, start.n), start.p, line);

    struct span text = arena_printf(a, "%.*sA: b\r\n\r\n", SPAN_ARG(line));
    struct relays_settings none = {0};
    struct relays *r = relays_parse(mime_parse(a, text, NULL), &none, NULL);
    assert_int_equal(r->unparseable, 0);
    assert_int_equal(r->n, 1);
    assert_text(r->v[0].ip, addresses[ip], line);
    assert_text(r->v[0].rdns, reverse[rdns].rdns, line);
    assert_text(r->v[0].helo, names[name].helo, line);
    assert_text(r->v[0].by, "gate.example.org", line);
    assert_text(r->v[0].id, ID, line);
    assert_text(r->v[0].auth, ways[way].auth, line);
    assert_text(r->v[0].ident, "", line);
    assert_text(r->v[0].envfrom, "", line);
    /* an authenticated sender is one of us */
    bool local = ip == 2 || ways[way].auth[0];
    assert_int_equal(r->ntrusted, local ? 1 : 0);
}

static void rules_read_what_we_write(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct arena *a = arena_new(0);
    for (size_t name = 0; name < COUNT(names); name++)
        for (size_t rdns = 0; rdns < COUNT(reverse); rdns++)
            for (size_t ip = 0; ip < COUNT(addresses); ip++)
                for (size_t way = 0; way < COUNT(ways); way++) {
                    check(a, name, rdns, ip, way);
                    arena_reset(a);
                }
    arena_free(a);
}

static void names_of_any_length(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct arena *a = arena_new(0);
    char *name = arena_alloc(a, 5000);
    memset(name, 'a', 4999);
    struct settings set = {.hostname = "gate.example.org"};
    struct message m = {.id = ID,
                        .arena = a,
                        .raw = SPAN("\r\n"),
                        .has_envelope = true,
                        .received = (usec)1795332600 * USEC_PER_SEC};
    m.peer = (struct peer){
        .has_ip = true, .helo = span_str(name), .name = span_str(name), .protocol = SPAN("ESMTP")};
    assert_true(ip_parse(SPAN("2001:db8:1111:2222:3333:4444:5555:6666"), &m.peer.ip));
    assert_form(action_trace(&set, &m, a));
    arena_free(a);
}

/* From a local submission: a line that rules pass over. */
static void without_address(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct settings set = {.hostname = "gate.example.org"};
    struct message m = {.id = ID, .arena = a, .raw = SPAN("\n"), .has_envelope = true};
    m.peer.helo = SPAN("local");
    struct span text = arena_printf(a, "%.*s\n", SPAN_ARG(action_trace(&set, &m, a)));
    struct relays_settings none = {0};
    struct relays *r = relays_parse(mime_parse(a, text, NULL), &none, NULL);
    assert_int_equal(r->n, 0);
    assert_int_equal(r->unparseable, 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_read_what_we_write),
        cmocka_unit_test(names_of_any_length),
        cmocka_unit_test(without_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
