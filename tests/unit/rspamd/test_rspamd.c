#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "rspamd/reply.h"
#include "rspamd/request.h"
#include "rspamd/sealed.h"

#define expect(span, text) assert_true(span_eq(span, SPAN(text)))

static void what_clients_tell(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rspamd_request r = {0};
    rspamd_field(&r, a, SPAN("ip"), SPAN("192.0.2.1"));
    rspamd_field(&r, a, SPAN("From"), SPAN("<alice@example.net>"));
    rspamd_field(&r, a, SPAN("Rcpt"), SPAN("<bob@example.org>"));
    rspamd_field(&r, a, SPAN("Rcpt"), SPAN("carol@example.org, <\"a,b\"@example.org>,,"));
    rspamd_field(&r, a, SPAN("Helo"), SPAN(" mail\x01.example "));
    rspamd_field(&r, a, SPAN("X-Unknown"), SPAN("x"));
    assert_true(r.has_ip && ip_is4(&r.ip) && r.has_from);
    expect(r.from, "alice@example.net");
    assert_int_equal(r.nrcpts, 3);
    expect(r.rcpts[1], "carol@example.org");
    expect(r.rcpts[2], "\"a,b\"@example.org");
    expect(r.helo, "mail?.example");
    assert_null(r.user.p);
    rspamd_field(&r, a, SPAN("IP"), SPAN("[IPv6:2001:db8::1]"));
    assert_true(r.has_ip && !ip_is4(&r.ip));
    rspamd_field(&r, a, SPAN("IP"), SPAN("unknown"));
    assert_false(r.has_ip);
    rspamd_field(&r, a, SPAN("From"), SPAN("<>"));
    assert_true(r.has_from && r.from.n == 0 && r.from.p);
    char list[3 * (RSPAMD_RCPTS_MAX + 10)];
    for (size_t i = 0; i < sizeof list; i += 3)
        memcpy(list + i, "a@,", 3);
    rspamd_field(&r, a, SPAN("Rcpt"), span_of(list, sizeof list));
    assert_int_equal(r.nrcpts, RSPAMD_RCPTS_MAX);
    arena_free(a);
}

static void commands(void **state)
{
    (void)state;
    assert_int_equal(rspamd_command(SPAN("/checkv2")), RSPAMD_CHECK);
    assert_int_equal(rspamd_command(SPAN("/PING")), RSPAMD_PING);
    assert_int_equal(rspamd_command(SPAN("/learnspam")), RSPAMD_LEARN_SPAM);
    assert_int_equal(rspamd_command(SPAN("/checkv3")), RSPAMD_UNKNOWN);
    assert_int_equal(rspamd_command(SPAN("")), RSPAMD_UNKNOWN);
}

static const char *string_at(json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void reply(void **state)
{
    (void)state;
    const struct rspamd_symbol symbols[] = {
        {SPAN("RULE_A"), SPAN("says \"a\""), SPAN("\xff\x01"), 1.5},
        {SPAN("RULE_B"), SPAN(""), SPAN_NONE, -0.1}};
    const struct rspamd_header headers[] = {{SPAN("X-Spam-Flag"), SPAN("YES"), 0},
                                            {SPAN("X-Twice"), SPAN("1"), 0},
                                            {SPAN("x-twice"), SPAN("2\n\tfolded"), 0},
                                            {SPAN("X-Old"), SPAN_NONE, 0},
                                            {SPAN("X-Other"), SPAN_NONE, 2}};
    const struct rspamd_reply r = {.score = 6.5,
                                   .required = 5,
                                   .reject = 15,
                                   .action = "add header",
                                   .subject = SPAN("[SPAM] x"),
                                   .id = SPAN("0123456789ABCDEF"),
                                   .symbols = symbols,
                                   .nsymbols = 2,
                                   .headers = headers,
                                   .nheaders = 5,
                                   .seconds = 0.01};
    struct buf b = {0};
    rspamd_reply(&b, &r);
    json_t *o = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    assert_true(json_number_value(json_object_get(o, "score")) == 6.5);
    assert_string_equal(string_at(o, "action"), "add header");
    json_t *symbol = json_object_get(json_object_get(o, "symbols"), "RULE_A");
    assert_string_equal(string_at(symbol, "description"), "says \"a\"");
    assert_int_equal(json_array_size(json_object_get(symbol, "options")), 1);
    json_t *milter = json_object_get(o, "milter");
    json_t *added = json_object_get(milter, "add_headers");
    assert_int_equal(json_array_size(json_object_get(added, "X-Twice")), 2);
    assert_int_equal(json_object_size(added), 2);
    json_t *removed = json_object_get(milter, "remove_headers");
    assert_int_equal(json_integer_value(json_object_get(removed, "X-Other")), 2);
    assert_int_equal(json_object_size(removed), 2);
    json_decref(o);
    buf_clear(&b);
    rspamd_error(&b, SPAN("no \"way\""));
    assert_string_equal(b.p, "{\"error\":\"no \\\"way\\\"\"}");
    buf_clear(&b);
    const struct rspamd_stat s = {.scanned = 3, .spam = 1, .reject = 1, .no_action = 2};
    rspamd_stat(&b, &s);
    o = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "ham_count")), 2);
    json_decref(o);
    buf_free(&b);
}

/* As rspamd's documentation prints a pair of keys and its id. */
static void keys_of_httpcrypt(void **state)
{
    (void)state;
    struct sealed_key k, again;
    char text[SEALED_TEXT], hex[65];
    assert_true(
        sealed_key_parse(SPAN(" e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahy\n"), &k));
    assert_string_equal(sealed_key_text(&k, text),
                        "fg8uwtce9sta43sdwzddb11iez5thcskiufj4ug8esyfniqq5iiy");
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", k.secret[i]);
    assert_true(sealed_key_parse(span_of(hex, 64), &again));
    assert_memory_equal(&k, &again, sizeof k);
    assert_false(sealed_key_parse(span_of(hex, 63), &again));
    assert_false(sealed_key_parse(SPAN(""), &again));
    /* One character more, one less, one that is none, bits behind the end. */
    static const char *const bad[] = {"e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahyy",
                                      "e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdah",
                                      "l4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahy",
                                      "e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahn"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sealed_key_parse(span_str(bad[i]), &again));
}

static void what_is_sealed_can_be_opened(void **state)
{
    (void)state;
    struct sealed_key keys[2], client;
    unsigned char here[SEALED_SHARED], there[SEALED_SHARED];
    char text[SEALED_TEXT], field[2 * SEALED_TEXT];
    assert_true(sealed_key_parse(
        SPAN("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), &keys[0]));
    assert_true(
        sealed_key_parse(SPAN("e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahy"), &keys[1]));
    assert_true(sealed_key_parse(
        SPAN("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"), &client));
    snprintf(field, sizeof field, "gnyieumi=%s", sealed_key_text(&client, text));
    assert_true(sealed_agree(keys, 2, span_str(field), here));
    assert_false(sealed_agree(keys, 1, span_str(field), here)); /* the id is the other one's */
    assert_true(sealed_agree(keys, 2, span_str(field), here));
    /* Both ends come to the same: the client names itself to itself. */
    struct sealed_key turned = client;
    memcpy(turned.id, keys[1].id, sizeof turned.id);
    snprintf(field, sizeof field, "gnyieumi=%s", sealed_key_text(&keys[1], text));
    assert_true(sealed_agree(&turned, 1, span_str(field), there));
    assert_memory_equal(here, there, sizeof here);
    struct buf b = {0};
    struct span inner;
    sealed_close(&b, here, SPAN("GET /ping HTTP/1.1\r\n\r\n"));
    assert_int_equal(b.n, SEALED_OVERHEAD + 22);
    for (size_t i = 0; i < b.n; i++) { /* no bit of it may change */
        b.p[i] ^= 1;
        assert_false(sealed_open(there, b.p, b.n, &inner));
        b.p[i] ^= 1;
    }
    for (size_t n = 0; n < b.n; n++)
        assert_false(sealed_open(there, b.p, n, &inner));
    assert_true(sealed_open(there, b.p, b.n, &inner));
    expect(inner, "GET /ping HTTP/1.1\r\n\r\n");
    buf_free(&b);
    static const char *const bad[] = {
        "", "=", "gnyieumi",
        "gnyieumi=", "gnyieum=fg8uwtce9sta43sdwzddb11iez5thcskiufj4ug8esyfniqq5iiy",
        /* a point of low order: everybody would know the shared key */
        "gnyieumi=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sealed_agree(keys, 2, span_str(bad[i]), here));
}

static void inner_requests(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct sealed_request r;
    assert_true(sealed_request_parse(
        SPAN("POST /checkv2?x=y HTTP/1.1\r\nFrom:  a@b.c \r\nRcpt: d@e.f\r\n\r\nbody\r\n\r\nx"), a,
        &r));
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.path, "/checkv2");
    assert_int_equal(r.nfields, 2);
    assert_string_equal(r.fields[0].name, "From");
    assert_string_equal(r.fields[0].value, "a@b.c");
    expect(r.body, "body\r\n\r\nx");
    assert_true(sealed_request_parse(SPAN("GET /ping HTTP/1.0\r\n\r\n"), a, &r));
    assert_int_equal(r.body.n, 0);
    const struct span bad[] = {
        SPAN(""),
        SPAN("GET /ping HTTP/1.1\r\n"),
        SPAN("GET /ping\r\n\r\n"),
        SPAN("GET  HTTP/1.1\r\n\r\n"),
        SPAN(" /ping HTTP/1.1\r\n\r\n"),
        SPAN("GET /ping SPAMC/1.1\r\n\r\n"),
        SPAN("GET /ping HTTP/1.1\r\nno colon\r\n\r\n"),
        SPAN("GET /ping HTTP/1.1\r\n: x\r\n\r\n"),
        SPAN("GET /ping HTTP/1.1\r\nA: \0x\r\n\r\n"),
        SPAN("GET /pi\0ng HTTP/1.1\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sealed_request_parse(bad[i], a, &r));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_httpcrypt), cmocka_unit_test(what_is_sealed_can_be_opened),
        cmocka_unit_test(inner_requests),    cmocka_unit_test(what_clients_tell),
        cmocka_unit_test(commands),          cmocka_unit_test(reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
