/* Signing and verifying meet: keys made here, messages with edits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/signer.h"
#include "mailcheck.h"

enum { NOW = 1700000000 };

struct stand {
    struct mailcheck check;
    struct auth_digests digests;
    struct signer *signer;
    struct arena *arena;
    char dir[64], told[512];
};

static const char *headers[] = {"From", "Subject", "To", "MIME-Version"};
static const char *oversign[] = {"From", "Subject"};

static void on_problem(void *ctx, const char *text)
{
    struct stand *s = ctx;
    snprintf(s->told, sizeof s->told, "%s", text);
}

static void write_key(struct stand *s, const char *path, EVP_PKEY *key, const char *name)
{
    unsigned char *der = NULL;
    char p[1024], record[1200];
    FILE *f = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    chmod(path, 0600);
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    int n = i2d_PUBKEY(key, &der);
    EVP_EncodeBlock((unsigned char *)p, rsa ? der : der + n - 32, rsa ? n : 32);
    snprintf(record, sizeof record, "k=%s; p=%s", rsa ? "rsa" : "ed25519", p);
    zone_txt(&s->check.zone, name, record);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

/* A directory of keys as `gatehouse dkim keygen` makes it. */
static void open_stand(struct stand *s, mode_t mode)
{
    static const char *sign[] = {".example.org"};
    static char keys[96];
    char path[128];
    memset(s, 0, sizeof *s);
    mailcheck_open(&s->check);
    auth_digests_open(&s->digests);
    s->arena = arena_new(0);
    snprintf(s->dir, sizeof s->dir, "/tmp/gatehouse-keys-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(path, sizeof path, "%s/example.org", s->dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/example.org/one.pem", s->dir);
    write_key(s, path, EVP_RSA_gen(1024), "one._domainkey.example.org");
    chmod(path, mode);
    snprintf(path, sizeof path, "%s/example.org/two.pem", s->dir);
    write_key(s, path, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "two._domainkey.example.org");
    snprintf(path, sizeof path, "%s/example.org/active", s->dir);
    FILE *f = fopen(path, "w");
    fputs("# made by a test\none\n\ntwo\n../three\n", f);
    fclose(f);
    struct settings *set = &s->check.set;
    snprintf(keys, sizeof keys, "%s", s->dir);
    set->dkim.keys = keys;
    set->dkim.sign = (struct strings){sign, 1};
    set->dkim.headers = (struct strings){headers, 4};
    set->dkim.oversign = (struct strings){oversign, 2};
    s->signer = signer_open(set, on_problem, s);
}

static void close_stand(struct stand *s)
{
    static const char *const files[] = {"one.pem", "two.pem", "active", ""};
    char path[128];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/example.org/%s", s->dir, files[i]);
        remove(path);
    }
    rmdir(s->dir);
    signer_free(s->signer);
    auth_digests_close(&s->digests);
    arena_free(s->arena);
    mailcheck_close(&s->check);
}

static struct message *ours(struct stand *s, struct span raw)
{
    struct message *m = s->check.m;
    message_reset(m);
    m->raw = raw;
    m->has_envelope = true;
    m->peer.auth_user = SPAN("alice");
    return m;
}

/* The message as it leaves, signed; SPAN_NONE when it is not to be signed. */
static struct span sign(struct stand *s, struct span raw, struct splices *edits)
{
    struct message *m = ours(s, raw);
    struct sign_request r;
    struct buf out = {0};
    struct err e;
    struct span result = SPAN_NONE;
    struct signable *sa = signable_new(&s->digests, m, edits, s->arena);
    if (sign_wants_dkim(&s->check.set, m, sa, &r)) {
        assert_int_equal(signer_sign(s->signer, &r, NOW, &out, &e), 0);
        splices_apply(edits, raw, &out);
        result = arena_dup(s->arena, buf_span(&out));
    }
    buf_free(&out);
    m->raw = SPAN_NONE;
    return result;
}

static void expect_good(struct stand *s, struct span mail)
{
    assert_non_null(mail.p);
    const struct auth_facts *f = mailcheck(&s->check, mail, NOW + 10);
    assert_int_equal(f->ndkim, 2);
    for (size_t i = 0; i < 2; i++)
        if (f->dkim[i].result != DKIM_PASS)
            fail_msg("%.*s", SPAN_ARG(f->dkim[i].why));
}

#define MAIL                                                                                       \
    "From: alice@sub.example.org\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\nline  one \r\n"

static void test_round_trip(void **state)
{
    (void)state;
    struct stand s;
    struct splices none = {0};
    open_stand(&s, 0600);
    assert_int_equal(signer_keys(s.signer), 2);
    for (int form = DKIM_RELAXED_RELAXED; form <= DKIM_SIMPLE_SIMPLE; form++) {
        s.check.set.dkim.canonicalisation = (enum dkim_canonicalisation)form;
        s.check.set.dkim.expire = form % 2 ? 3600 * USEC_PER_SEC : 0;
        expect_good(&s, sign(&s, SPAN(MAIL), &none));
        expect_good(&s, sign(&s, SPAN("From: alice@example.org\n\n"), &none));
        expect_good(&s, sign(&s, SPAN("From: alice@example.org"), &none));
    }
    close_stand(&s);
}

static void test_edits(void **state)
{
    (void)state;
    struct stand s;
    open_stand(&s, 0600);
    struct splices head = {0}, body = {0};
    splices_add(&head, s.arena, 0, 0, SPAN("X-New: yes\r\n"));
    splices_add(&head, s.arena, span_search(SPAN(MAIL), SPAN("hello")), 0, SPAN("[SPAM] "));
    struct span mail = sign(&s, SPAN(MAIL), &head);
    expect_good(&s, mail);
    assert_true(span_search(mail, SPAN("[SPAM] hello")) != SIZE_MAX);
    splices_add(&body, s.arena, span_search(SPAN(MAIL), SPAN("line")), 4, SPAN("word"));
    mail = sign(&s, SPAN(MAIL), &body);
    expect_good(&s, mail);
    assert_true(span_search(mail, SPAN("word  one")) != SIZE_MAX);
    close_stand(&s);
}

/* Fields that nobody may add, and what is added anyway. */
static void test_oversigned(void **state)
{
    (void)state;
    struct stand s;
    struct splices none = {0};
    open_stand(&s, 0600);
    struct span mail = sign(&s, SPAN(MAIL), &none);
    struct span more = arena_printf(s.arena, "Subject: other\r\n%.*s", SPAN_ARG(mail));
    assert_int_equal(mailcheck(&s.check, more, NOW)->dkim[0].result, DKIM_FAIL);
    more = arena_printf(s.arena, "X-Other: yes\r\n%.*s", SPAN_ARG(mail));
    assert_int_equal(mailcheck(&s.check, more, NOW)->dkim[0].result, DKIM_PASS);
    close_stand(&s);
}

static void test_not_signed(void **state)
{
    (void)state;
    struct stand s;
    struct splices none = {0};
    open_stand(&s, 0600);
    assert_null(sign(&s, SPAN("From: a@example.com\r\n\r\n"), &none).p);
    assert_null(sign(&s, SPAN("From: a@example.org, b@example.com\r\n\r\n"), &none).p);
    assert_null(sign(&s, SPAN("From: a@example.org\r\nFrom: b@example.org\r\n\r\n"), &none).p);
    assert_null(sign(&s, SPAN("From: a@example.org\r\nno field\r\n\r\n"), &none).p);
    assert_null(sign(&s, SPAN("From: a@example.org\r\n\r\na\rb\r\n"), &none).p);
    assert_null(sign(&s, SPAN("From: a@notexample.org\r\n\r\n"), &none).p);
    struct sign_request r;
    struct message *m = ours(&s, SPAN(MAIL));
    m->peer.auth_user = SPAN_NONE;
    struct signable *sa = signable_new(&s.digests, m, &none, s.arena);
    assert_false(sign_wants_dkim(&s.check.set, m, sa, &r));
    m->raw = SPAN_NONE;
    close_stand(&s);
}

static void test_file_for_all(void **state)
{
    (void)state;
    struct stand s;
    open_stand(&s, 0644);
    assert_int_equal(signer_keys(s.signer), 1);
    assert_non_null(strstr(s.told, "chmod 600"));
    close_stand(&s);
}

/* Requests of a scanner that was taken over. */
static void test_requests(void **state)
{
    (void)state;
    struct stand s;
    struct buf out = {0}, wire = {0};
    struct err e;
    open_stand(&s, 0600);
    struct sign_request good = {.kind = SIGN_DKIM,
                                .domain = SPAN("example.org"),
                                .names = SPAN("From"),
                                .data = SPAN("from:x\r\n"),
                                .bh = SPAN("01234567890123456789012345678901")};
    struct sign_request r = good, back;
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), 0);
    r.names = SPAN("From; d=example.com");
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), -1);
    r = good;
    r.bh = SPAN("short");
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), -1);
    r = good;
    r.domain = SPAN("example.com");
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), -1);
    r = good;
    r.kind = SIGN_ARC;
    r.instance = 1;
    r.cv = SPAN("none");
    r.results = SPAN("gate.test; arc=none");
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), 0);
    sign_request_encode(&wire, &r);
    assert_true(sign_request_decode(buf_span(&wire), &back));
    assert_true(span_eq(back.results, r.results) && back.instance == 1);
    for (size_t i = 0; i < wire.n; i++)
        assert_false(sign_request_decode(span_sub(buf_span(&wire), 0, i), &back));
    r.results = SPAN("gate.test; arc=none\nX-Other: field");
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), -1);
    r.results = SPAN("gate.test;\n\tarc=none");
    r.instance = 51;
    assert_int_equal(signer_sign(s.signer, &r, NOW, &out, &e), -1);
    buf_free(&out);
    buf_free(&wire);
    close_stand(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_edits),
        cmocka_unit_test(test_oversigned),   cmocka_unit_test(test_not_signed),
        cmocka_unit_test(test_file_for_all), cmocka_unit_test(test_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
