/* TLS contexts from settings: what a listener offers, what a client demands. The handshakes run in
 * loop/stream.h.
 *
 * Session tickets and caches are off: a ticket earned on one listener must not open another one
 * with a different policy, and SMTP sessions are long enough to pay for a handshake. Renegotiation
 * and compression are off. Contexts are reference-counted by OpenSSL: a session keeps the one it
 * began with when a reload replaces it. */
#ifndef GATEHOUSE_TLS_CONTEXT_H
#define GATEHOUSE_TLS_CONTEXT_H

#include "config/settings.h"

#include <openssl/ssl.h>

/* What a client asks of the server's certificate. */
enum tls_demand {
    TLS_OPPORTUNISTIC, /* encrypt to whoever answers (RFC 7435) */
    TLS_REQUIRED,      /* as above; the caller gives up when TLS can't be had */
    TLS_VERIFIED       /* trusted chain and matching name; stream_starttls gets the name */
};

/* NULL with e on failure. Free with SSL_CTX_free. */
SSL_CTX *tls_client_context(const struct tls_settings *set, enum tls_demand demand, struct err *e);

/* The server side of one listener: context plus the files it came from. */
struct tls_server {
    SSL_CTX *ctx;
    const struct tls_settings *set; /* the caller's, must outlive this */
    const char *certificate, *key;
    struct timespec cert_mtime, key_mtime;
};

/* certificate, key: those of the listener, or NULL for those of set. 0, or -1 with e. When no
 * certificate is configured anywhere, ctx stays NULL and that is no error. */
int tls_server_open(struct tls_server *t, const struct tls_settings *set, const char *certificate,
                    const char *key, struct err *e);
/* Reads the files again when they have changed: 1 replaced, 0 unchanged, -1 with e: the old
 * certificate stays in force (told once for each change). */
int tls_server_reload(struct tls_server *t, struct err *e);
void tls_server_close(struct tls_server *t);

#endif
