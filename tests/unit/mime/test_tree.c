#include "mime_test.h"

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"

static void parts_in_order(void **state)
{
    struct mime *m =
        parse(*state, MIXED "preamble\n--b\nContent-Type: text/html\n\n<p>\n--b\n\nplain\n\n"
                            "--b--\n");
    assert_tree(m, "multipart/mixed(text/html[<p>] text/plain[plain\n])");
    assert_int_equal(m->flags, MIME_MISSING_MIME_HEADERS); /* the second part has none */
    struct mime_part *p = m->root;
    p = mime_next(p);
    assert_span(span_sub(m->raw, p->at, p->at + p->size), "Content-Type: text/html\n\n<p>");
    assert_span(span_sub(m->raw, p->body_at, p->at + p->size), "<p>");
    p = mime_next(p);
    assert_span(span_sub(m->raw, p->at, p->at + p->size), "\nplain\n");
    assert_null(mime_next(p));
}

/* Every place is told in the original's bytes, CRs counted. */
static void places_with_crlf(void **state)
{
    struct mime *m =
        parse(*state, "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b\r\n"
                      "A: 1\r\n 2\r\nB: 3\r\n\r\none\r\ntwo\r\n--b\r\n\r\n\r\n--b--\r\n");
    assert_tree(m, "multipart/mixed(text/plain[one\ntwo] text/plain[])");
    struct mime_part *p = m->root->child;
    assert_span(span_sub(m->raw, p->at, p->at + p->size), "A: 1\r\n 2\r\nB: 3\r\n\r\none\r\ntwo");
    assert_span(span_sub(m->raw, p->body_at, p->at + p->size), "one\r\ntwo");
    const struct mime_field *f = &p->fields.v[1];
    assert_span(span_sub(m->raw, f->at, f->at + f->size), "B: 3\r\n");
    assert_span(span_from(m->raw, p->next->at), "\r\n\r\n--b--\r\n");
}

static void flags_of_broken_multiparts(void **state)
{
    struct mime *m = parse(*state, MIXED "--b\nno field\nbody\n--b--\n");
    assert_true(m->flags & MIME_MISSING_MIME_HEADERS);
    assert_true(m->flags & MIME_MISSING_MIME_HEAD_BODY_SEPARATOR);
    assert_tree(m, "multipart/mixed(text/plain[no field\nbody])");
    m = parse(*state, MIXED "--b\nA: b\n\nbody\n--b--\n . \n");
    assert_int_equal(m->flags, 0);
    m = parse(*state, MIXED "--b\nA: b\n\nbody\n--b--\nmore\n");
    assert_int_equal(m->flags, MIME_EPILOGUE_EXISTS);
    m = parse(*state, MIXED "--b\nA: b\n\nbody\n");
    assert_true(m->flags & MIME_UNBALANCED_BOUNDARY);
    assert_true(has_anomaly(m, "boundary.unclosed"));
    assert_tree(m, "multipart/mixed(text/plain[body\n])");
    m = parse(*state, MIXED "--b\nA: b\n\nbody\n--bb\n--b--\n");
    assert_true(has_anomaly(m, "boundary.prefix"));
    assert_tree(m, "multipart/mixed(text/plain[body\n--bb])");
}

static void no_delimiter_at_all(void **state)
{
    struct mime *m = parse(*state, MIXED "\nContent-Type: text/html\n\nx\n");
    assert_tree(m, "multipart/mixed(text/plain[Content-Type: text/html\n\nx\n])");
    /* an empty line is put in front of a body that begins with text */
    m = parse(*state, MIXED "Content-Type: text/html\n\nx\n");
    assert_tree(m, "multipart/mixed(text/plain[Content-Type: text/html\n\nx\n])");
    m = parse(*state, "Content-Type: multipart/mixed\n\none\ntwo\n");
    assert_tree(m, "text/plain[\none\ntwo\n]");
    assert_true(has_anomaly(m, "boundary.missing"));
    m = parse(*state, MIXED);
    assert_tree(m, "multipart/mixed()");
}

/* The last field of a part without a body is not read: SpamAssassin's loss, noted. */
static void a_part_without_body_loses_its_last_field(void **state)
{
    struct mime *m = parse(*state, MIXED "--b\nA: 1\nContent-Type: text/html\n--b--\n");
    assert_tree(m, "multipart/mixed(text/plain[])");
    assert_int_equal(m->root->child->fields.n, 1);
    assert_true(has_anomaly(m, "header.lost-field"));
}

static void names_of_part_fields(void **state)
{
    struct mime *m = parse(*state, MIXED "--b\nContent-Type : text/html\nX:\n y\n\nbody\n--b--\n");
    const struct mime_fields *f = &m->root->child->fields;
    assert_span(f->v[0].name, "Content-Type "); /* in parts the blank stays, the type is not seen */
    assert_span(f->v[1].raw, "y\n");
    assert_tree(m, "multipart/mixed(text/plain[body])");
}

static void nested_multiparts(void **state)
{
    struct mime *m =
        parse(*state, MIXED "--b\nContent-Type: multipart/alternative; boundary=\"c\"\n\n"
                            "--c\n\none\n--c\n\ntwo\n--c--\n--b\n\nthree\n--b--\n");
    assert_tree(m, "multipart/mixed(multipart/alternative(text/plain[one] text/plain[two]) "
                   "text/plain[three])");
    assert_int_equal(m->flags, MIME_MISSING_MIME_HEADERS);
}

static void reused_and_inherited_boundaries(void **state)
{
    struct mime *m =
        parse(*state, MIXED "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n"
                            "--b--\n--b\n\ntwo\n--b--\n");
    assert_tree(m, "multipart/mixed(multipart/mixed(text/plain[one]) text/plain[two])");
    assert_true(has_anomaly(m, "boundary.reused"));
    m = parse(*state, MIXED "--b\nContent-Type: multipart/mixed\n\none\n--b\n\ntwo\n--b--\n");
    assert_tree(m, "multipart/mixed(multipart/mixed(text/plain[one]) text/plain[two])");
    assert_true(has_anomaly(m, "boundary.inherited"));
}

static void digest_and_messages(void **state)
{
    struct mime *m =
        parse(*state, "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\n"
                      "text\n--b--\n");
    assert_tree(m, "multipart/digest(message/rfc822(text/plain[text]))");
    struct mime_part *in = m->root->child->child;
    assert_true(in->embedded);
    assert_span(in->fields.v[0].name, "Subject");
    assert_span(span_from(m->raw, in->at), "Subject: in\n\ntext\n--b--\n");
    m = parse(*state, "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
                      "U3ViamVjdDogaW4NCg0KdGV4dA0K\n");
    assert_tree(m, "message/rfc822(text/plain[text\n])");
    assert_int_equal(m->root->child->size, 0);
    assert_true(has_anomaly(m, "content-transfer-encoding.message"));
    m = parse(*state, "Content-Type: message/partial\n\nSubject: in\n\ntext\n");
    assert_tree(m, "message/partial[Subject: in\n\ntext\n]");
    m = parse(*state, "Content-Type: message/delivery-status\n\nSubject: in\n\ntext\n");
    assert_tree(m, "message/delivery-status[Subject: in\n\ntext\n]");
    m = parse(*state, "Content-Type: message/rfc822\n\n");
    assert_tree(m, "message/rfc822[]");
}

/* An LF message that carries one with CRLF: places must still be the original's. */
static void crlf_inside_lf(void **state)
{
    struct mime *m =
        parse(*state, "Content-Type: message/rfc822\n\nA: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n");
    assert_true(m->crlf); /* the last line decides */
    m = parse(*state,
              "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
              "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n--b--\n");
    assert_false(m->crlf);
    struct mime_part *in = m->root->child->child;
    assert_span(in->body, "one\ntwo\r");
    const struct mime_field *f = &in->fields.v[1];
    assert_span(span_sub(m->raw, f->at, f->at + f->size), "B: 2\r\n");
    assert_span(span_sub(m->raw, in->body_at, in->at + in->size), "one\r\ntwo\r");
}

static void blank_runs(void **state)
{
    for (int run = 18; run < 26; run++) {
        struct buf b = {0};
        buf_str(&b, "A: b\n\n");
        for (int i = 0; i < run; i++)
            buf_str(&b, i % 2 ? " \n" : "\n");
        buf_str(&b, "x\n");
        for (int i = 0; i < run; i++)
            buf_str(&b, "\n");
        buf_str(&b, "y\n");
        struct mime *m = mime_parse(*state, buf_span(&b), NULL);
        struct span rest = m->root->body, line;
        int before = 0, after = 0;
        while (span_line(&rest, &line) && !span_eq(line, SPAN("x")))
            before++;
        while (span_line(&rest, &line) && !span_eq(line, SPAN("y")))
            after++;
        assert_int_equal(before, run > 21 ? 21 : run);
        assert_int_equal(after, run > 20 ? 20 : run);
        assert_int_equal(has_anomaly(m, "body.blank-run"), run > 20);
        assert_int_equal(m->body_bytes.n, b.n - 6);
        buf_free(&b);
    }
}

static void add_line(struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_char(b, 'x');
    buf_char(b, '\n');
}

static void long_lines(void **state)
{
    struct buf b = {0};
    buf_str(&b, MIXED "--b\n\n");
    add_line(&b, 2047);
    add_line(&b, 2048);
    add_line(&b, 5000);
    buf_str(&b, "--b\nZ: 1\n\nend\n--b--\n");
    struct mime *m = mime_parse(*state, buf_span(&b), NULL);
    struct span rest = m->root->child->body, line;
    static const size_t lengths[] = {2047, 2048, 0, 2048, 2048, 904};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_true(span_line(&rest, &line) && line.n == lengths[i]);
    assert_false(span_line(&rest, &line));
    struct mime_part *second = m->root->child->next;
    assert_span(span_sub(m->raw, second->at, second->at + second->size), "Z: 1\n\nend");
    buf_clear(&b);
    buf_str(&b, "A: b\n\n");
    add_line(&b, 5000);
    m = mime_parse(*state, buf_span(&b), NULL); /* not outside of multiparts */
    assert_int_equal(m->root->body.n, 5001);
    buf_free(&b);
}

static void limits(void **state)
{
    struct mime_limits few = {.parts = 2, .depth = 1, .headers = 3};
    struct mime *m = mime_parse(
        *state, SPAN("A: 1\nB: 2\n" MIXED "--b\n\n1\n--b\n\n2\n--b\n\n3\n--b--\n"), &few);
    assert_tree(m, "multipart/mixed(text/plain[1] text/plain[2])");
    assert_true(m->flags & MIME_PART_LIMIT);
    m = mime_parse(
        *state,
        SPAN(MIXED "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\n1\n--c--\n--b--\n"),
        &few);
    assert_tree(m, "multipart/mixed(multipart/mixed[--c\n\n1\n--c--])");
    assert_true(has_anomaly(m, "part.depth"));
    m = mime_parse(*state, SPAN("A: 1\nB: 2\nC: 3\nD: 4\n\n"), &few);
    assert_int_equal(m->root->fields.n, 3);
    assert_true(has_anomaly(m, "header.limit"));
}

static void names_of_files(void **state)
{
    static const char *const cases[][2] = {
        {"Content-Disposition: attachment; filename=\"a b.txt\"; x=y", "a b.txt"},
        {"Content-Disposition: attachment; filename=a.txt", "a.txt"},
        {"Content-Disposition: attachment; filename=\"\"; name= x", "x"},
        {"Content-Type: text/plain; name='n.html'", "n.html"},
        {"Content-Type: text/plain; name*0=\"one \"; name*1=two", "one two"},
        {"Content-Type: text/plain; filename*1=b; filename*0=a", "ab"},
        {"Content-Type: text/plain; name*0*=utf-8''a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime *m = mime_parse(*state, arena_printf(*state, "%s\n\nx\n", cases[i][0]), NULL);
        if (cases[i][1])
            assert_span(m->root->name, cases[i][1]);
        else
            assert_null(m->root->name.p);
    }
}

static void anomalies_in_part_headers(void **state)
{
    static const char *const cases[][2] = {
        {"Content-Type: text/html\nContent-Type: text/plain", "content-type.duplicate"},
        {"Content-Type: text", "content-type.broken"},
        {"Content-Transfer-Encoding: base64 (really)", "content-transfer-encoding.unknown"},
        {"Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64",
         "content-transfer-encoding.duplicate"},
        {"Content-Disposition: inline\nContent-Disposition: attachment",
         "content-disposition.duplicate"},
        {"Content-Type: a/b; name=x; name=y", "parameter.duplicate"},
        {"Content-Type: a/b; name=\"=?utf-8?q?x?=\"", "parameter.encoded-word"},
        {"Content-Type: a/b; name=x; name*=utf-8''y", "parameter.mixed"},
        {"Content-Type: multipart/mixed; boundary=a; boundary=b", "boundary.duplicate"},
        {"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64",
         "content-transfer-encoding.multipart"},
        {"Content-Type: a/b; name=x\nContent-Disposition: attachment; filename=y", "name.conflict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime *m = mime_parse(*state, arena_printf(*state, "%s\n\nx\n", cases[i][0]), NULL);
        if (!has_anomaly(m, cases[i][1]))
            fail_msg("%s: no %s", cases[i][0], cases[i][1]);
    }
    struct mime *m = parse(*state, "Content-Type: text/plain; charset=utf-8; name=\"x\"\n"
                                   "Content-Transfer-Encoding: 8bit\n"
                                   "Content-Disposition: attachment; filename=\"x\"\n\nhello\n");
    assert_int_equal(m->nanomalies, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_in_order),
        TEST(places_with_crlf),
        TEST(flags_of_broken_multiparts),
        TEST(no_delimiter_at_all),
        TEST(a_part_without_body_loses_its_last_field),
        TEST(names_of_part_fields),
        TEST(nested_multiparts),
        TEST(reused_and_inherited_boundaries),
        TEST(digest_and_messages),
        TEST(crlf_inside_lf),
        TEST(blank_runs),
        TEST(long_lines),
        TEST(limits),
        TEST(names_of_files),
        TEST(anomalies_in_part_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
