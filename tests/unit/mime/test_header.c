#include "mime_test.h"

#include <stdio.h>

static void fields_and_folds(void **state)
{
    struct mime *m = parse(*state, "Subject: one\n\ttwo\nX:\nTo : a@b\n\nbody\n");
    const struct mime_fields *f = &m->root->fields;
    assert_int_equal(f->n, 3);
    assert_span(f->v[0].name, "Subject");
    assert_span(f->v[0].raw, " one\n\ttwo\n");
    assert_span(mime_decoded(m, &f->v[0]), "one two");
    assert_span(f->v[1].raw, "\n");
    assert_span(mime_decoded(m, &f->v[1]), "");
    assert_span(f->v[2].name, "To");
    assert_true(has_anomaly(m, "header.space-before-colon"));
    assert_span(m->header_bytes, "Subject: one\n\ttwo\nX:\nTo : a@b\n\n");
    assert_span(m->body_bytes, "body\n");
    assert_int_equal(m->flags, 0);
    assert_int_equal(mime_find(f, SPAN("TO"), 0), 2);
    assert_int_equal(mime_find(f, SPAN("TO"), 3), 3);
    assert_null(mime_last(f, SPAN("Cc")));
    assert_true(mime_may_have(f, mime_name_bit(SPAN("tO"))));
    assert_false(mime_may_have(&(struct mime_fields){0}, mime_name_bit(SPAN("To"))));
}

/* Whatever the names, and from wherever one looks: as by going through all of them. */
static void fields_are_found_by_name(void **state)
{
    enum { FIELDS = 400, NAMES = 90 };
    struct buf b = {0};
    for (unsigned i = 0; i < FIELDS; i++)
        buf_printf(&b, "%c-%u%s: %u\n", 'A' + (int)(i % 3), i * 7919 % NAMES, i % 2 ? "x" : "X", i);
    buf_str(&b, "\n");
    struct mime *m = parse(*state, b.p);
    const struct mime_fields *f = &m->root->fields;
    assert_int_equal(f->n, FIELDS);
    for (unsigned k = 0; k < 3 * NAMES; k++) {
        char name[16];
        size_t last = SIZE_MAX;
        snprintf(name, sizeof name, "%c-%uX", 'a' + (int)(k % 3), k / 3);
        for (size_t from = 0; from <= FIELDS; from++) {
            size_t want = from;
            while (want < FIELDS && !span_ieq(f->v[want].name, span_str(name)))
                want++;
            assert_int_equal(mime_find(f, span_str(name), from), want);
            last = from < FIELDS && want == from ? from : last;
        }
        struct mime_field *found = mime_last(f, span_str(name));
        assert_ptr_equal(found, last == SIZE_MAX ? NULL : &f->v[last]);
    }
    buf_free(&b);
}

static void crlf_is_lf_inside_and_kept_outside(void **state)
{
    struct mime *m = parse(*state, "Subject: one\r\n two\r\n\r\nbody\r\nmore\r\n");
    assert_true(m->crlf);
    assert_span(m->root->fields.v[0].raw, " one\n two\n");
    assert_span(m->header_bytes, "Subject: one\r\n two\r\n\r\n");
    assert_span(m->root->body, "body\nmore\n");
    assert_int_equal(m->root->fields.v[0].at, 0);
    assert_int_equal(m->root->fields.v[0].size, strlen("Subject: one\r\n two\r\n"));
    assert_int_equal(m->root->body_at, m->header_bytes.n);
}

/* The mode is told by the first or the last line alone. */
static void mode_of_line_ends(void **state)
{
    struct mime *m = parse(*state, "A: b\n\r\nC: d\n\nbody\n");
    assert_false(m->crlf);
    assert_true(has_anomaly(m, "header.junk")); /* CR LF is no empty line here */
    assert_int_equal(m->root->fields.n, 2);
    m = parse(*state, "A: b\nC: d\n\r\nbody\r\n");
    assert_true(m->crlf);
    assert_int_equal(m->root->fields.n, 2);
    assert_span(m->header_bytes, "A: b\r\nC: d\r\n\r\n");
    assert_span(m->root->body, "body\n");
    assert_true(has_anomaly(m, "header.bare-lf"));
    assert_int_equal(m->root->fields.v[1].at, 5);
    assert_int_equal(m->root->fields.v[1].size, 5);
    assert_int_equal(m->root->body_at, 12);
}

static void separator_lines(void **state)
{
    struct mime *m = parse(*state, "From a@b Thu Jan  1 00:00:00 1970\nA: b\n\n");
    assert_int_equal(m->root->fields.n, 1);
    assert_int_equal(m->root->at, 34);
    m = parse(*state, "From : a@b\n\n");
    assert_span(m->root->fields.v[0].name, "From");
    m = parse(*state, " 1-Jan-2024 10:00:00 +0000,123;0123456789ab-0000abcd\nA: b\n\n");
    assert_int_equal(m->root->fields.n, 1);
    assert_span(m->root->fields.v[0].name, "A");
    m = parse(*state, " 1-Jan-2024 10:00:00 +0000,12x;0123456789ab-0000abcd\nA: b\n\n");
    assert_int_equal(m->root->fields.n, 2); /* the first line is a fold with a colon */
    assert_true(has_anomaly(m, "header.leading-fold"));
}

static void junk_lines_end_the_header_at_the_fourth(void **state)
{
    struct mime *m = parse(*state, "A: 1\njunk\nB: 2\n\xe9:x\n(no\nfour\nC: 3\n\nbody\n");
    const struct mime_fields *f = &m->root->fields;
    assert_int_equal(f->n, 3); /* a line with a bad name but a colon is stored */
    assert_span(f->v[2].name, "\xe9");
    assert_true(m->flags & MIME_MISSING_HEAD_BODY_SEPARATOR);
    assert_span(m->root->body, "four\nC: 3\n\nbody\n");
    assert_span(m->header_bytes, "A: 1\njunk\nB: 2\n\xe9:x\n(no\n");
}

static void a_delimiter_ends_the_header(void **state)
{
    struct mime *m = parse(*state, "A: 1\n--x\nB: 2\n\nbody\n");
    assert_int_equal(m->root->fields.n, 1);
    assert_true(m->flags & MIME_MISSING_HEAD_BODY_SEPARATOR);
    assert_span(m->root->body, "--x\nB: 2\n\nbody\n");
}

static void ends_of_input(void **state)
{
    struct mime *m = parse(*state, "");
    assert_int_equal(m->flags, 0);
    assert_tree(m, "text/plain[]");
    m = parse(*state, "A: 1");
    assert_true(m->flags & MIME_MISSING_HEAD_BODY_SEPARATOR);
    assert_span(m->root->fields.v[0].raw, " 1");
    assert_int_equal(m->root->fields.v[0].size, 4);
    m = parse(*state, "\nbody");
    assert_int_equal(m->root->fields.n, 0);
    assert_span(m->root->body, "body");
}

static void long_fields_are_cut(void **state)
{
    struct buf b = {0};
    for (int i = 0; i < 300; i++)
        buf_char(&b, 'N');
    buf_str(&b, ":");
    for (int i = 0; i < 9000; i++)
        buf_char(&b, 'v');
    buf_str(&b, "\nB: 2\n\n");
    struct mime *m = mime_parse(*state, buf_span(&b), NULL);
    const struct mime_field *f = &m->root->fields.v[0];
    assert_int_equal(f->name.n, 256);
    assert_int_equal(f->raw.n, 8192);
    assert_int_equal(f->size, 300 + 1 + 9000 + 1);
    assert_true(m->flags & MIME_TRUNCATED_HEADER);
    assert_true(has_anomaly(m, "header.long-name") && has_anomaly(m, "header.long-value"));
    buf_free(&b);
}

static void hostile_bytes_are_noted(void **state)
{
    struct mime *m = mime_parse(*state, SPAN("A: \0\nB: x\ry\nC: 1\nFrom: a\nFROM: b\n\n"), NULL);
    assert_true(has_anomaly(m, "header.nul"));
    assert_true(has_anomaly(m, "header.bare-cr"));
    assert_true(has_anomaly(m, "from.duplicate"));
    assert_false(has_anomaly(m, "subject.duplicate"));
}

static void decoded_values(void **state)
{
    static const char *const cases[][2] = {
        /* semantics 11.3 */
        {"Subject: =?utf-8?Q?H=C3=A9llo?= =?utf-8?B?IHdvcmxk?=", "H\xc3\xa9llo world"},
        {"Subject: =?utf-8?q?a?=\n =?utf-8?q?b?= c", "ab c"},
        /* one character in two words of one charset */
        {"Subject: =?utf-8?b?w6k=?= =?UTF-8?Q?=C3?= =?utf-8?Q?=A9?=", "\xc3\xa9\xc3\xa9"},
        {"Subject: =?utf-8*en?q?x?=", "x"},
        {"Subject: =?iso-8859-1?q?=e9_=80?=", "\xc3\xa9 \xe2\x82\xac"},
        {"Subject: a =?x?q?b", "a =?x?q?b"},
        {"Subject: a=?utf-8?q?b?=c", "abc"},
        {"Subject: caf\xe9", "caf\xc3\xa9"},
        {"Subject: caf\xc3\xa9", "caf\xc3\xa9"},
        {"Message-ID: =?utf-8?q?a?=", "=?utf-8?q?a?="},
        {"Received: =?utf-8?q?a?=", "=?utf-8?q?a?="},
        {"List-Id: =?utf-8?q?a?=", "=?utf-8?q?a?="},
        {"X: \t a \n\t\t b \x0b", "a  b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime *m = mime_parse(*state, arena_printf(*state, "%s\n\n", cases[i][0]), NULL);
        assert_span(mime_decoded(m, &m->root->fields.v[0]), cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_and_folds),
        TEST(fields_are_found_by_name),
        TEST(crlf_is_lf_inside_and_kept_outside),
        TEST(mode_of_line_ends),
        TEST(separator_lines),
        TEST(junk_lines_end_the_header_at_the_fourth),
        TEST(a_delimiter_ends_the_header),
        TEST(ends_of_input),
        TEST(long_fields_are_cut),
        TEST(hostile_bytes_are_noted),
        TEST(decoded_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
