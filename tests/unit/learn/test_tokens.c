#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "learn/tokens.h"
#include "learn/unmark.h"

static struct arena *a;
static struct learn_words *words;

static int setup(void **state)
{
    struct err e;
    (void)state;
    a = arena_new(0);
    words = learn_words_new(&e);
    return words ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    learn_words_free(words);
    arena_free(a);
    return 0;
}

static bool is_the(void *ctx, struct span word)
{
    (void)ctx;
    return span_ieq(word, SPAN("the"));
}

static bool is_secret(void *ctx, struct span name)
{
    (void)ctx;
    return span_eq(name, SPAN("x-secret"));
}

static int by_text(const void *x, const void *y)
{
    return span_cmp(((const struct learn_token *)x)->text, ((const struct learn_token *)y)->text);
}

static struct learn_tokens tokens_of(const struct learn_text *t)
{
    struct learn_rules r = {.words = words, .max_length = 15, .stop = is_the, .ignored = is_secret};
    return learn_tokenize(a, &r, t);
}

/* All tokens in the order of their bytes, with a blank between them. */
static void expect(const struct learn_text *t, const char *want)
{
    struct learn_tokens got = tokens_of(t);
    struct buf b = {0};
    for (size_t i = 1; i < got.n; i++)
        assert_true(memcmp(got.v[i - 1].id, got.v[i].id, LEARN_TOKEN_SIZE) < 0);
    qsort(got.v, got.n, sizeof *got.v, by_text);
    for (size_t i = 0; i < got.n; i++)
        buf_printf(&b, "%s%.*s", i ? " " : "", SPAN_ARG(got.v[i].text));
    if (!span_eq(buf_span(&b), span_str(want)))
        fail_msg("got  %.*s\nwant %s", (int)b.n, b.p ? b.p : "", want);
    buf_free(&b);
}

static void body(const char *line, const char *want)
{
    struct span v = span_str(line);
    expect(&(struct learn_text){.visible = &v, .nvisible = 1}, want);
}

static void field(const char *name, const char *value, const char *want)
{
    struct learn_field f = {span_str(name), span_str(value)};
    expect(&(struct learn_text){.fields = &f, .nfields = 1}, want);
}

/* Every expectation here is what SpamAssassin 4.0.1 makes of the same text. */
static void words_of_a_body(void **state)
{
    (void)state;
    body("", "");
    body("ab the xyz", "xyz");
    body("Hello there World", "World hello there world");
    body("buy CHEAP meds", "CHEAP buy cheap meds");
    body("f*ck $31,000,000 Hits!", "$31,000,000 31000000 Hits Hits! f*ck hits hits!");
    body("one...two three--four", "four one three two");
    body("'quoted', \"words\".", "quoted words");
    body("one. Two three", "one three two");
    body("caf\xc3\xa9 \xe9t\xe9", "caf caf\xc3\xa9 t \xe9t\xe9");
}

static void long_words(void **state)
{
    (void)state;
    body("abcdefghijklmnop", "sk:abcdefg");
    body("abcdefghijklmno", "abcdefghijklmno");
    body("abcdefghijklmno*p", "abcdefghijklmno*p");
    body("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
         "u8:\xe6\x97\xa5 u8:\xe6\x9c\xac u8:\xe8\xaa\x9e");
    struct span uri = SPAN("http://abcdefghijklmnop");
    expect(&(struct learn_text){.uris = &uri, .nuris = 1}, "abcdefghijklmnop http");
}

static void places_in_a_body(void **state)
{
    (void)state;
    body("joe@mail.example.com", "D*com D*example.com D*mail.example.com U*joe sk:joe@mai "
                                 "sk:joemai");
    body("www.example.com", "UD:com UD:example.com UD:www.example.com www.example.com "
                            "wwwexamplecom");
    struct span hidden = SPAN("Hidden x.example");
    expect(&(struct learn_text){.invisible = &hidden, .ninvisible = 1},
           "I*:hidden I*:x.example I*:xexample UD:example UD:x.example");
}

static void header_fields(void **state)
{
    (void)state;
    field("Subject", "never", "");
    field("X-Secret", "never", "");
    field("X-Bugzilla-Status", "never", "");
    field("X-Gatehouse-Id", "never", "");
    field("X-Tracker", "Alpha beta", "HX-Tracker:Alpha HX-Tracker:beta");
    field("DKIM-Signature", "v=1; a=rsa", "");
    field("From", "\"Joe Doe\" <joe@x.example>",
          "H*Ad:D*example H*Ad:D*x.example H*Ad:N*Doe H*Ad:N*Joe H*Ad:U*joe H*F:D*example "
          "H*F:D*x.example H*F:N*Doe H*F:N*Joe H*F:U*joe");
    field("Message-ID", "<0001abcdef01$0002abcd$0badcafe@host.example>",
          "H*M:OEA0001 H*M:OEB0002 H*M:OEC0badcafe H*M:example H*M:host H*MI:OEA0001 "
          "H*MI:OEB0002 H*MI:OEC0badcafe H*MI:example H*MI:host");
    field("Content-Type", "text/plain; charset=utf-8; boundary=\"--ab12=_x\"",
          "H*ct:HHHH H*ct:plain H*ct:utf-8");
    field("MIME-Version", "1.0 (produced)", "HMIME-Version:produced");
    field("Received",
          "from a.example (b.example [192.0.2.7]) by c.example with ESMTP id 4ABCDEF012; Tue, "
          "3 Feb 2026 10:11:12 +0100 (CET)",
          "H*r:192.0.2 H*r:a.example H*r:b.example H*r:c.example H*r:ip*192.0.2.7");
}

static void only_the_oldest_received(void **state)
{
    (void)state;
    struct learn_field f[] = {{SPAN("Received"), SPAN("newest")},
                              {SPAN("Received"), SPAN("middle")},
                              {SPAN("Received"), SPAN("oldest")}};
    struct learn_field meta[] = {{SPAN("x-spam-relays-trusted"), SPAN("[ ip=192.0.2.7 auth= ]")}};
    expect(&(struct learn_text){.fields = f, .nfields = 3, .metadata = meta, .nmetadata = 1},
           "H*RT:192.0.2.7 H*r:middle H*r:oldest");
}

static void a_body_has_an_end(void **state)
{
    (void)state;
    struct buf b = {0};
    for (unsigned i = 0; i < LEARN_BODY_MAX; i++)
        buf_printf(&b, "w%u ", 100 + i);
    struct span v[] = {buf_span(&b), SPAN("beyond")};
    struct learn_tokens t = tokens_of(&(struct learn_text){.visible = v, .nvisible = 2});
    assert_int_equal(t.n, LEARN_BODY_MAX);
    buf_free(&b);
}

static void hostile_words_have_an_end(void **state)
{
    (void)state;
    struct buf b = {0};
    struct span v[60], address;
    for (unsigned i = 0; i < 60; i++) {
        buf_clear(&b);
        for (unsigned k = 0; k < 1000; k++)
            buf_printf(&b, "%c.", 'a' + (int)((i + k) % 26));
        v[i] = arena_dup(a, buf_span(&b));
    }
    size_t before = arena_used(a), bytes = 0;
    struct learn_tokens t = tokens_of(&(struct learn_text){.visible = v, .nvisible = 60});
    for (size_t i = 0; i < t.n; i++)
        bytes += t.v[i].text.n;
    assert_true(bytes <= LEARN_BYTES_MAX);
    assert_true(arena_used(a) - before < 4 * LEARN_BYTES_MAX);
    address = arena_printf(a, "<x@%.*scom>", SPAN_ARG(v[0]));
    struct learn_field f = {SPAN("From"), address};
    t = tokens_of(&(struct learn_text){.fields = &f, .nfields = 1});
    assert_true(t.n > 2);
    buf_free(&b);
}

/* The token of "hello": the end of its SHA-1. */
static void ids_are_spamassassins(void **state)
{
    (void)state;
    struct span v = SPAN("hello");
    struct learn_tokens t = tokens_of(&(struct learn_text){.visible = &v, .nvisible = 1});
    static const unsigned char id[] = {0xd9, 0xae, 0xa9, 0x43, 0x4d};
    assert_int_equal(t.n, 1);
    assert_memory_equal(t.v[0].id, id, sizeof id);
}

static void marks_come_off(void **state)
{
    (void)state;
    struct span plain = SPAN("From: a@x.example\nSubject: hi\n\nbody\n");
    assert_true(unmark(a, plain, SPAN_NONE).p == plain.p);
    struct span got =
        unmark(a,
               SPAN("X-Spam-Flag: YES\nX-Spam-Checker-Version: SpamAssassin\n folded\n"
                    "From: a@x.example\nSubject: [SPAM] hi\n\nbody\n"),
               SPAN("[SPAM]"));
    assert_true(span_eq(got, plain));
    got = unmark(a,
                 SPAN("X-Spam-Checker-Version: x\nX-Spam-Prev-Subject: hi\nFrom: a@x.example\n"
                      "Subject: changed\n\nbody\n"),
                 SPAN_NONE);
    assert_true(span_eq(got, plain));
    got = unmark(a,
                 SPAN("X-Spam-Checker-Version: x\nMIME-Version: 1.0\n"
                      "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n"
                      "Content-Type: text/plain\n\nreport\n--b\n"
                      "Content-Type: message/rfc822; x-spam-type=original\n\n"
                      "From: a@x.example\nSubject: hi\n\nbody\n\n--b--\n"),
                 SPAN_NONE);
    assert_true(span_eq(got, plain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_body),
        cmocka_unit_test(long_words),
        cmocka_unit_test(places_in_a_body),
        cmocka_unit_test(header_fields),
        cmocka_unit_test(only_the_oldest_received),
        cmocka_unit_test(a_body_has_an_end),
        cmocka_unit_test(hostile_words_have_an_end),
        cmocka_unit_test(ids_are_spamassassins),
        cmocka_unit_test(marks_come_off),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
