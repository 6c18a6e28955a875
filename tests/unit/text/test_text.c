#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "text/text.h"

static struct arena *arena;
static struct uri_tables tables;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    tables = (struct uri_tables){.tld = map_in(arena)};
    tables.two_level = tables.three_level = map_in(arena);
    *map_at(&tables.tld, SPAN("com")) = &tables;
    *map_at(&tables.tld, SPAN("net")) = &tables;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct text *text_of(struct span raw, const struct text_limits *l)
{
    return text_make(mime_parse(arena, raw, &MIME_LIMITS_DEFAULT), &tables, l);
}

static struct text *make(const char *raw)
{
    return text_of(span_str(raw), &TEXT_LIMITS_DEFAULT);
}

static void assert_lines(struct lines got, const char *const *want, size_t n)
{
    for (size_t i = 0; i < got.n && i < n; i++)
        if (!span_eq(got.v[i], span_str(want[i])))
            fail_msg("line %zu: got [%.*s] want [%s]", i, SPAN_ARG(got.v[i]), want[i]);
    assert_int_equal(got.n, n);
}
#define LINES(got, ...)                                                                            \
    assert_lines((got), (const char *const[]){__VA_ARGS__},                                        \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

#define PLAIN(charset) "Subject: s\nContent-Type: text/plain; charset=" charset "\n\n"
#define MIXED          "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n"

static bool has_cleaned(const struct text *t, const char *uri)
{
    for (size_t i = 0; i < t->uris.ncleaned; i++)
        if (span_eq(t->uris.cleaned[i], span_str(uri)))
            return true;
    return false;
}

/* The message of semantics 11.3. */
static void the_verified_example(void **state)
{
    (void)state;
    struct text *t = make(
        MIXED "--b\n\nfirst part\n--b\nContent-Type: text/html\n\n"
              "<html><body bgcolor=#000000><p>One&nbsp;two<br>three</p><div>four"
              "<span style=\"display:none\">hid</span>den</div> <a href=\"rel/p.html\">L</a> "
              "<a>none</a><table><tr><td>x<td>y</table>caf&eacute;&#160;z</body></html>\n--b--\n");
    LINES(t->body, "s\n", "first part\n", "One two three\n", "fourhidden L none x ycaf\xe9\xa0z");
    LINES(text_visible(t), "s\n", "first part\n", "One two three\n",
          "fourden L none x ycaf\xe9\xa0z");
    LINES(text_invisible(t), "hid");
    assert_int_equal(t->uris.ncleaned, 4);
    assert_true(has_cleaned(t, "") && has_cleaned(t, "rel/p.html") &&
                has_cleaned(t, "http://rel/p.html") && has_cleaned(t, "http://www.rel.com/p.html"));
    assert_false(t->html[0].html->font_low_contrast);
    assert_int_equal(t->nhtml, 1);
}

static void white_space(void **state)
{
    (void)state;
    LINES(make("Subject:  a  b\n\n x  y\n\tz\n\n \n\n w \n")->body, "a  b\n", " x y z\n", " w ");
    LINES(make("\na\n \nb")->body, "\n", "a\n", "b"); /* no Subject */
    LINES(make("Subject: s\nSubject: t\n\na\v\fb\n")->body, "t\n", "a b ");
    LINES(text_of(SPAN("Subject: s\n\na\0b\0\0c"), &TEXT_LIMITS_DEFAULT)->body, "s\n", "a\n", "b\n",
          "\n", "c"); /* NULs are line ends */
    LINES(make(PLAIN("us-ascii"))->body, "s\n");
}

static void parts_run_together(void **state)
{
    (void)state;
    LINES(make(MIXED "--b\n\none\n--b\n\ntwo\n--b--\n")->body, "s\n", "one two");
    LINES(make(MIXED "--b\n\none\n\n--b\nContent-Type: image/gif\n\nx\n--b\n\ntwo\n--b--\n")->body,
          "s\n", "one\n", "two");
}

static void kinds_of_strings(void **state)
{
    (void)state;
    /* U+00A0 is white space in a character string. */
    LINES(make(PLAIN("utf-8") "caf\xc3\xa9\xc2\xa0\xe3\x80\x80x")->body, "s\n", "caf\xc3\xa9 x");
    /* A byte string joined with a character string is upgraded. */
    LINES(make(MIXED "--b\nContent-Type: text/html\n\n&eacute;&#160;\n--b\n"
                     "Content-Type: text/plain; charset=utf-8\n\n\xe2\x82\xac\n--b--\n")
              ->body,
          "s\n", "\xc3\xa9 \xe2\x82\xac");
    /* URIs of HTML character strings are Latin-1, those of text are UTF-8. */
    struct text *t = make("Content-Type: text/html; charset=utf-8\n\n"
                          "<a href='http://x.com/\xc3\xa9\xe2\x82\xac'>http://y.com/\xc3\xa9</a>");
    assert_true(has_cleaned(t, "http://x.com/\xe9\x90"));
    assert_true(has_cleaned(t, "http://y.com/\xc3\xa9"));
}

static void effective_types(void **state)
{
    (void)state;
    struct text *t = make(MIXED "--b\nContent-Type: application/octet-stream; name=x.HTM\n\n"
                                "<b>bo</b>ld\n--b\nContent-Type: text/calendar\n\ncal\n--b\n"
                                "Content-Type: text/csv\n\n1,2\n--b\n"
                                "Content-Type: application/pdf\n\n%PDF\n--b--\n");
    LINES(t->body, "s\n", "bold\n", "1,2 ");
    LINES(t->rawbody, "<b>bo</b>ld", "1,2");
    assert_int_equal(t->nhtml, 1);
    assert_int_equal(t->nparts, 2);
    assert_true(span_eq(text_of_part(t, t->mime, t->parts[0].part), SPAN("bold")));
    assert_null(text_of_part(t, t->mime, t->mime->root).p);
}

static struct span long_message(struct buf *b, const char *head, size_t n, const char *piece)
{
    buf_str(b, head);
    while (n--)
        buf_str(b, piece);
    return buf_span(b);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    struct buf b = {0};
    struct text *t =
        text_of(long_message(&b, "Subject: s\n\n", 500, "123456789 "), &TEXT_LIMITS_DEFAULT);
    assert_int_equal(t->body.n, 4);
    assert_int_equal(t->body.v[1].n, 2040);
    assert_int_equal(t->body.v[2].n, 2040);
    buf_clear(&b);
    t = text_of(long_message(&b, "Subject: s\n\n", 2049, "x"), &TEXT_LIMITS_DEFAULT);
    assert_int_equal(t->body.n, 3);
    assert_int_equal(t->body.v[1].n, 2048);
    buf_clear(&b);
    /* A space at index 2048 still counts: 2049 bytes. */
    long_message(&b, "Subject: s\n\n", 2048, "x");
    buf_str(&b, " y");
    t = text_of(buf_span(&b), &TEXT_LIMITS_DEFAULT);
    assert_int_equal(t->body.v[1].n, 2049);
    buf_free(&b);
}

static size_t total(const struct lines *l, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < l->n; i++)
        n += l->v[i].n;
    return n;
}

static void parts_are_cut_at_the_scan_size(void **state)
{
    (void)state;
    struct text_limits l = {100, 100, true};
    struct buf b = {0};
    struct text *t = text_of(long_message(&b, "Subject: s\n\n", 50, "123456789 "), &l);
    assert_int_equal(total(&t->body, 1), 110); /* after the next space */
    assert_int_equal(total(&t->rawbody, 0), 110);
    buf_clear(&b);
    t = text_of(long_message(&b, "Subject: s\n\n", 50, "123 56789\n"), &l);
    assert_int_equal(total(&t->rawbody, 0), 110); /* a line end comes before a space */
    buf_clear(&b);
    t = text_of(long_message(&b, "Subject: s\n\n", 5000, "x"), &l);
    assert_int_equal(total(&t->body, 1), 100);
    assert_int_equal(total(&t->rawbody, 0), 100);
    buf_clear(&b);
    /* Characters are counted, not bytes. */
    t = text_of(long_message(&b, PLAIN("utf-8"), 3000, "\xc3\xa9"), &l);
    assert_int_equal(total(&t->body, 1), 200);
    buf_free(&b);
}

static void rawbody_chunks(void **state)
{
    (void)state;
    struct buf b = {0};
    struct text *t = text_of(long_message(&b, "\n", 500, "123456789\n"), &TEXT_LIMITS_DEFAULT);
    assert_int_equal(t->rawbody.n, 2);
    assert_int_equal(t->rawbody.v[0].n, 2050);
    buf_clear(&b);
    t = text_of(long_message(&b, "\n", 5000, "x"), &TEXT_LIMITS_DEFAULT);
    assert_int_equal(t->rawbody.n, 2);
    assert_int_equal(t->rawbody.v[0].n, 2049);
    buf_free(&b);
    t = make("Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=koi8-r\n\n"
             "w+HG\n");
    LINES(t->rawbody, "\xc3\xe1\xc6"); /* decoded bytes, no charset */
    LINES(make("Subject: x\n\n")->rawbody, "");
}

static void dkim_domains(void **state)
{
    (void)state;
    struct text *t = make("DKIM-Signature: v=1; d = exam\n ple.com; bd=x.net; s=y\n"
                          "DomainKey-Signature: d=foo.invalidtld\n\nbody\n");
    assert_int_equal(t->uris.n, 1);
    assert_true(span_eq(t->uris.v[0].key, SPAN("domainkeys:example.com")));
    assert_true(uri_has_type(&t->uris.v[0], "domainkeys"));
    assert_int_equal(t->uris.ncleaned, 0);
}

static void uri_types_merge(void **state)
{
    (void)state;
    struct text *t = make("Content-Type: text/html\n\n"
                          "<a href=http://x.com/>http://x.com/ text</a> joe@y.net foo.com");
    assert_int_equal(t->uris.n, 3);
    const struct uri *x = &t->uris.v[0];
    assert_true(uri_has_type(x, "a") && uri_has_type(x, "parsed"));
    assert_int_equal(x->nanchors, 1);
    assert_true(span_eq(x->anchors[0], SPAN("http://x.com/ text")));
    assert_true(span_eq(x->hosts[0], SPAN("x.com")));
    assert_true(uri_has_type(&t->uris.v[1], "schemeless"));
    assert_true(uri_has_type(&t->uris.v[2], "unlinked"));
}

/* normalize_charset 0 */
static void bytes_stay_what_they_are(void **state)
{
    (void)state;
    struct text_limits l = TEXT_LIMITS_DEFAULT;
    l.keep_charset = true;
    LINES(text_of(SPAN(PLAIN("iso-8859-1") "caf\xe9\xa0x\n"), &l)->body, "s\n", "caf\xe9\xa0x ");
    LINES(text_of(SPAN(PLAIN("utf-8") "caf\xc3\xa9\xc2\xa0x\n"), &l)->body, "s\n",
          "caf\xc3\xa9 x ");
    LINES(text_of(SPAN("Subject: s\nContent-Type: text/html; charset=koi8-r\n\n"
                       "\xf0&eacute;<b>x&#8217;\xc2\xa0y"),
                  &l)
              ->body,
          "s\n", "\xc3\xb0\xc3\xa9x\xe2\x80\x99 y");
}

static void a_subject_may_hold_nul(void **state)
{
    (void)state;
    struct text *t = make("Subject: =?utf-8?Q?a=00b?=\n\nx\n");
    assert_true(span_eq(t->subject, span_of("a\0b\n", 4)));
}

/* A multipart whose parts are none: there is no body, and no Subject line in it. */
static void without_parts_there_is_no_body(void **state)
{
    (void)state;
    LINES(make("Subject: s\n\nx\n")->body, "s\n", "x ");
    struct text *t = make(MIXED "--b\nContent-Type: message/rfc822\n\n"
                                "Content-Type: multipart/mixed; boundary=c\n\n--b--\n");
    assert_int_equal(t->body.n, 0);
    assert_int_equal(text_visible(t).n, 0);
}

static void hostile_messages_are_linear(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "\n",      " ",        "\n \n",  "http://a.com/ ", "<a href=http://b.com/?",
        "&#8217;", "\xc2\xa0", "a.com@", "<p>x",           "d="};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct buf b = {0};
        long_message(&b, "Content-Type: text/html; charset=utf-8\n\n", 100000, pieces[i]);
        usec start = clock_mono();
        text_of(buf_span(&b), &TEXT_LIMITS_DEFAULT);
        if (clock_mono() - start > 3 * USEC_PER_SEC)
            fail_msg("%s: %lld us", pieces[i], (long long)(clock_mono() - start));
        buf_free(&b);
        (void)teardown(NULL);
        (void)setup(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verified_example),
        cmocka_unit_test(white_space),
        cmocka_unit_test(parts_run_together),
        cmocka_unit_test(kinds_of_strings),
        cmocka_unit_test(effective_types),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(parts_are_cut_at_the_scan_size),
        cmocka_unit_test(rawbody_chunks),
        cmocka_unit_test(dkim_domains),
        cmocka_unit_test(uri_types_merge),
        cmocka_unit_test(bytes_stay_what_they_are),
        cmocka_unit_test(a_subject_may_hold_nul),
        cmocka_unit_test(without_parts_there_is_no_body),
        cmocka_unit_test(hostile_messages_are_linear),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
