#include "cli/dkim.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <uv.h>

#include "auth/dkimkey.h"
#include "dns/dns.h"

enum { TXT_STRING_MAX = 255, ED25519_KEY = 32 };

void dkim_record(struct buf *out, EVP_PKEY *key)
{
    unsigned char *der = NULL, raw[ED25519_KEY];
    size_t n = sizeof raw;
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    if (rsa)
        n = (size_t)i2d_PUBKEY(key, &der);
    else
        EVP_PKEY_get_raw_public_key(key, raw, &n);
    buf_printf(out, "v=DKIM1; k=%s; p=", rsa ? "rsa" : "ed25519");
    char *to = buf_room(out, n * 4 / 3 + 8);
    out->n += (size_t)EVP_EncodeBlock((unsigned char *)to, rsa ? der : raw, (int)n);
    OPENSSL_free(der);
}

void dkim_zone_line(struct buf *out, const char *selector, const char *domain, struct span record)
{
    buf_printf(out, "%s._domainkey.%s. IN TXT (", selector, domain);
    for (size_t at = 0; at < record.n; at += TXT_STRING_MAX) {
        struct span part = span_sub(record, at, at + TXT_STRING_MAX);
        buf_printf(out, " \"%.*s\"", SPAN_ARG(part));
    }
    buf_str(out, " )\n");
}

const char *published_name(enum published p)
{
    static const char *const names[] = {"yes", "no", "other", "unknown"};
    return names[p];
}

struct lookup {
    uv_loop_t loop;
    struct arena *arena;
    struct dkim_keys *keys;
    EVP_PKEY *key;
    enum published result;
    struct buf *why;
};

static enum published compare(struct lookup *l, const struct dns_answer *a)
{
    enum published best = PUB_OTHER;
    for (size_t i = 0; i < a->n; i++) {
        struct span text;
        struct dkim_key key;
        if (!dns_txt_join(a->rdata[i], l->arena, &text))
            continue;
        dkim_key_parse(l->keys, l->arena, text, &key);
        if (!key.wrong && EVP_PKEY_eq(key.pkey, l->key) == 1 && a->n == 1)
            return PUB_YES;
        buf_clear(l->why);
        if (a->n > 1)
            buf_str(l->why, "there are several records; receivers take any of them");
        else
            buf_str(l->why, key.wrong ? key.wrong : "it is the record of another key");
    }
    return best;
}

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct lookup *l = ctx;
    if (a->status == DNS_OK) {
        l->result = compare(l, a);
    } else {
        l->result = a->status == DNS_NONE ? PUB_NO : PUB_UNKNOWN;
        buf_str(l->why, a->status == DNS_NONE ? "there is no record" : "the DNS does not answer");
    }
    uv_stop(&l->loop);
}

enum published dkim_published(const struct settings *set, const char *selector, const char *domain,
                              EVP_PKEY *key, struct buf *why)
{
    struct lookup l = {.key = key, .result = PUB_UNKNOWN, .why = why};
    struct buf name = {0};
    l.arena = arena_new(0);
    l.keys = dkim_keys_new();
    uv_loop_init(&l.loop);
    struct dns *dns = dns_new(&l.loop, &set->dns);
    buf_printf(&name, "%s._domainkey.%s", selector, domain);
    dns_ask(dns, buf_span(&name), DNS_TXT, on_answer, &l);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    dns_free(dns);
    uv_run(&l.loop, UV_RUN_NOWAIT);
    uv_loop_close(&l.loop);
    buf_free(&name);
    dkim_keys_free(l.keys);
    arena_free(l.arena);
    return l.result;
}
