/* Pyzor: digests that pyzor 1.0 printed for the same bytes, and its dialogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "digests/pyzor.h"
#include "digests/where.h"

static const struct {
    const char *text, *digest;
} known[] = {
#include "known_digests.h"
};

static void test_digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char digest[PYZOR_DIGEST_SIZE];
        struct arena *a = arena_new(0);
        pyzor_digest(a, span_str(known[i].text), digest);
        if (strcmp(digest, known[i].digest) != 0)
            print_message("message %zu: %.60s\n", i, known[i].text);
        assert_string_equal(digest, known[i].digest);
        arena_free(a);
    }
}

static void test_no_text(void **state)
{
    char digest[PYZOR_DIGEST_SIZE];
    struct arena *a = arena_new(0);
    (void)state;
    pyzor_digest(a, SPAN("Subject: hi\n\nshort\n"), digest);
    assert_true(pyzor_digest_empty(digest));
    pyzor_digest(a, SPAN(""), digest);
    assert_true(pyzor_digest_empty(digest));
    pyzor_digest(a, SPAN("Subject: hi\n\nlong enough\n"), digest);
    assert_false(pyzor_digest_empty(digest));
    arena_free(a);
}

/* Nested deeper than is read, and more parts than are read: it ends, in time. */
static void test_hostile(void **state)
{
    char digest[PYZOR_DIGEST_SIZE];
    struct buf b = {0};
    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    for (int i = 0; i < 20000; i++)
        buf_str(&b, "--b0\n\nx\n");
    struct arena *a = arena_new(0);
    pyzor_digest(a, buf_span(&b), digest);
    buf_clear(&b);
    buf_str(&b, "Content-Type: text/html\n\n");
    for (int i = 0; i < 200000; i++)
        buf_str(&b, "<a '");
    pyzor_digest(a, buf_span(&b), digest);
    buf_clear(&b);
    buf_str(&b, "Content-Type: text/html\n\n<!--");
    for (int i = 0; i < 200000; i++)
        buf_str(&b, "-- -- ]]  ");
    pyzor_digest(a, buf_span(&b), digest);
    arena_free(a);
    buf_free(&b);
}

/* ---- dialogue ---- */

/* Signed by pyzor.account.sign_msg over the same message. */
static void test_request(void **state)
{
    struct buf b = {0};
    const struct pyzor_account who = {.user = "alice", .key = "6F00"}, anonymous = {.user = ""};
    (void)state;
    pyzor_request(&b, PYZOR_CHECK, "da39a3ee5e6b4b0d3255bfef95601890afd80709", 2000, &anonymous,
                  1234567890);
    assert_string_equal(b.p, "Op: check\n"
                             "Op-Digest: da39a3ee5e6b4b0d3255bfef95601890afd80709\n"
                             "Thread: 2000\nPV: 2.1\nUser: anonymous\nTime: 1234567890\n"
                             "Sig: 998e31c9944ac2c2460638019312136a19ad32a6\n\n");
    buf_clear(&b);
    pyzor_request(&b, PYZOR_REPORT, "da39a3ee5e6b4b0d3255bfef95601890afd80709", 2000, &who,
                  1234567890);
    assert_string_equal(b.p, "Op: report\n"
                             "Op-Digest: da39a3ee5e6b4b0d3255bfef95601890afd80709\n"
                             "Op-Spec: 20,3,60,3\n"
                             "Thread: 2000\nPV: 2.1\nUser: alice\nTime: 1234567890\n"
                             "Sig: 20af2c6603b9c0c78aa9e4f0d74567a49a0fd7e4\n\n");
    buf_free(&b);
}

static void test_replies(void **state)
{
    struct pyzor_reply r;
    (void)state;
    assert_true(pyzor_reply_read(SPAN("Code: 200\nDiag: OK\nPV: 2.1\nThread: 4711\nCount: 12\n"
                                      "WL-Count: 3\n\n"),
                                 PYZOR_CHECK, &r));
    assert_int_equal(r.code, 200);
    assert_int_equal(r.thread, 4711);
    assert_int_equal(r.count, 12);
    assert_int_equal(r.welcome, 3);
    assert_true(
        pyzor_reply_read(SPAN("Code: 401\nDiag: Unauthorized\nThread: 0\n"), PYZOR_CHECK, &r));
    assert_int_equal(r.code, 401);
    assert_true(span_eq(r.why, SPAN("Unauthorized")));
    static const char *const bad[] = {"",
                                      "Code: 200\n",
                                      "Thread: 5000\n",
                                      "Code: 200\nThread: 5000\nCount: 1\n",
                                      "Code: 200\nThread: 5000\nCount: -1\nWL-Count: 0\n",
                                      "Code: 99999999999999999999\nThread: 5000\n",
                                      "Code 200\nThread 5000\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pyzor_reply_read(span_str(bad[i]), PYZOR_CHECK, &r));
    assert_true(pyzor_reply_read(SPAN("Code: 200\nDiag: OK\nThread: 5000\n"), PYZOR_REPORT, &r));
}

static void test_accounts(void **state)
{
    struct pyzor_account a;
    struct err e;
    struct span file = SPAN("# comment\n\n"
                            "pyzor.example : 24441 : bob : 1234,ABCD\r\n"
                            "127.0.0.1:9999:eve: ,77\n");
    (void)state;
    assert_true(pyzor_account_find(file, SPAN("pyzor.example"), 24441, &a));
    assert_string_equal(a.user, "bob");
    assert_string_equal(a.key, "ABCD");
    assert_true(pyzor_account_find(file, SPAN("127.0.0.1"), 9999, &a));
    assert_string_equal(a.key, "77");
    assert_false(pyzor_account_find(file, SPAN("127.0.0.1"), 24441, &a));
    assert_string_equal(a.user, "");
    assert_int_equal(pyzor_accounts_check(file, &e), 0);
    assert_int_equal(pyzor_accounts_check(SPAN("host : x : user : 1,2\n"), &e), -1);
    assert_int_equal(pyzor_accounts_check(SPAN("host : 1 : user\nname : 12\n"), &e), -1);
    assert_int_equal(pyzor_accounts_check(SPAN("host : 1 : a b : 1,2\n"), &e), -1);
}

static void test_where(void **state)
{
    struct where w;
    struct err e;
    (void)state;
    assert_int_equal(where_parse("public.pyzor.org:24441", &w, &e), 0);
    assert_string_equal(w.host, "public.pyzor.org");
    assert_int_equal(w.port, 24441);
    assert_int_equal(where_parse("[2001:db8::1]:80", &w, &e), 0);
    assert_string_equal(w.host, "2001:db8::1");
    assert_int_equal(where_parse("unix:/var/dcc/dccifd", &w, &e), 0);
    assert_string_equal(w.path, "/var/dcc/dccifd");
    assert_int_equal(where_parse("host", &w, &e), -1);
    assert_int_equal(where_parse("host:0", &w, &e), -1);
    assert_int_equal(where_parse("host:65536", &w, &e), -1);
    assert_int_equal(where_parse(":25", &w, &e), -1);
    char path[200] = "/";
    memset(path + 1, 'x', sizeof path - 2);
    path[sizeof path - 1] = 0;
    assert_int_equal(where_parse(path, &w, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests), cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_request),
        cmocka_unit_test(test_replies), cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
