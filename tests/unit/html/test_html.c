#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "html/html_private.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct html *parse(const char *source)
{
    struct span s = span_str(source);
    return html_parse(arena, s, false, s.n);
}

static struct html *parse_chars(const char *source)
{
    struct span s = span_str(source);
    return html_parse(arena, s, true, s.n);
}

static void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got [%.*s] want [%s]", SPAN_ARG(got), want);
}

static void assert_texts(struct html_texts got, const char *const *want, size_t n)
{
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++)
        assert_span(got.v[i].s, want[i]);
}

struct example {
    const char *source, *text;
};

static void assert_rendered(const struct example *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_span(parse(e[i].source)->text.s, e[i].text);
}
#define RENDERED(examples) assert_rendered((examples), sizeof(examples) / sizeof *(examples))

static void tags_leave_white_space(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"<p>One&nbsp;two<br>three</p>", "\n\nOne two\nthree\n\n"},
        {"a<td>b</td>c", "a b c"},
        {"a <br> b", "a\nb"},
        {"a <b> b", "a  b"}, /* only white space pieces swallow blanks */
        {"x \t\n y", "x y"},
        {"a<h1>b</h1>", "a b "},
        {"<pre>a\n\nb</pre>", "\n\na b\n\n"},
        {"<title>T</title>x", "\n\nT\n\nx"},
        {"<unknown>a</unknown>", "a"},
    };
    RENDERED(examples);
}

static void what_is_no_tag_is_text(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"1 <2 and <> 3", "1 <2 and <> 3"},
        {"a</>b</ x>c", "abc"},
        {"a<!-- x > y -->b", "ab"},
        {"a<!-->x-->b", "ab"},
        {"a<!x>b<!>c<?php x>d", "abcd"},
        {"a<![if !mso]>b<![endif]>c", "abc"},
        {"a<![CDATA[<b>&amp;]]>c&amp;", "a<b>&amp;c&"},
        {"a<![IGNORE[b<i>]]>c", "ac"},
        {"<br/>x<br />y<br class=a/>z", "\nx\ny\nz"},
        {"<p/>x</p/>y", "\n\nxy"},
        {"a<b x='>'>c</b y=\">\">d", "acd"},
    };
    RENDERED(examples);
}

static void raw_elements(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"a<script>x<b>\"</script>\"y</script >z", "a\"yz"},
        {"a<style>b</style b>c</style>d", "ad"},
        {"a<script>never closed <b>", "a"},
        {"<xmp>&amp;<b></xmp>", "\n\n&amp;<b>\n\n"},
        {"<textarea>&amp;<b></textarea>", "&<b>"},
        {"<iframe>&amp;", "&amp;"},
        {"<plaintext>a</plaintext>", "\n\na</plaintext>"},
        {"<title>a &lt;<b>x</b>", "\n\na <\n\nx"},
    };
    RENDERED(examples);
    struct html *h = parse("<script>one</script><script>two");
    assert_texts(h->script, (const char *const[]){"one", "two"}, 2);
}

static void unterminated_mark_up_is_a_comment(void **state)
{
    (void)state;
    struct html *h = parse("a <b href=\"x>y");
    assert_span(h->text.s, "a ");
    assert_texts(h->comment, (const char *const[]){"<b href=\"x>y"}, 1);
    h = parse("a<!-- b > c");
    assert_span(h->text.s, "a c");
    assert_texts(h->comment, (const char *const[]){"<!-- b >"}, 1);
    h = parse("a <");
    assert_texts(h->comment, (const char *const[]){"<"}, 1);
}

static void entities(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"&lt;&gt&amp;&quot;&#65;&#x42;&#X43", "<>&\"ABC"},
        {"&ampx;&bogus;&am", "&x;&bogus;&am"},
        {"caf&eacute;&#160;z", "caf\xe9\xa0z"}, /* stays a byte string */
        {"caf&eacute;&hellip;", "caf\xc3\xa9\xe2\x80\xa6"},
        {"&hearts;&hearts", "\xe2\x99\xa5&hearts"}, /* beyond Latin-1 the semicolon counts */
        {"&#xD83D;&#xDE00;", "\xf0\x9f\x98\x80"},
        {"&#xD83D;x", "\xef\xbf\xbdx"},
        {"&#65534;&#64976;&#1114112;", "&#65534;\xef\xbf\xbd&#1114112;"},
        {"&#0;&#;&#x;", "&#0;&#;&#x;"},
    };
    RENDERED(examples);
    assert_false(parse("&eacute;")->text.chars);
    assert_true(parse("&eacute;&#8217;")->text.chars);
    struct html *h = parse("<a href='x?a=1&copyx=2&amp;lt'></a>"); /* no prefixes in attributes */
    assert_span(h->links.v[0].key.s, "x?a=1&copyx=2&lt");
}

static void every_entity_and_tag_is_found(void **state)
{
    (void)state;
    for (int id = T_OTHER + 1; id < T_COUNT; id++) {
        const struct html_tag *tag = html_tag((enum html_tag_id)id);
        assert_int_equal(html_tag_find(span_of(tag->name, tag->n)), id);
    }
    assert_int_equal(html_tag_find(SPAN("blockquotf")), T_OTHER);
    assert_int_equal(html_tag_find(SPAN("")), T_OTHER);
    assert_span(html_decode(arena, SPAN("&AElig;&zwnj;&yuml;&sup;&sup1"), true, true).s,
                "\xc3\x86\xe2\x80\x8c\xc3\xbf\xe2\x8a\x83\xc2\xb9");
    assert_int_equal(html_color(arena, SPAN("AliceBlue")), 0xf0f8ff);
    assert_int_equal(html_color(arena, SPAN("yellowgreen")), 0x9acd32);
}

static void colours(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int32_t color;
    } examples[] = {
        {" #FFF ", 0xffffff},       {"#abcd", 0xaabbcc},
        {"#abcdef01", 0xabcdef},    {"#a", 0xaa0000},
        {"#", COLOR_EMPTY},         {"ff0000", COLOR_INVALID},
        {"", COLOR_INVALID},        {"windowtext", COLOR_INVALID},
        {"rgb(1, 2,3)", 0x010203},  {"rgb(10%,20%,100%)", 0x1933ff},
        {"rgb(300,0,0)", 0x12c000}, {"var(--x)", COLOR_INVALID},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        assert_int_equal(html_color(arena, span_str(examples[i].value)), examples[i].color);
}

static void invisible_text(void **state)
{
    (void)state;
    static const struct {
        const char *source, *visible, *invisible;
    } examples[] = {
        {"a<span style=\"display:none\">b</span>c", "ac", "b"},
        {"a<span style=\"DISPLAY:none\">b</span>", "ab", ""}, /* only lower case is read back */
        {"a<span style=\"display:none !important\">b</span>", "ab", ""},
        {"a<p style='visibility : HIDDEN'>b", "a\n\n", "b"},
        {"a<font color=white>b</font>c", "ac", "b"},
        {"a<font color=#fefefe>b", "a", "b"},
        {"a<font color=ff0000>b", "a", "b"}, /* invalid */
        {"a<font size=1>b<font size='+1'>c", "ac", "b"},
        {"<body bgcolor=black>a", "a", ""}, /* the attribute has no effect */
        {"<p style='background:#000'>a", "\n\n", "a"},
        {"<p style='background: url(a, b) red, #000000'>a", "\n\n", "a"},
        {"<p style='color: rgba(255,255,255,.5)'>a", "\n\n", "a"},
        {"<p style='color: ; x:y'>a", "\n\n", "a"}, /* a blank is an invalid colour */
        {"<p style='color:;'>a", "\n\na", ""},
        {"<p style='color:transparent'>a", "\n\n", "a"},
        {"<p style='color:inherit; color: White ! important'>a", "\n\n", "a"},
        {"<table><tr><td style='display:none'>a<td>b", "  b", "a"},
        {"<div style='display:none'><b>a</div>b", "\n\nb", "a"},
        {"a<basefont size=1>b<font size='+0'>c", "ab", "c"},
        {"a<small><small>b</small></small>c", "ac", "b"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct html *h = parse(examples[i].source);
        assert_span(h->visible.s, examples[i].visible);
        assert_span(h->invisible.s, examples[i].invisible);
    }
    assert_true(parse("<font color=white>x")->font_low_contrast);
    assert_false(parse("<font color=white> &#32;")->font_low_contrast);
    assert_true(parse("<font color=nonsense>x")->font_invalid_color);
    assert_false(parse("<body bgcolor=#000000><p>x")->font_low_contrast);
}

static void assert_links(const char *source, const char *const *want, size_t n)
{
    struct html *h = parse(source);
    if (h->links.n != n)
        fail_msg("%s: %zu links", source, h->links.n);
    for (size_t i = 0; i < n; i++)
        assert_span(h->links.v[i].key.s, want[i]);
}
#define ASSERT_LINKS(source, ...)                                                                  \
    assert_links((source), (const char *const[]){__VA_ARGS__},                                     \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void links(void **state)
{
    (void)state;
    ASSERT_LINKS("<a href=\"rel/p.html\">L</a> <a>none</a>", "rel/p.html", "");
    ASSERT_LINKS("<img src=' //www.x.com/a/../b '>", "http://www.x.com/b");
    ASSERT_LINKS("<base href=http://h.com/d/index.html><img src=x.gif><a href=/y></a>",
                 "http://h.com/d/index.html", "http://h.com/d/x.gif", "http://h.com/y", "/y");
    assert_int_equal(parse("<img src=''><img src=0>")->links.n, 0);
    ASSERT_LINKS("<td background=a><form action=b><area href=c><link href=d><bgsound src=e>", "a",
                 "b", "c", "d", "e");
    ASSERT_LINKS("<meta http-equiv=Refresh content=\"0; url=http://r.com/x ; y\">",
                 "http://r.com/x");
    ASSERT_LINKS("<a class/href=\"http://s.com\">", "http://s.com");
    ASSERT_LINKS("<area href=a data-saferedirecturl=b>", "a", "b");
    ASSERT_LINKS("<a href='mailto:a@b.com'>", "mailto:a@b.com");
    ASSERT_LINKS("<a href=\xe2\x80\x9dhttp://q.com\xe2\x80\x9d>", "http://q.com");
    ASSERT_LINKS("<a href=A HREF=b>", "A"); /* the first of duplicates */
}

static void anchors(void **state)
{
    (void)state;
    struct html *h = parse("<a href=x>on<b>e</b> <img></a><a href=x>two</a><a href=x>two</a>");
    assert_int_equal(h->links.n, 1);
    assert_int_equal(h->links.v[0].anchors.n, 2);
    assert_span(h->links.v[0].anchors.v[0].s, "one <img>\n");
    assert_span(h->links.v[0].anchors.v[1].s, "two");
    assert_int_equal(h->anchor.n, 3);
    assert_int_equal(h->links.v[0].ntypes, 1);
    assert_string_equal(h->links.v[0].types[0], "a");
    h = parse_chars("<a href=x>caf\xc3\xa9</a>");
    assert_true(h->links.v[0].key.chars);
    assert_span(h->links.v[0].anchors.v[0].s, "caf\xc3\xa9");
}

static void resolving(void **state)
{
    (void)state;
    static const struct {
        const char *base, *ref, *target;
    } examples[] = {
        {"http://a/b/c/d?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d?q", "./../g", "http://a/b/g"},
        {"http://a/b/c/d?q", "../../../g/.", "http://a/g/"},
        {"http://a/b/c/d?q", "?y", "http://a/b/c/d?y"},
        {"http://a/b/c/d?q", "#s", "http://a/b/c/d?q#s"},
        {"http://a/b/c/d?q", "//g", "http://g"},
        {"http://a/b/c/d?q", "http:g", "http://a/b/c/g"}, /* not strict */
        {"http://a", "g", "http://a/g"},
        {"", "//ftp2.x.org/y", "ftp://ftp2.x.org/y"},
        {"", "a/./b/../c", "a/c"},
        {"", "0", ""}, /* Perl's false */
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        assert_span(html_resolve(arena, span_str(examples[i].base), span_str(examples[i].ref)),
                    examples[i].target);
}

static void counts(void **state)
{
    (void)state;
    struct html *h = parse("<!DOCTYPE x><html><b>Vi</b>agra</p></p><foo></html>");
    long n;
    assert_true(html_inside(h, "html", &n) && n == 0);
    assert_true(html_inside(h, "p", &n) && n == 0);
    assert_true(html_inside(h, "foo", &n) && n == 1);
    assert_true(html_inside(h, "!doctype", &n) && n == 0);
    assert_false(html_inside(h, "i", &n));
    assert_float_equal(h->closed_extra_ratio, 2.0 / 8, 1e-9);
    assert_float_equal(h->bad_tag_ratio, 1.0 / 8, 1e-9);
    assert_float_equal(h->non_element_ratio, 1.0 / 4, 1e-9);
    assert_float_equal(h->obfuscation_ratio, 1.0 / 8, 1e-9);
    assert_float_equal(h->backhair_count, 1, 1e-9);
    assert_float_equal(h->length, 51, 1e-9);
    h = parse("no tags");
    assert_true(isnan(h->closed_extra_ratio) && isnan(h->bad_tag_ratio));
    h = parse("<img width=10 height=50%><img width=x height=2><font size='+3'>");
    assert_float_equal(h->image_area, 10 * 300 + 200 * 2, 1e-9);
    assert_float_equal(h->max_size, 6, 1e-9);
    assert_true(parse("<form action=MailTo:x@y.z>")->form_action_mailto);
    assert_true(parse("<object>")->embeds);
    h = parse("<p>a b</p>");
    assert_float_equal(h->html_length, 7, 1e-9);
    assert_float_equal(h->non_space_len, 2, 1e-9);
    assert_float_equal(h->ratio, 3.0 / 10, 1e-9);
}

static void font_faces(void **state)
{
    (void)state;
    static const char *const good[] = {
        "Arial", "'Times New Roman', serif", "\"Tahoma\",Verdana;", ".SFUIDisplay", "a b1", " a"};
    static const char *const bad[] = {"", "x", "Arial,", "1Arial", "Arial;;", "a_b", "-a"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct span s = arena_printf(arena, "<font face=%c%s%c>", strchr(good[i], '"') ? ' ' : '"',
                                     strchr(good[i], '"') ? "&quot;Tahoma&quot;,Verdana;" : good[i],
                                     strchr(good[i], '"') ? ' ' : '"');
        if (html_parse(arena, s, false, s.n)->font_face_bad)
            fail_msg("%s is good", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span s = arena_printf(arena, "<font face=\"%s\">", bad[i]);
        if (!html_parse(arena, s, false, s.n)->font_face_bad)
            fail_msg("%s is bad", bad[i]);
    }
}

/* --- hostile shapes: 100,000 of each in well under a second --- */

static void repeat(struct buf *b, const char *s, size_t n)
{
    while (n--)
        buf_str(b, s);
}

static struct html *parse_in_time(struct buf *b)
{
    usec start = clock_mono();
    struct html *h = html_parse(arena, buf_span(b), false, b->n);
    if (clock_mono() - start > 3 * USEC_PER_SEC)
        fail_msg("%.20s... took %lld us", b->p, (long long)(clock_mono() - start));
    buf_free(b);
    return h;
}

static void hostile_shapes_are_linear(void **state)
{
    (void)state;
    static const char *const shapes[] = {"<b>",
                                         "<div>",
                                         "</div>",
                                         "<td><table>",
                                         "<title>",
                                         "<title>x ",
                                         "<style>",
                                         "<!--",
                                         "<!-- ",
                                         "<a href=\"",
                                         "<a x='>",
                                         "&",
                                         "&#",
                                         "&amp",
                                         "&eacut",
                                         "<",
                                         "</",
                                         "<![INCLUDE[",
                                         "<![CDATA[",
                                         "]]>",
                                         "<![INCLUDE[]",
                                         "-- ",
                                         "<a",
                                         "<a ",
                                         "a=b ",
                                         "<font color=red>",
                                         "<x/href=",
                                         "<?",
                                         "x/>",
                                         "<plaintext>",
                                         "<!DOCTYPE -- ",
                                         "<p style='background:(",
                                         "rgb(1,2",
                                         "<textarea>",
                                         "\n",
                                         " ",
                                         "<a></a>x",
                                         "<script></script>",
                                         "&#x26;",
                                         "<iframe>",
                                         "<base href=http://a/b/c>"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct buf b = {0};
        repeat(&b, shapes[i], 100000);
        parse_in_time(&b);
        arena_reset(arena);
    }
}

static void many_links_and_anchors(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 50000; i++)
        buf_printf(&b, "<a href=http://h%d.com/>t%d</a><a href=x>%d</a>", i, i, i);
    struct html *h = parse_in_time(&b);
    assert_int_equal(h->links.n, 50001);
    assert_int_equal(h->links.v[1].anchors.n, 50000);
}

static void many_attributes(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_str(&b, "<a ");
    for (int i = 0; i < 100000; i++)
        buf_printf(&b, "x%d/href=%d style=color:red ", i, i);
    buf_str(&b, ">");
    struct html *h = parse_in_time(&b);
    assert_span(h->links.v[0].key.s, "99999");
}

static void long_uris_are_cut(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_str(&b, "<a href=http://x.com/");
    repeat(&b, "a", 9000);
    buf_str(&b, ">");
    struct html *h = parse_in_time(&b);
    assert_true(h->links.truncated);
    assert_int_equal(h->links.v[0].key.s.n, 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_leave_white_space),
        cmocka_unit_test(what_is_no_tag_is_text),
        cmocka_unit_test(raw_elements),
        cmocka_unit_test(unterminated_mark_up_is_a_comment),
        cmocka_unit_test(entities),
        cmocka_unit_test(every_entity_and_tag_is_found),
        cmocka_unit_test(colours),
        cmocka_unit_test(invisible_text),
        cmocka_unit_test(links),
        cmocka_unit_test(anchors),
        cmocka_unit_test(resolving),
        cmocka_unit_test(counts),
        cmocka_unit_test(font_faces),
        cmocka_unit_test(hostile_shapes_are_linear),
        cmocka_unit_test(many_links_and_anchors),
        cmocka_unit_test(many_attributes),
        cmocka_unit_test(long_uris_are_cut),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
