#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/hashcash.h"
#include "kv/kv.h"

/* Stamps of hashcash.org's documentation and of Debian's hashcash 1.22. */
#define STAMP_0 "0:030626:adam@cypherspace.org:6470e06d773e05a8"
#define STAMP_1 "1:20:040806:foo::65f460d0726f420d:13a6b8"

static void test_read(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct stamp st;
    assert_null(stamp_read(a, SPAN(" " STAMP_1 "\r\n"), &st));
    assert_int_equal(st.value, 20);
    assert_true(span_eq(st.resource, SPAN("foo")));
    assert_int_equal(st.made, (usec)1091750400 * USEC_PER_SEC);
    assert_null(stamp_read(a, SPAN("1:20:040806:foo::65f460\r\n d0726f420d:13a6b8"), &st));
    assert_int_equal(st.value, 20);
    assert_null(stamp_read(a, SPAN(STAMP_0), &st));
    assert_true(span_eq(st.resource, SPAN("adam@cypherspace.org")));
    assert_true(st.value >= 20);
    /* What is claimed is the most that counts. */
    assert_null(stamp_read(a, SPAN("1:0:040806:foo::65f460d0726f420d:13a6b8"), &st));
    assert_int_equal(st.value, 0);
    static const char *const bad[] = {"",
                                      "2:20:040806:foo::r:c",
                                      "1:20:040806:foo::r",
                                      "1:x:040806:foo::r:c",
                                      "1:20:041306:foo::r:c",
                                      "1:20:04080:foo::r:c",
                                      "0:030626:adam",
                                      "1:20:040806:foo::r:",
                                      "1:20:040806:f'oo::r:c",
                                      "1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!stamp_read(a, span_str(bad[i]), &st))
            fail_msg("'%s' was taken for a stamp", bad[i]);
    arena_free(a);
}

struct fixture {
    struct settings set;
    struct message *m;
    struct kv *kv;
    char dir[64], path[96];
    struct rcpt rcpt;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/gatehouse-hashcash-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/kv", f->dir);
    f->kv = kv_open(f->path, KV_SIZE_MIN);
    f->m = message_new(0);
    f->rcpt.addr = SPAN("foo");
    f->m->env.rcpts = &f->rcpt;
    f->m->env.nrcpts = 1;
    f->m->received = (usec)1091836800 * USEC_PER_SEC; /* a day later */
}

static void close_fixture(struct fixture *f)
{
    char lock[128];
    kv_close(f->kv);
    f->m->raw = SPAN_NONE;
    message_free(f->m);
    snprintf(lock, sizeof lock, "%s-lock", f->path);
    unlink(lock);
    unlink(f->path);
    rmdir(f->dir);
}

static struct hashcash_fact check(struct fixture *f, const char *raw)
{
    struct hashcash_fact out;
    f->m->raw = span_str(raw);
    hashcash_check(&f->set, f->kv, f->m, &out);
    return out;
}

static void test_spending(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    const char *one = "X-Hashcash: " STAMP_1 "\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";
    const char *two = "X-Hashcash: " STAMP_1 "\r\nMessage-ID: <2@example.net>\r\n\r\nbody\r\n";
    assert_int_equal(check(&f, "Subject: x\r\n\r\n").result, HASHCASH_NONE);
    struct hashcash_fact got = check(&f, one);
    assert_int_equal(got.result, HASHCASH_GOOD);
    assert_int_equal(got.value, 20);
    assert_int_equal(check(&f, one).result, HASHCASH_GOOD); /* it comes again */
    assert_false(got.spent);
    got = check(&f, two);
    assert_true(got.result == HASHCASH_SPENT && got.spent);
    close_fixture(&f);
}

static void test_resource_and_time(void **state)
{
    (void)state;
    struct fixture f;
    static const char *accept[] = {"@example.org", "foo"};
    open_fixture(&f);
    const char *mail = "X-Hashcash: 9:nonsense\r\nX-Hashcash: " STAMP_1 "\r\n\r\nbody\r\n";
    f.rcpt.addr = SPAN("bar");
    assert_int_equal(check(&f, mail).result, HASHCASH_BAD);
    f.set.hashcash.accept = (struct strings){accept, 2};
    assert_int_equal(check(&f, mail).result, HASHCASH_GOOD);
    f.m->received += HASHCASH_LIFE;
    assert_int_equal(check(&f, mail).result, HASHCASH_BAD);
    f.m->received -= 2 * HASHCASH_LIFE;
    assert_int_equal(check(&f, mail).result, HASHCASH_BAD);
    close_fixture(&f);
}

/* Without memory nobody can say that a stamp was not spent. */
static void test_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct hashcash_fact out;
    open_fixture(&f);
    f.m->raw = SPAN("Hashcash: " STAMP_1 "\r\n\r\n");
    hashcash_check(&f.set, NULL, f.m, &out);
    assert_int_equal(out.result, HASHCASH_BAD);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_spending),
                                       cmocka_unit_test(test_resource_and_time),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
