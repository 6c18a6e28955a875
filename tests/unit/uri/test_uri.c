#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "uri/uri.h"

static struct arena *arena;
static struct uri_tables tables;

/* What a redirector_pattern such as m'/redirect\?to=(.*)$' does. */
static size_t redirector(void *ctx, size_t from, struct span s, struct span *group)
{
    (void)ctx;
    static const struct span marks[] = {{"/redirect?to=", 13}, {"/2nd/", 5}};
    for (size_t i = from; i < 2; i++) {
        size_t at = span_search(s, marks[i]);
        if (at == SIZE_MAX)
            continue;
        *group = span_from(s, at + marks[i].n);
        return i;
    }
    return SIZE_MAX;
}

static void fill(struct map *m, const char *names)
{
    struct span rest = span_str(names), w;
    *m = map_in(arena);
    while ((w = span_word(&rest, " ")).p)
        *map_at(m, w) = &tables;
}

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    fill(&tables.tld, "com net org uk us biz museum de");
    fill(&tables.two_level, "co.uk org.uk");
    fill(&tables.three_level, "demon.co.uk");
    tables.redirector = redirector;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got [%.*s] want [%s]", SPAN_ARG(got), want);
}

/* --- found in text --- */

static void assert_found(const char *line, const char *const *want, size_t n)
{
    struct uri_founds f = uri_founds_in(arena);
    uri_find(&tables, arena, span_str(line), &f);
    for (size_t i = 0; i < f.n && i < n; i++)
        assert_span(f.v[i].uri, want[i]);
    if (f.n != n)
        fail_msg("%s: %zu found, %zu wanted", line, f.n, n);
}
#define FOUND(line, ...)                                                                           \
    assert_found((line), (const char *const[]){__VA_ARGS__},                                       \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define NOTHING(line) assert_found((line), NULL, 0)

static void known_schemes(void **state)
{
    (void)state;
    FOUND("see http://a.com/b, HTTPS://c.net. ftp://d", "http://a.com/b", "HTTPS://c.net",
          "ftp://d");
    FOUND("(http://paren.com/a(b)c)", "http://paren.com/a(b)c");
    FOUND("http://a.com/x)y)z", "http://a.com/x)y");
    FOUND("www.nothing www12.x ftp.y", "http://www.nothing", "http://www12.x", "ftp://ftp.y");
    FOUND("www123.x.com", "http://www123.x.com");
    FOUND("<http://a.com>\"http://b.com\"[http://c.com]", "http://a.com", "http://b.com",
          "http://c.com");
    FOUND("-http://a.com", "http://a.com");
    FOUND("xhttp://a.com", "http://a.com"); /* the host alone, behind the slash */
    FOUND("\x1b(Bhttp://a.com\x1b(J", "http://a.com");
    FOUND("_http://a.com -www.b.com", "http://a.com", "http://www.b.com");
    NOTHING("http:// https://... www. ftp.");
    FOUND("http://a.com http://a.com. http://a.com", "http://a.com");
}

static void hosts_without_scheme(void **state)
{
    (void)state;
    FOUND("foo.com foo.com:80/x bar.co.uk/y.", "http://foo.com", "http://foo.com:80/x",
          "http://bar.co.uk/y");
    FOUND("x.y.museum,z.com", "http://z.com"); /* a comma may start one, but not end it */
    FOUND("foo.com.", "http://foo.com");
    FOUND("a@b foo.com.:8", "http://foo.com.:8");
    NOTHING("foo.com/ foo.com..  foo.comx foo.com_x -foo.com .foo.com foo.com:123456");
    NOTHING("foo.invalidtld 1.2.3 192.0.2.7/x e.g. foo_.com");
    FOUND("!foo.com=bar.net~baz.org", "http://baz.org");
    NOTHING("\xc3\xa9"
            "foo.com"); /* behind a byte that is neither word nor delimiter */
}

static void addresses(void **state)
{
    (void)state;
    FOUND("me@bar.com, mailto:you@bar.com?subject=x", "mailto:me@bar.com",
          "mailto:you@bar.com?subject=x");
    FOUND("E-mail:joe@bar.com e-mail::x@foo.com", "mailto:joe@bar.com", "mailto:x@foo.com");
    FOUND("mailto:f%6fo@bar.com", "mailto:foo@bar.com");
    NOTHING("mailto:foo%40bar.com");
    FOUND("a/b@foo.com", "http://a/b@foo.com");
    NOTHING("foo@bar.invalidtld Vi@gra a@b");
    FOUND("@bar.com", "http://bar.com");
    NOTHING("[cid:image001.png@01D4986E.com]");
    FOUND("(joe@bar.com)'jim@bar.com'", "mailto:joe@bar.com", "mailto:jim@bar.com");
}

static void types(void **state)
{
    (void)state;
    struct uri_founds f = uri_founds_in(arena);
    uri_find(&tables, arena, SPAN("http://a.com www.b.com c.com d@e.com"), &f);
    assert_int_equal(f.n, 4);
    assert_false(f.v[0].schemeless || f.v[0].unlinked || f.v[0].mail);
    assert_true(f.v[1].schemeless && !f.v[1].unlinked);
    assert_true(f.v[2].schemeless && f.v[2].unlinked);
    assert_true(f.v[3].schemeless && f.v[3].mail && !f.v[3].unlinked);
}

static void limits(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_str(&b, "http://a/");
    while (b.n < 7 + 2049)
        buf_char(&b, 'x');
    struct uri_founds f = uri_founds_in(arena);
    uri_find(&tables, arena, buf_span(&b), &f);
    assert_int_equal(f.n, 0);
    f = uri_founds_in(arena);
    uri_find(&tables, arena, span_sub(buf_span(&b), 0, b.n - 1), &f);
    assert_int_equal(f.n, 1);
    buf_free(&b);
}

/* --- canonical forms --- */

static int by_bytes(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static void assert_canonical(const char *uri, bool wide, const char *const *want, size_t n)
{
    size_t got_n;
    struct span *got = uri_canonical(&tables, arena, span_str(uri), wide, &got_n);
    struct span *w = calloc(n ? n : 1, sizeof *w);
    for (size_t i = 0; i < n; i++)
        w[i] = span_str(want[i]);
    qsort(got, got_n, sizeof *got, by_bytes);
    qsort(w, n, sizeof *w, by_bytes);
    for (size_t i = 0; i < got_n && i < n; i++)
        assert_span(got[i], w[i].p);
    free(w);
    if (got_n != n)
        fail_msg("%s: %zu forms, %zu wanted", uri, got_n, n);
}
#define FORMS(uri, ...)                                                                            \
    assert_canonical((uri), false, (const char *const[]){__VA_ARGS__},                             \
                     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define FORMS_WIDE(uri, ...)                                                                       \
    assert_canonical((uri), true, (const char *const[]){__VA_ARGS__},                              \
                     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void examples_of_the_semantics(void **state)
{
    (void)state;
    FORMS("http://WWW.Example.com:80/a%2Fb%41%zz?x=1#y",
          "http://WWW.Example.com:80/a%2Fb%41%zz?x=1#y",
          "http://WWW.Example.com:80/a/bA%25zz?x=1#y", "http://WWW.Example.com/a/bA%25zz?x=1#y");
    FORMS("http://redir.com/?u=http://target.net/p&x=2",
          "http://redir.com/?u=http://target.net/p&x=2", "http://target.net/p");
    FORMS("http://foo/bar", "http://foo/bar", "http://www.foo.com/bar");
    FORMS("http://0x7f000001/", "http://0x7f000001/", "http://127.0.0.1/");
    FORMS("http://3232235777/a", "http://3232235777/a", "http://192.168.1.1/a");
    FORMS("http://exa%6dple.net\\foo", "http://exa%6dple.net\\foo", "http://example.net/foo");
    FORMS("http://example.com./", "http://example.com./", "http://example.com/");
    FORMS("http://h.com/%7e|x", "http://h.com/%7e|x", "http://h.com/~|x");
    FORMS("www.nothing", "www.nothing", "http://www.nothing", "http://www.nothing.com");
    FORMS("https://a.example.com:443/q", "https://a.example.com:443/q", "https://a.example.com/q");
}

static void surprises(void **state)
{
    (void)state;
    FORMS("http://j.com&#46;com", "http://j.com&#46;com", "http://j.com&/#46;com",
          "http://j.com/#46;com");
    FORMS("http://10.0.0.1/x", "http://10.0.0.1/x", "http://10...1/x");
    FORMS("http://0x10.010.0377.0400/", "http://0x10.010.0377.0400/", "http://16.8.255.400/");
    FORMS("http://0xfffffffffffffffff.1.1.1/", "http://0xfffffffffffffffff.1.1.1/",
          "http://-1.1.1.1/");
    FORMS("http://5000000000/", "http://5000000000/", "http://18.160.95.32/");
    FORMS("http://a.com/x\n y%20", "http://a.com/x y%20", "http://a.com/x%20y%20");
    FORMS("", "");
    FORMS("#frag", "#frag");
    FORMS("/rel", "/rel");
    FORMS("//x.com/a", "//x.com/a", "http:////x.com/a");
    FORMS("rel/page.html", "rel/page.html", "http://rel/page.html", "http://www.rel.com/page.html");
    FORMS("http:a.com", "http:a.com", "http://a.com");
    FORMS("http://a.com?x", "http://a.com?x", "http://a.com/?x");
    FORMS("ftp.x.com", "ftp.x.com", "ftp://ftp.x.com");
    FORMS("javascript:x", "javascript:x");
    FORMS("http://user:pw@h.com:8080/x", "http://user:pw@h.com:8080/x");
    FORMS("http://u@h.com:80/x", "http://u@h.com:80/x", "http://h.com/x");
    FORMS("http://a@b@c.com/", "http://a@b@c.com/", "http://c.com/");
    FORMS("http://h.com/?a&#98;&#x63;&#38;#100;&#12290;",
          "http://h.com/?a&#98;&#x63;&#38;#100;&#12290;", "http://h.com/?abc&#100;.");
    FORMS("http://localhost/", "http://localhost/");
    FORMS("https://foo/", "https://foo/");
    FORMS("http://www.com/", "http://www.com/");
    FORMS("http://foo:81/", "http://foo:81/");
}

static void redirects(void **state)
{
    (void)state;
    FORMS("http://r.com/redirect?to=x.net", "http://r.com/redirect?to=x.net", "x.net",
          "http://x.net");
    FORMS("http://r.com/redirect?to=/2nd/b.org", "http://r.com/redirect?to=/2nd/b.org",
          "/2nd/b.org");
    FORMS("http://a.com/http:b", "http://a.com/http:b"); /* no dot in it */
    FORMS("http://a.com/?http:b.net#x", "http://a.com/?http:b.net#x", "http:b.net", "http://b.net");
    struct buf b = {0};
    for (int i = 0; i < 700; i++)
        buf_str(&b, "http://a.b/");
    size_t n;
    (void)uri_canonical(&tables, arena, buf_span(&b), false, &n);
    assert_int_equal(n, URI_REDIRECTS_MAX);
    buf_free(&b);
}

static void mail_forms(void **state)
{
    (void)state;
    FORMS("mailto:a@b.com?subject=x&y", "mailto:a@b.com?subject=x&y", "mailto:a@b.com");
    FORMS("mailto:a@b.com&x", "mailto:a@b.com&x", "mailto:a@b.com");
    FORMS("mailto:%20%20a@b.com%20", "mailto:%20%20a@b.com%20", "mailto:a@b.com");
    FORMS("mailto:\"F%20B\"%20<f@b.com>", "mailto:\"F%20B\"%20<f@b.com>", "mailto:f@b.com");
    FORMS("mailto:nobody", "mailto:nobody");
    FORMS("a@b.com", "a@b.com");
}

static void character_strings(void **state)
{
    (void)state;
    /* U+00E9 is one byte in the results; the host is tried as UTF-8 bytes, too. */
    FORMS_WIDE("http://x.com/\xc3\xa9", "http://x.com/\xe9");
    FORMS_WIDE("http://\xc3\x89X.com/", "http://\xc9X.com/", "http://\xc3\x89x.com/");
    FORMS_WIDE("http://x.com/%41\xc3\xa9\xe2\x82\xac", "http://x.com/%41\xe9\x90",
               "http://x.com/A%e9\x90");
    FORMS("http://x.com/%41\xc3\xa9", "http://x.com/%41\xc3\xa9", "http://x.com/A%c3%a9");
    FORMS_WIDE("http://x.com:80\xc3\xa9", "http://x.com:80\xe9"); /* no word boundary */
    FORMS("http://x.com:80\xc3\xa9", "http://x.com:80\xc3\xa9", "http://x.com\xc3\xa9");
    FORMS_WIDE("\xc2\xa0http://x.com/\xe3\x80\x80", "http://x.com/");
}

/* --- domains --- */

static void assert_domain(const char *uri, const char *host, const char *domain)
{
    struct span h, d;
    bool any = uri_host_domain(&tables, arena, span_str(uri), &h, &d);
    if (any != (host != NULL))
        fail_msg("%s: %s", uri, any ? "has a host" : "has none");
    if (any) {
        assert_span(h, host);
        assert_span(d, domain);
    }
}

static void domains(void **state)
{
    (void)state;
    assert_domain("http://WWW.Foo.co.uk:80/x@y", "www.foo.co.uk", "foo.co.uk");
    assert_domain("http://a.b.demon.co.uk", "a.b.demon.co.uk", "b.demon.co.uk");
    assert_domain("http://x.y.ca.us/", "x.y.ca.us", "x.y.ca.us");
    assert_domain("http://z.x.y.ca.us/", "z.x.y.ca.us", "x.y.ca.us");
    assert_domain("http://h.s.pvt.k12.ca.us/", "h.s.pvt.k12.ca.us", "s.pvt.k12.ca.us");
    assert_domain("http://u:p@h.com", "h.com", "h.com");
    assert_domain("http://192.0.2.7/y", "192.0.2.7", "192.0.2.7");
    assert_domain("http://192.0.2.07/y", NULL, NULL);
    assert_domain("http://[2001:db8::1]/z", NULL, NULL);
    assert_domain("http://h%41.com", NULL, NULL);
    assert_domain("http://a_b.c.com", "a_b.c.com", "c.com");
    assert_domain("http://a.c_d.com", NULL, NULL);
    assert_domain("http://\xc3\xa9.com", NULL, NULL);
    assert_domain("mailto:a@B.com?x@y", "b.com", "b.com");
    assert_domain("mailto:a@b@c.com", NULL, NULL);
    assert_domain("javascript:x.com", NULL, NULL);
    assert_domain("cid:x@y.com", NULL, NULL);
    assert_domain("domainkeys:d.net", "d.net", "d.net");
    assert_domain("http://example.com.", NULL, NULL);
    assert_domain("http://x.invalidtld", NULL, NULL);
    assert_span(uri_registered(&tables, arena, SPAN("..a..B.com.")), "b.com");
    assert_span(uri_registered(&tables, arena, SPAN("com")), "com");
    assert_null(uri_registered(&tables, arena, SPAN("..")).p);
}

static void fqdns(void **state)
{
    (void)state;
    assert_true(uri_fqdn_valid(SPAN("a.b")) && uri_fqdn_valid(SPAN("A-1.b..")));
    assert_false(uri_fqdn_valid(SPAN("a")) || uri_fqdn_valid(SPAN("")) ||
                 uri_fqdn_valid(SPAN(".")) || uri_fqdn_valid(SPAN("a..b")) ||
                 uri_fqdn_valid(SPAN("-a.b")) || uri_fqdn_valid(SPAN("a-.b")));
    char label[64 + 3];
    memset(label, 'a', 64);
    memcpy(label + 64, ".b", 3);
    assert_false(uri_fqdn_valid(span_str(label)));
    assert_true(uri_fqdn_valid(span_str(label + 1)));
    assert_true(uri_tld_known(&tables, arena, SPAN("x.COM")));
    assert_false(uri_tld_known(&tables, arena, SPAN("x y.com")) ||
                 uri_tld_known(&tables, arena, SPAN("com")) ||
                 uri_tld_known(&tables, arena, SPAN("x.com.")));
}

/* --- the list --- */

static void one_entry_each(void **state)
{
    (void)state;
    struct uris l = uris_in(arena);
    const char *const a[] = {"a"}, *const parsed[] = {"parsed"};
    assert_non_null(
        uris_add(&l, &tables, arena, SPAN("http://x.com:80/"), false, true, false, a, 1));
    assert_non_null(
        uris_add(&l, &tables, arena, SPAN("http://x.com:80/"), false, true, true, parsed, 1));
    assert_non_null(uris_add(&l, &tables, arena, SPAN("http://x.com/"), false, true, true, a, 1));
    assert_null(uris_add(&l, &tables, arena, SPAN("nothing:x"), false, true, true, a, 1));
    assert_true(uri_has_type(&l.v[0], "a") && uri_has_type(&l.v[0], "parsed"));
    assert_int_equal(l.v[0].ncleaned, 2);
    assert_int_equal(l.v[0].nhosts, 1);
    struct uri *dk =
        uris_add(&l, &tables, arena, SPAN("domainkeys:d.net"), false, false, true, a, 1);
    assert_int_equal(dk->ncleaned, 0);
    assert_span(dk->domains[0], "d.net");
    size_t forms = 0;
    for (size_t i = 0; i < l.ncleaned; i++)
        forms += span_eq(l.cleaned[i], SPAN("http://x.com/"));
    assert_int_equal(forms, 1);
}

/* --- time --- */

static void in_time(const char *what, const char *piece, size_t n)
{
    struct buf b = {0};
    while (n--)
        buf_str(&b, piece);
    usec start = clock_mono();
    struct uri_founds f = uri_founds_in(arena);
    uri_find(&tables, arena, buf_span(&b), &f);
    size_t forms;
    (void)uri_canonical(&tables, arena, span_sub(buf_span(&b), 0, 65536), false, &forms);
    if (clock_mono() - start > 3 * USEC_PER_SEC)
        fail_msg("%s took %lld us", what, (long long)(clock_mono() - start));
    buf_free(&b);
    (void)teardown(NULL);
    (void)setup(NULL);
}

static void hostile_lines_are_linear(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "http://", "a.com.", "a@", "@",       "<@",  "mailto:", "www.",  "a,",
        "a.b,",    "(",      ")",  "(a.com/", "%20", "%41",     "&#38;", "http://a.b/",
        "a:",      ":/",     "a-", "<",       ".",   "a.com@",  "0x1.",  "\x1b(B"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        in_time(pieces[i], pieces[i], 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_schemes),  cmocka_unit_test(hosts_without_scheme),
        cmocka_unit_test(addresses),      cmocka_unit_test(types),
        cmocka_unit_test(limits),         cmocka_unit_test(examples_of_the_semantics),
        cmocka_unit_test(surprises),      cmocka_unit_test(redirects),
        cmocka_unit_test(mail_forms),     cmocka_unit_test(character_strings),
        cmocka_unit_test(domains),        cmocka_unit_test(fqdns),
        cmocka_unit_test(one_entry_each), cmocka_unit_test(hostile_lines_are_linear),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
