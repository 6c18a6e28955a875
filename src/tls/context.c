#include "tls/context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>

static int err_ssl(struct err *e, const char *what, const char *name)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_set(e, "%s%s%s: %s", what, name ? " " : "", name ? name : "",
                   reason ? reason : "unknown TLS error");
}

static int version_of(const char *text)
{
    static const struct {
        const char *text;
        int version;
    } versions[] = {{"1.0", TLS1_VERSION},
                    {"1.1", TLS1_1_VERSION},
                    {"1.2", TLS1_2_VERSION},
                    {"1.3", TLS1_3_VERSION}};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (strcmp(text, versions[i].text) == 0)
            return versions[i].version;
    return -1;
}

/* A key with a passphrase is an error, not a question on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0;
}

static int common(SSL_CTX *ctx, const struct tls_settings *set, struct err *e)
{
    int version = version_of(set->min_version ? set->min_version : "1.2");
    if (version < 0)
        return err_set(e, "TLS version '%s' is none of 1.0, 1.1, 1.2, 1.3", set->min_version);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (set->ciphers && SSL_CTX_set_cipher_list(ctx, set->ciphers) != 1)
        return err_ssl(e, "TLS ciphers", set->ciphers);
    return 0;
}

SSL_CTX *tls_client_context(const struct tls_settings *set, enum tls_demand demand, struct err *e)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) {
        err_ssl(e, "TLS", NULL);
        return NULL;
    }
    int rc = common(ctx, set, e);
    if (rc == 0 && demand == TLS_VERIFIED) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (set->authorities && SSL_CTX_load_verify_file(ctx, set->authorities) != 1)
            rc = err_ssl(e, "tls.authorities", set->authorities);
        else if (!set->authorities && SSL_CTX_set_default_verify_paths(ctx) != 1)
            rc = err_ssl(e, "the system's trusted certificates", NULL);
    }
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *server_context(const struct tls_settings *set, const char *certificate,
                               const char *key, struct err *e)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        err_ssl(e, "TLS", NULL);
        return NULL;
    }
    int rc = common(ctx, set, e);
    if (rc == 0) {
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_dh_auto(ctx, 1);
        if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
            rc = err_ssl(e, "certificate", certificate);
        else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
            rc = err_ssl(e, "key", key);
        else if (SSL_CTX_check_private_key(ctx) != 1)
            rc = err_ssl(e, "the key does not belong to the certificate:", key);
    }
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static struct timespec changed(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

int tls_server_open(struct tls_server *t, const struct tls_settings *set, const char *certificate,
                    const char *key, struct err *e)
{
    *t = (struct tls_server){.set = set};
    t->certificate = certificate ? certificate : set->certificate;
    t->key = certificate ? key : set->key;
    if (!t->certificate)
        return 0;
    if (!t->key)
        t->key = t->certificate;
    t->cert_mtime = changed(t->certificate);
    t->key_mtime = changed(t->key);
    t->ctx = server_context(set, t->certificate, t->key, e);
    return t->ctx ? 0 : -1;
}

int tls_server_reload(struct tls_server *t, struct err *e)
{
    if (!t->certificate)
        return 0;
    struct timespec cert = changed(t->certificate), key = changed(t->key);
    if (same_time(cert, t->cert_mtime) && same_time(key, t->key_mtime))
        return 0;
    if (cert.tv_sec == 0 || key.tv_sec == 0)
        return 0; /* being replaced, or not ours to see since privileges were dropped */
    t->cert_mtime = cert;
    t->key_mtime = key;
    SSL_CTX *fresh = server_context(t->set, t->certificate, t->key, e);
    if (!fresh)
        return -1;
    SSL_CTX_free(t->ctx);
    t->ctx = fresh;
    return 1;
}

void tls_server_close(struct tls_server *t)
{
    SSL_CTX_free(t->ctx);
    t->ctx = NULL;
}
