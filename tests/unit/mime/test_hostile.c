/* Input built to be slow or deep. Each must be read in time that grows with its size alone: the
 * tests double the size and demand that the time does not grow much more. */
#include "mime_test.h"

#include <limits.h>
#include <time.h>

static void repeat(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_str(b, s);
}

/* All that can be asked of a message. */
static void ask_everything(struct mime *m)
{
    for (struct mime_part *p = m->root; p; p = mime_next(p)) {
        for (size_t i = 0; i < p->fields.n; i++) {
            mime_decoded(m, &p->fields.v[i]);
            mime_addresses_parse(m->arena, p->fields.v[i].raw);
        }
        bool chars;
        struct span body = mime_body(m, p);
        mime_normalise(m->arena, body, p->charset, false, &chars);
        size_t n;
        mime_uudecode_all(m->arena, body, &n);
    }
}

/* Of this process alone: other work on the machine does not count. */
static long cpu_usec(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long time_of(struct span text)
{
    long start = cpu_usec();
    struct arena *a = arena_new(0);
    ask_everything(mime_parse(a, text, NULL));
    arena_free(a);
    return cpu_usec() - start;
}

typedef void build_fn(struct buf *b, size_t n);

/* n: a size at which reading takes some ten milliseconds when all is linear. */
static void assert_linear(const char *name, build_fn *build, size_t n)
{
    struct buf once = {0}, more = {0};
    build(&once, n);
    build(&more, n * 4);
    long one = 0, four = LONG_MAX;
    for (int again = 0; again < 4 && four > one * 11 + 50000; again++) { /* a square would be 16 */
        long took = time_of(buf_span(&once));
        one = again == 0 || took < one ? took : one;
        took = time_of(buf_span(&more));
        four =
            took < four ? took : four; /* memory that is hard to get counts too: the best of it */
    }
    if (four > one * 11 + 50000)
        fail_msg("%s: %zu bytes take %ld us, %zu bytes %ld us", name, once.n, one, more.n, four);
    buf_free(&once);
    buf_free(&more);
}

static void many_headers(struct buf *b, size_t n)
{
    repeat(b, "X: y\r\n", n);
    buf_str(b, "\r\nbody\r\n");
}

static void many_folds(struct buf *b, size_t n)
{
    buf_str(b, "X: y\n");
    repeat(b, "\tmore\n", n);
    buf_str(b, "\nbody\n");
}

static void many_lookalikes(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\n\r\n");
    repeat(b, "--boundary\r\n--bound-\r\n", n);
}

static void many_parts(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    repeat(b, "--b\r\nContent-Type: text/html\r\n\r\nx\r\n", n);
}

static void one_line(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n");
    repeat(b, "x", n * 10);
    buf_str(b, "\r\n--b--\r\n");
}

static void one_blank_line(struct buf *b, size_t n)
{
    buf_str(b, "A: b\n\n");
    repeat(b, " ", n * 10);
    buf_str(b, "x\n");
}

static void blank_lines(struct buf *b, size_t n)
{
    buf_str(b, "A: b\r\n\r\n");
    for (size_t i = 0; i < n / 22; i++) {
        repeat(b, "\r\n", 22);
        buf_str(b, "x\r\n");
    }
}

static void nested_multiparts(struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "Content-Type: multipart/mixed; boundary=b%zu\n\n--b%zu\n", i, i);
}

static void nested_messages(struct buf *b, size_t n)
{
    repeat(b, "Content-Type: message/rfc822\n\n", n);
}

static void line_ends_in_turn(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    repeat(b, "--b\r\nA: 1\n\nx\r\ny\n", n);
    buf_str(b, "--b--\r\n");
}

static void half_words(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=b\n\n--b\nSubject: ");
    repeat(b, "=?utf-8?q?", n);
    buf_str(b, "\n\nx\n--b--\n");
}

static void names_in_types(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: ");
    repeat(b, "name=boundary=charset=", n);
    buf_str(b, "=?utf-8?q?=0A?=\"\n\nx\n--b--\n");
}

static void quoted_printable_escapes(struct buf *b, size_t n)
{
    buf_str(b, "Content-Transfer-Encoding: quoted-printable\n\n");
    repeat(b, "==\n= =4", n);
}

static void base64_padding(struct buf *b, size_t n)
{
    buf_str(b, "Content-Transfer-Encoding: base64\n\n");
    repeat(b, "=A=", n);
}

static void uuencode_begins(struct buf *b, size_t n)
{
    buf_str(b, "A: b\n\n");
    repeat(b, "begin 644 x\n", n);
    repeat(b, "xbegin 644 x\n", n);
}

static void bad_utf8(struct buf *b, size_t n)
{
    buf_str(b, "Content-Type: text/plain; charset=euc-jp\n\n");
    repeat(b, "\xff\xa4", n);
}

static void time_grows_with_size(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        build_fn *build;
        size_t n;
    } cases[] = {
        {"headers", many_headers, 25000},
        {"folds", many_folds, 25000},
        {"boundary lookalikes", many_lookalikes, 12500},
        {"parts", many_parts, 12500},
        {"one line", one_line, 50000},
        {"one blank line", one_blank_line, 50000},
        {"blank lines", blank_lines, 50000},
        {"nested multiparts", nested_multiparts, 5000},
        {"nested messages", nested_messages, 10000},
        {"line ends in turn", line_ends_in_turn, 10000},
        {"half words", half_words, 10000},
        {"names in types", names_in_types, 5000},
        {"quoted-printable", quoted_printable_escapes, 20000},
        {"base64", base64_padding, 50000},
        {"uuencode", uuencode_begins, 10000},
        {"charset", bad_utf8, 10000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_linear(cases[i].name, cases[i].build, cases[i].n);
}

static void time_of_addresses(void **state)
{
    static const char *const units[] = {"<a>",    "<a@b",     "\"",   "(", "<",     "a,",
                                        "\"x\"<", "<\"a\"b>", "\\\"", "@", "<a@b>,"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct buf b = {0};
        repeat(&b, units[i], 20000);
        long start = cpu_usec();
        mime_addresses_parse(*state, buf_span(&b));
        assert_true(cpu_usec() - start < 2000000);
        buf_free(&b);
    }
}

static void depth_is_limited(void **state)
{
    struct buf b = {0};
    nested_messages(&b, 1000);
    struct mime *m = mime_parse(*state, buf_span(&b), NULL);
    size_t depth = 0;
    for (struct mime_part *p = m->root; p; p = p->child)
        depth++;
    assert_int_equal(depth, 21);
    assert_true(has_anomaly(m, "part.depth"));
    buf_clear(&b);
    nested_multiparts(&b, 1000);
    m = mime_parse(*state, buf_span(&b), NULL);
    depth = 0;
    for (struct mime_part *p = m->root; p; p = p->child)
        depth++;
    assert_int_equal(depth, 21);
    buf_free(&b);
}

static void counts_are_limited(void **state)
{
    struct buf b = {0};
    many_headers(&b, 100000);
    struct mime *m = mime_parse(*state, buf_span(&b), NULL);
    assert_int_equal(m->root->fields.n, 5000);
    assert_int_equal(m->header_bytes.n, b.n - 6);
    buf_clear(&b);
    many_parts(&b, 5000);
    m = mime_parse(*state, buf_span(&b), NULL);
    size_t parts = 0;
    for (struct mime_part *p = m->root->child; p; p = p->next)
        parts++;
    assert_int_equal(parts, 1000);
    assert_true(m->flags & MIME_PART_LIMIT);
    assert_true(m->nanomalies < 200);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_grows_with_size),
        TEST(time_of_addresses),
        TEST(depth_is_limited),
        TEST(counts_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
