#include "../loop/pair.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "tls/context.h"

struct files {
    char dir[64], cert[96], key[96];
};

/* A self-signed certificate for gate.example, good for a day. */
static void write_certificate(const struct files *f, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *n = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, n);
    X509_sign(x, key, EVP_sha256());
    FILE *out = fopen(f->cert, "w");
    PEM_write_X509(out, x);
    fclose(out);
    out = fopen(f->key, "w");
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    struct files *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/gatehouse-tls-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->dir);
    snprintf(f->key, sizeof f->key, "%s/key.pem", f->dir);
    write_certificate(f, "gate.example");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct files *f = *state;
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->dir);
    free(f);
    return 0;
}

static struct tls_server open_server(struct files *f, struct tls_settings *set)
{
    struct err e;
    struct tls_server t;
    set->certificate = f->cert;
    set->key = f->key;
    if (tls_server_open(&t, set, NULL, NULL, &e) != 0)
        fail_msg("%s", e.text);
    return t;
}

static void handshake_and_data_both_ways(void **state)
{
    struct tls_settings set = {0};
    struct tls_server server = open_server(*state, &set);
    SSL_CTX *client = tls_client_context(&set, TLS_OPPORTUNISTIC, NULL);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    stream_starttls(b.s, server.ctx, true, NULL);
    stream_starttls(a.s, client, false, "gate.example");
    stream_write(a.s, SPAN("early"));
    run_until(&loop, a.secure && b.secure && b.got.n == 5);
    assert_string_equal(SSL_get_version(stream_ssl(b.s)), "TLSv1.3");
    char *big = xcalloc(1, 2 * 1024 * 1024);
    memset(big, 'z', 2 * 1024 * 1024);
    stream_write(b.s, span_of(big, 2 * 1024 * 1024));
    run_until(&loop, a.got.n == 2 * 1024 * 1024);
    assert_memory_equal(a.got.p, big, a.got.n);
    stream_finish(b.s);
    run_until(&loop, a.closed && b.closed);
    assert_string_equal(a.why, "eof");
    free(big);
    pair_close(&loop, &a, &b);
    SSL_CTX_free(client);
    tls_server_close(&server);
}

static void paused_tls_loses_nothing(void **state)
{
    struct tls_settings set = {0};
    struct tls_server server = open_server(*state, &set);
    SSL_CTX *client = tls_client_context(&set, TLS_OPPORTUNISTIC, NULL);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {.consume_at_most = 100, .pause_on_data = true};
    pair_open(&loop, &a, &b);
    stream_starttls(b.s, server.ctx, true, NULL);
    stream_starttls(a.s, client, false, NULL);
    run_until(&loop, a.secure && b.secure);
    char *big = xcalloc(1, 200000);
    for (int i = 0; i < 200000; i++)
        big[i] = (char)(i * 7);
    stream_write(a.s, span_of(big, 200000));
    stream_finish(a.s);
    run_until(&loop, b.got.n == 100);
    for (int i = 0; i < 100; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(b.got.n, 100);
    b.consume_at_most = 50000;
    while (b.got.n < 200000 && !b.closed) {
        stream_resume(b.s);
        size_t before = b.got.n;
        run_until(&loop, b.got.n > before || b.closed);
    }
    assert_int_equal(b.got.n, 200000);
    assert_memory_equal(b.got.p, big, b.got.n);
    free(big);
    pair_close(&loop, &a, &b);
    SSL_CTX_free(client);
    tls_server_close(&server);
}

static size_t start_tls(struct end *e, struct span bytes)
{
    if (e->secure) {
        buf_add(&e->got, bytes);
        return bytes.n;
    }
    assert_true(span_starts(bytes, SPAN("STARTTLS\r\n")));
    stream_write(e->s, SPAN("220 go\r\n"));
    stream_starttls(e->s, e->user, true, NULL);
    return 10;
}

static size_t answer_tls(struct end *e, struct span bytes)
{
    if (!e->secure && span_ends(bytes, SPAN("220 go\r\n")))
        stream_starttls(e->s, e->user, false, NULL);
    return bytes.n;
}

static void injected_plaintext_is_dropped(void **state)
{
    struct tls_settings set = {0};
    struct tls_server server = open_server(*state, &set);
    SSL_CTX *client = tls_client_context(&set, TLS_OPPORTUNISTIC, NULL);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {.hook = answer_tls, .user = client},
               b = {.hook = start_tls, .user = server.ctx};
    pair_open(&loop, &a, &b);
    stream_write(a.s, SPAN("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"));
    run_until(&loop, a.secure && b.secure);
    assert_int_equal(stream_dropped(b.s), strlen("MAIL FROM:<evil@example.org>\r\n"));
    stream_write(a.s, SPAN("EHLO good\r\n"));
    run_until(&loop, b.got.n > 0);
    assert_true(span_eq(buf_span(&b.got), SPAN("EHLO good\r\n")));
    pair_close(&loop, &a, &b);
    SSL_CTX_free(client);
    tls_server_close(&server);
}

static void junk_instead_of_a_handshake_fails(void **state)
{
    struct tls_settings set = {0};
    struct tls_server server = open_server(*state, &set);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    stream_starttls(b.s, server.ctx, true, NULL);
    stream_write(a.s, SPAN("EHLO in the clear\r\n"));
    run_until(&loop, b.closed);
    assert_true(strncmp(b.why, "tls: ", 5) == 0);
    assert_false(b.secure);
    assert_int_equal(b.got.n, 0);
    pair_close(&loop, &a, &b);
    tls_server_close(&server);
}

static void verification_refuses_a_stranger(void **state)
{
    struct tls_settings set = {0};
    struct tls_server server = open_server(*state, &set);
    struct files *f = *state;
    for (int round = 0; round < 3; round++) {
        SSL_CTX *client = tls_client_context(&set, TLS_VERIFIED, NULL);
        if (round > 0) /* trusted now: round 1 the right name, round 2 a wrong one */
            assert_int_equal(SSL_CTX_load_verify_locations(client, f->cert, NULL), 1);
        uv_loop_t loop;
        uv_loop_init(&loop);
        struct end a = {0}, b = {0};
        pair_open(&loop, &a, &b);
        stream_starttls(b.s, server.ctx, true, NULL);
        stream_starttls(a.s, client, false, round == 2 ? "other.example" : "gate.example");
        if (round == 1) {
            run_until(&loop, a.secure && b.secure);
        } else {
            run_until(&loop, a.closed);
            assert_false(a.secure);
            assert_string_equal(a.why, round == 0 ? "tls: self-signed certificate"
                                                  : "tls: hostname mismatch");
        }
        pair_close(&loop, &a, &b);
        SSL_CTX_free(client);
    }
    tls_server_close(&server);
}

static void the_minimum_version_is_kept(void **state)
{
    struct tls_settings set = {.min_version = "1.3"};
    struct tls_server server = open_server(*state, &set);
    SSL_CTX *client = tls_client_context(&set, TLS_OPPORTUNISTIC, NULL);
    SSL_CTX_set_min_proto_version(client, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    stream_starttls(b.s, server.ctx, true, NULL);
    stream_starttls(a.s, client, false, NULL);
    run_until(&loop, a.closed && b.closed);
    assert_false(a.secure || b.secure);
    assert_string_equal(b.why, "tls: unsupported protocol");
    pair_close(&loop, &a, &b);
    SSL_CTX_free(client);
    tls_server_close(&server);
}

static void a_changed_certificate_is_taken_up(void **state)
{
    struct files *f = *state;
    struct tls_settings set = {0};
    struct tls_server server = open_server(f, &set);
    struct err e;
    assert_int_equal(tls_server_reload(&server, &e), 0);
    SSL_CTX *before = server.ctx;
    struct timespec old[2] = {{1000, 0}, {1000, 0}};

    FILE *out = fopen(f->key, "w");
    fputs("no key at all\n", out);
    fclose(out);
    assert_int_equal(tls_server_reload(&server, &e), -1);
    assert_non_null(strstr(e.text, f->key));
    assert_ptr_equal(server.ctx, before);

    write_certificate(f, "new.example");
    utimensat(AT_FDCWD, f->key, old, 0);
    assert_int_equal(tls_server_reload(&server, &e), 1);
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(server.ctx)),
                              NID_commonName, name, sizeof name);
    assert_string_equal(name, "new.example");
    tls_server_close(&server);
}

static void bad_settings_are_named(void **state)
{
    struct files *f = *state;
    struct err e;
    struct tls_server t;
    struct tls_settings set = {.certificate = "/nonexistent.pem", .key = f->key};
    assert_int_equal(tls_server_open(&t, &set, NULL, NULL, &e), -1);
    assert_non_null(strstr(e.text, "/nonexistent.pem"));
    set = (struct tls_settings){.certificate = f->cert, .key = f->key, .min_version = "3"};
    assert_int_equal(tls_server_open(&t, &set, NULL, NULL, &e), -1);
    assert_non_null(strstr(e.text, "'3'"));
    set = (struct tls_settings){0};
    assert_int_equal(tls_server_open(&t, &set, NULL, NULL, &e), 0);
    assert_null(t.ctx);
    assert_null(
        tls_client_context(&(struct tls_settings){.ciphers = "none such"}, TLS_REQUIRED, &e));
    assert_non_null(strstr(e.text, "none such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handshake_and_data_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paused_tls_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(injected_plaintext_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junk_instead_of_a_handshake_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verification_refuses_a_stranger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_minimum_version_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_certificate_is_taken_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_settings_are_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
