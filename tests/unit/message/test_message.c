#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "message/message.h"

static void assert_same(struct span got, struct span want)
{
    assert_int_equal(got.p == NULL, want.p == NULL);
    assert_true(span_eq(got, want));
}

static void envelope_comes_back(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rcpt rcpts[] = {
        {SPAN("a@b"), SPAN("rfc822;x@y"), NOTIFY_FAILURE | NOTIFY_DELAY},
        {SPAN("c@d"), SPAN_NONE, 0},
    };
    struct envelope env = {.from = SPAN(""),
                           .rcpts = rcpts,
                           .nrcpts = 2,
                           .envid = SPAN("id"),
                           .ret = RET_HDRS,
                           .smtputf8 = true,
                           .require_tls = true};
    struct buf b = {0};
    envelope_encode(&b, &env);
    struct envelope back;
    for (size_t n = 0; n < b.n; n++) { /* cut anywhere, it is refused and empty */
        struct cursor c = cursor_over(span_of(b.p, n));
        envelope_decode(&c, a, &back);
        assert_true(c.failed);
        assert_int_equal(back.nrcpts, 0);
    }
    struct cursor c = cursor_over(buf_span(&b));
    envelope_decode(&c, a, &back);
    assert_true(cursor_ok(&c));
    assert_same(back.from, env.from);
    assert_same(back.envid, env.envid);
    assert_int_equal(back.ret, RET_HDRS);
    assert_true(back.smtputf8 && back.require_tls && !back.body_8bit);
    assert_int_equal(back.nrcpts, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_same(back.rcpts[i].addr, rcpts[i].addr);
        assert_same(back.rcpts[i].orcpt, rcpts[i].orcpt);
        assert_int_equal(back.rcpts[i].notify, rcpts[i].notify);
    }
    buf_free(&b);
    arena_free(a);
}

/* A count that the bytes can't hold must not allocate for it. */
static void false_counts_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct buf b = {0};
    envelope_encode(&b, &(struct envelope){.from = SPAN("")});
    memcpy(b.p + b.n - 4, "\xff\xff\xff\x7f", 4);
    struct cursor c = cursor_over(buf_span(&b));
    struct envelope back;
    envelope_decode(&c, a, &back);
    assert_true(c.failed);
    b.p[0]++; /* another version */
    c = cursor_over(buf_span(&b));
    envelope_decode(&c, a, &back);
    assert_true(c.failed);
    buf_free(&b);
    arena_free(a);
}

static void peer_comes_back(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct peer p = {.port = 65535,
                     .has_ip = true,
                     .may_relay = true,
                     .stamped = true,
                     .name = SPAN("n"),
                     .helo = SPAN(""),
                     .listener = SPAN("mx"),
                     .protocol = SPAN("ESMTPS"),
                     .tls_version = SPAN("TLSv1.3"),
                     .tls_cipher = SPAN("c")};
    assert_true(ip_parse(SPAN("192.0.2.7"), &p.ip));
    struct buf b = {0};
    peer_encode(&b, &p);
    struct peer back;
    for (size_t n = 0; n < b.n; n++) {
        struct cursor c = cursor_over(span_of(b.p, n));
        peer_decode(&c, a, &back);
        assert_true(c.failed && !back.has_ip);
    }
    struct cursor c = cursor_over(buf_span(&b));
    peer_decode(&c, a, &back);
    assert_true(cursor_ok(&c));
    assert_memory_equal(&back.ip, &p.ip, sizeof p.ip);
    assert_int_equal(back.port, 65535);
    assert_true(back.may_relay && back.stamped && !back.behind_mta);
    assert_same(back.name, p.name);
    assert_same(back.helo, p.helo);
    assert_same(back.listener, p.listener);
    assert_same(back.protocol, p.protocol);
    assert_same(back.tls_version, p.tls_version);
    assert_same(back.tls_cipher, p.tls_cipher);
    assert_same(back.auth_user, SPAN_NONE);
    buf_free(&b);
    arena_free(a);
}

static void parts_of_addresses(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_true(span_eq(addr_domain(a, SPAN("\"a@b\"@Example.ORG")), SPAN("example.org")));
    assert_true(span_eq(addr_local(SPAN("\"a@b\"@Example.ORG")), SPAN("\"a@b\"")));
    assert_true(span_eq(addr_domain(a, SPAN("postmaster")), SPAN("")));
    assert_true(span_eq(addr_local(SPAN("postmaster")), SPAN("postmaster")));
    arena_free(a);
}

static void files_are_mapped(void **state)
{
    (void)state;
    struct message *m = message_new(0);
    static const size_t sizes[] = {0, 1, 5000, 128 * 1024 - 1, 128 * 1024, 300001, 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FILE *f = tmpfile();
        for (size_t k = 0; k < sizes[i]; k++)
            fputc((int)(k % 251), f);
        assert_int_equal(fflush(f), 0);
        assert_int_equal(message_map(m, fileno(f)), 0);
        fclose(f); /* the caller's; the bytes stay */
        assert_int_equal(m->raw.n, sizes[i]);
        assert_non_null(m->raw.p);
        for (size_t k = 0; k < sizes[i]; k++)
            if ((unsigned char)m->raw.p[k] != k % 251)
                fail_msg("byte %zu of %zu", k, sizes[i]);
        if (i % 2)
            message_reset(m);
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(message_map(m, ends[0]), -1);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(message_map(m, -1), -1);
    message_free(m);
}

/* Messages of a mailbox: short ones are read, long ones mapped, wherever they begin. */
static void parts_of_files_are_mapped(void **state)
{
    (void)state;
    enum { SIZE = 600000 };
    static const struct {
        uint64_t offset, size;
        bool there;
    } parts[] = {{0, 0, true},
                 {17, 5000, true},
                 {4095, 128 * 1024, true},
                 {4097, 300001, true},
                 {SIZE - 10, 10, true},
                 {SIZE - 10, 11, false},
                 {SIZE, 1, false},
                 {SIZE - 200000, 200000, true},
                 {SIZE - 200000, 200001, false},
                 {SIZE + 1, 200000, false}};
    struct message *m = message_new(0);
    FILE *f = tmpfile();
    for (size_t k = 0; k < SIZE; k++)
        fputc((int)(k % 251), f);
    assert_int_equal(fflush(f), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int result = message_map_part(m, fileno(f), parts[i].offset, parts[i].size);
        assert_int_equal(result, parts[i].there ? 0 : -1);
        if (result != 0) {
            assert_int_equal(errno, ESTALE);
            continue;
        }
        assert_int_equal(m->raw.n, parts[i].size);
        for (size_t k = 0; k < m->raw.n; k++)
            if ((unsigned char)m->raw.p[k] != (parts[i].offset + k) % 251)
                fail_msg("byte %zu of part %zu", k, i);
        if (i % 2)
            message_reset(m);
    }
    fclose(f);
    message_free(m);
}

static void facts_are_kept(void **state)
{
    (void)state;
    struct message *m = message_new(0);
    char name[] = "mime.boundary.duplicate";
    for (int i = 0; i < 100; i++)
        facts_add(&m->facts, m->arena, name, SPAN("1"));
    facts_skip(&m->facts, m->arena, "virus", SPAN("no engine"));
    name[0] = 'x'; /* copies */
    assert_int_equal(m->facts.nfacts, 100);
    assert_string_equal(m->facts.facts[99].name, "mime.boundary.duplicate");
    assert_int_equal(m->facts.nskipped, 1);
    message_reset(m);
    assert_int_equal(m->facts.nfacts, 0);
    message_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_comes_back), cmocka_unit_test(false_counts_are_refused),
        cmocka_unit_test(peer_comes_back),     cmocka_unit_test(parts_of_addresses),
        cmocka_unit_test(files_are_mapped),    cmocka_unit_test(parts_of_files_are_mapped),
        cmocka_unit_test(facts_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
