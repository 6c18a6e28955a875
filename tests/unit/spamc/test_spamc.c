#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "spamc/reply.h"

struct client {
    struct spamc_session s;
    struct buf said, content;
    unsigned begun, ended;
    char why[64];
};

static void host_send(void *ctx, struct span bytes)
{
    buf_add(&((struct client *)ctx)->said, bytes);
}

static bool host_begin(void *ctx, const struct spamc_request *r)
{
    struct client *c = ctx;
    (void)r;
    c->begun++;
    return true;
}

static void host_content(void *ctx, struct span bytes)
{
    buf_add(&((struct client *)ctx)->content, bytes);
}

static void host_end(void *ctx, const struct spamc_request *r)
{
    struct client *c = ctx;
    assert_ptr_equal(r, c->s.request);
    c->ended++;
}

static void host_close(void *ctx, const char *why)
{
    struct client *c = ctx;
    assert_int_equal(c->why[0], 0);
    snprintf(c->why, sizeof c->why, "%s", why);
}

static const struct spamc_host host = {host_send, host_begin, host_content, host_end, host_close};

static void begin(struct client *c)
{
    memset(c, 0, sizeof *c);
    spamc_begin(&c->s, 1000, &host, c);
}

static void end(struct client *c)
{
    spamc_end(&c->s);
    buf_free(&c->said);
    buf_free(&c->content);
}

static void say(struct client *c, const char *text)
{
    spamc_input(&c->s, span_str(text));
}

#define expect_said(c, text)    assert_string_equal((c)->said.n ? (c)->said.p : "", text)
#define expect_content(c, text) assert_string_equal((c)->content.n ? (c)->content.p : "", text)

static void a_request_in_any_pieces(void **state)
{
    (void)state;
    static const char text[] = "PROCESS SPAMC/1.5\r\nUser: bob\r\nX-Other:  y\r\n"
                               "Content-length: 9\r\n\r\nSubject: ";
    for (size_t step = 1; step < sizeof text; step++) {
        struct client c;
        begin(&c);
        for (size_t at = 0; at < sizeof text - 1; at += step)
            spamc_input(&c.s, span_sub(span_str(text), at, at + step));
        assert_int_equal(c.ended, 1);
        expect_content(&c, "Subject: ");
        const struct spamc_request *r = c.s.request;
        assert_int_equal(r->method, SPAMC_PROCESS);
        assert_int_equal(r->version, 1500);
        assert_true(span_eq(r->user, SPAN("bob")));
        assert_true(span_eq(spamc_field(r, SPAN("x-other")), SPAN("y")));
        assert_null(spamc_field(r, SPAN("x-none")).p);
        end(&c);
    }
}

static void without_length_the_end_of_file_counts(void **state)
{
    (void)state;
    struct client c;
    begin(&c);
    say(&c, "please REPORT_IFSPAM SPAMC/1.0\na\r\n");
    say(&c, "b");
    assert_int_equal(c.ended, 0);
    spamc_eof(&c.s);
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.s.request->method, SPAMC_REPORT_IFSPAM);
    expect_content(&c, "a\r\nb");
    end(&c);
}

static void lessons_are_for_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        struct spamc_tell want;
    } v[] = {
        {"Message-class: spam\r\nSet: local\r\n", {.spam = true, .set_local = true}},
        {"Message-class: ham\r\nSet: LOCAL\r\nRemove: remote\r\n",
         {.set_local = true, .remove_remote = true}},
        {"Message-class: spam\r\nSet: local, remote\r\n",
         {.spam = true, .set_local = true, .set_remote = true}},
        {"Remove: local\r\n", {.remove_local = true}},
        {"", {0}},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct client c;
        begin(&c);
        c.s.allow_tell = true;
        say(&c, "TELL SPAMC/1.5\r\n");
        say(&c, v[i].head);
        say(&c, "Content-length: 2\r\n\r\nab");
        assert_int_equal(c.ended, 1);
        assert_memory_equal(&c.s.request->tell, &v[i].want, sizeof v[i].want);
        end(&c);
    }
    struct client c;
    begin(&c);
    c.s.allow_tell = true;
    say(&c, "TELL SPAMC/1.5\r\nSet: remote\r\nRemove: remote\r\n\r\n");
    expect_said(&c, "SPAMD/1.0 76 Bad header line: Unable to set remote and remove remote in the "
                    "same operation.\r\n");
    end(&c);
}

static void lessons_are_answered(void **state)
{
    (void)state;
    struct buf b = {0};
    spamc_reply_tell(&b, &(struct spamc_tell){0});
    spamc_reply_tell(&b, &(struct spamc_tell){.set_local = true, .set_remote = true});
    spamc_reply_tell(&b, &(struct spamc_tell){.set_local = true, .remove_remote = true});
    assert_string_equal(b.p, "SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"
                             "SPAMD/1.1 0 EX_OK\r\nDidSet: local,remote\r\n\r\n\r\n"
                             "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\nDidRemove: remote\r\n\r\n\r\n");
    buf_free(&b);
}

static void what_is_answered_here(void **state)
{
    (void)state;
    static const struct {
        const char *say, *answer;
    } v[] = {
        {"PING SPAMC/1.2\r\n", "SPAMD/1.5 0 PONG\r\n"},
        {"PING SPAMC/1.5\r\n\r\n", "SPAMD/1.5 0 PONG\r\n"},
        {"SKIP SPAMC/1.2\r\n", ""},
        {"TELL SPAMC/1.5\r\nSet: local\r\n\r\n",
         "SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell "
         "switch.\r\n"},
        {"EHLO there\r\n", "SPAMD/1.0 76 Bad header line: EHLO there\r\n"},
        {"\x01\x7f\r\n", "SPAMD/1.0 76 Bad header line: \?\?\r\n"},
        {"CHECK SPAMC/1.5\r\nno colon\r\n",
         "SPAMD/1.0 76 Bad header line: (header not in 'Name: value' format)\r\n"},
        {"CHECK SPAMC/1.5\r\nContent-length: 1x\r\n",
         "SPAMD/1.0 76 Bad header line: (Content-Length contains non-numeric bytes)\r\n"},
        {"CHECK SPAMC/1.5\r\nContent-length: 99999999999999999999999\r\n",
         "SPAMD/1.0 76 Bad header line: (Content-Length contains non-numeric bytes)\r\n"},
        {"CHECK SPAMC/1.5\r\nUser: a\tb\r\n",
         "SPAMD/1.0 76 Bad header line: (User header contains control chars)\r\n"},
        {"CHECK SPAMC/1.5\r\nCompress: lzma\r\n",
         "SPAMD/1.0 76 Bad header line: (compression type not supported)\r\n"},
        {"CHECK SPAMC/1.5\r\nCompress: zlib\r\n\r\n",
         "SPAMD/1.0 69 Service Unavailable: Compress requires Content-length header\r\n"},
        {"CHECK SPAMC/1.5\r\nContent-length: 1001\r\n\r\n",
         "SPAMD/1.0 69 Service Unavailable: (message larger than 1000 bytes)\r\n"},
        {"CHECK SPAMC/1.5\r\nContent-length: 2\r\n\r\nabc",
         "SPAMD/1.0 76 Bad header line: (Content-Length mismatch: Expected 2 bytes, got 3 "
         "bytes)\r\n"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct client c;
        begin(&c);
        say(&c, v[i].say);
        expect_said(&c, v[i].answer);
        assert_true(c.why[0] != 0);
        assert_int_equal(c.ended, 0);
        say(&c, "more is dropped\r\n");
        spamc_eof(&c.s);
        expect_said(&c, v[i].answer);
        end(&c);
    }
}

static void broken_off(void **state)
{
    (void)state;
    static const struct {
        const char *say, *answer;
    } v[] = {
        {"", "SPAMD/1.0 76 Bad header line: (closed before headers)\r\n"},
        {"CHECK SPAMC/1.5\r\nUs", "SPAMD/1.0 76 Bad header line: (EOF during headers)\r\n"},
        {"CHECK SPAMC/1.5", "SPAMD/1.0 76 Bad header line: (EOF during headers)\r\n"},
        {"CHECK SPAMC/1.5\r\nContent-length: 5\r\n\r\nabc",
         "SPAMD/1.0 76 Bad header line: (Content-Length mismatch: Expected 5 bytes, got 3 "
         "bytes)\r\n"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct client c;
        begin(&c);
        say(&c, v[i].say);
        spamc_eof(&c.s);
        expect_said(&c, v[i].answer);
        assert_int_equal(c.ended, 0);
        end(&c);
    }
}

static void limits(void **state)
{
    (void)state;
    struct client c;
    begin(&c);
    for (int i = 0; i < SPAMC_LINE_MAX + 1 && !c.why[0]; i++)
        say(&c, "x");
    expect_said(&c, "SPAMD/1.0 76 Bad header line: (line too long)\r\n");
    end(&c);
    begin(&c);
    say(&c, "CHECK SPAMC/1.5\r\n");
    for (int i = 0; i < SPAMC_HEADERS_MAX && !c.why[0]; i++)
        say(&c, "X: y\r\n");
    expect_said(&c, "SPAMD/1.0 76 Bad header line: (too many headers)\r\n");
    end(&c);
    begin(&c);
    say(&c, "CHECK SPAMC/1.0\r\n");
    for (int i = 0; i < 1001 && !c.why[0]; i++)
        say(&c, "x");
    expect_said(&c, "SPAMD/1.0 69 Service Unavailable: (message larger than 1000 bytes)\r\n");
    assert_int_equal(c.content.n, 1000);
    end(&c);
}

static void compressed(struct client *c, const char *text, size_t n, size_t cut)
{
    unsigned char out[4096];
    uLongf size = sizeof out;
    char head[100];
    assert_int_equal(compress(out, &size, (const Bytef *)text, n), Z_OK);
    size -= cut;
    begin(c);
    snprintf(head, sizeof head, "CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %lu\r\n\r\n",
             (unsigned long)size);
    say(c, head);
    spamc_input(&c->s, span_of((char *)out, size));
}

static void zlib_is_inflated_within_limits(void **state)
{
    (void)state;
    static char bomb[100000];
    struct client c;
    compressed(&c, "Subject: x\n\nbody\n", 17, 0);
    assert_int_equal(c.ended, 1);
    expect_content(&c, "Subject: x\n\nbody\n");
    end(&c);
    compressed(&c, "Subject: x\n\nbody\n", 17, 3);
    assert_int_equal(c.ended, 0);
    expect_said(&c,
                "SPAMD/1.0 69 Service Unavailable: zlib: failed to find end of zlib stream\r\n");
    end(&c);
    compressed(&c, bomb, sizeof bomb, 0);
    expect_said(&c, "SPAMD/1.0 69 Service Unavailable: (message larger than 1000 bytes)\r\n");
    assert_true(c.content.n <= 1000);
    end(&c);
}

static void replies(void **state)
{
    (void)state;
    const struct spamc_verdict v = {.spam = true,
                                    .shown = SPAN("15.0"),
                                    .score = 15,
                                    .required = 5,
                                    .names = SPAN("A,B"),
                                    .report = SPAN("text\n"),
                                    .action = "add header"};
    struct spamc_verdict ham = v;
    ham.spam = false;
    ham.shown = SPAN("-0.1");
    static const struct {
        enum spamc_method method;
        unsigned version;
        bool ham;
        const char *reply;
    } rows[] = {
        {SPAMC_CHECK, 1500, false, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.0 / 5.0\r\n\r\n"},
        {SPAMC_CHECK, 1000, true, "SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n"},
        {SPAMC_SYMBOLS, 1500, false,
         "SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 15.0 / 5.0\r\n\r\nA,B"},
        {SPAMC_SYMBOLS, 1200, false, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.0 / 5.0\r\n\r\nA,B\r\n"},
        {SPAMC_REPORT_IFSPAM, 1500, false,
         "SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: Yes ; 15.0 / 5.0\r\n\r\ntext\n"},
        {SPAMC_REPORT_IFSPAM, 1500, true,
         "SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: No ; -0.1 / 5.0\r\n\r\n"},
        {SPAMC_REPORT, 1500, true,
         "SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: False ; -0.1 / 5.0\r\n\r\ntext\n"},
    };
    struct buf b = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spamc_request *r = calloc(1, sizeof *r);
        r->method = rows[i].method;
        r->version = rows[i].version;
        buf_clear(&b);
        spamc_reply(&b, r, rows[i].ham ? &ham : &v);
        assert_string_equal(b.p, rows[i].reply);
        free(r);
    }
    buf_clear(&b);
    spamc_reply_rspamc(&b, &v);
    spamc_reply_symbol(&b, SPAN("A"), 1.5);
    assert_string_equal(b.p, "RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 15.00 / 5.00 / 0.0\r\n"
                             "Action: add header\r\nSymbol: A(1.50)\r\n");
    buf_free(&b);
    assert_int_equal(spamc_header_size(SPAN("A: b\n\nbody")), 6);
    assert_int_equal(spamc_header_size(SPAN("A: b\r\n\r\nbody")), 8);
    assert_int_equal(spamc_header_size(SPAN("A: b\r\n")), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_in_any_pieces),
        cmocka_unit_test(without_length_the_end_of_file_counts),
        cmocka_unit_test(lessons_are_for_the_host),
        cmocka_unit_test(lessons_are_answered),
        cmocka_unit_test(what_is_answered_here),
        cmocka_unit_test(broken_off),
        cmocka_unit_test(limits),
        cmocka_unit_test(zlib_is_inflated_within_limits),
        cmocka_unit_test(replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
