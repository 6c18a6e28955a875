#include "auth/dkimkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>

#include "auth/tags.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "mime/mime.h"

enum { ED25519_KEY = 32, ED25519_BITS = 256 };

/* One parsed key: found again by the bytes it was made of. */
struct kept {
    enum key_type type;
    char *der;
    size_t n;
    EVP_PKEY *pkey; /* NULL: these bytes are no usable key */
    const char *wrong;
    unsigned bits;
};

struct dkim_keys {
    struct kept v[DKIM_KEYS_KEPT];
};

struct dkim_keys *dkim_keys_new(void)
{
    return xcalloc(1, sizeof(struct dkim_keys));
}

static void forget(struct kept *k)
{
    EVP_PKEY_free(k->pkey);
    free(k->der);
    memset(k, 0, sizeof *k);
}

void dkim_keys_free(struct dkim_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < DKIM_KEYS_KEPT; i++)
        forget(&keys->v[i]);
    free(keys);
}

bool auth_base64(struct arena *a, struct span text, struct span *out)
{
    size_t n = 0, pad = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (c == '=')
            pad++;
        else if (pad || !(ascii_isalnum(c) || c == '+' || c == '/'))
            return false;
        n++;
    }
    bool junk = false;
    *out = mime_base64_decode(a, text, &junk);
    return n % 4 == 0 && pad <= 2 && n > 0;
}

/* --- from bytes to a key --- */

static const char *check_rsa(EVP_PKEY *pkey, unsigned *bits)
{
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
        return "the key is not of the type that its record says";
    int n = EVP_PKEY_get_bits(pkey);
    if (n <= 0 || n > DKIM_RSA_BITS_MAX)
        return "the key is too large";
    *bits = (unsigned)n;
    BIGNUM *e = NULL;
    int exponent = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) ? BN_num_bits(e) : 0;
    BN_free(e);
    return exponent > 0 && exponent <= DKIM_RSA_EXPONENT_BITS ? NULL : "the key's exponent is odd";
}

/* SubjectPublicKeyInfo as everybody publishes it, or RSAPublicKey as the RFC's grammar says. */
static const char *parse_rsa(struct span der, EVP_PKEY **pkey, unsigned *bits)
{
    const unsigned char *start = (const unsigned char *)der.p, *p = start;
    *pkey = d2i_PUBKEY(NULL, &p, (long)der.n);
    if (!*pkey) {
        p = start;
        *pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.n);
    }
    ERR_clear_error();
    if (!*pkey || p != start + der.n)
        return "the key can't be read";
    return check_rsa(*pkey, bits);
}

static const char *parse_ed25519(struct span raw, EVP_PKEY **pkey, unsigned *bits)
{
    if (raw.n != ED25519_KEY)
        return "an Ed25519 key has 32 bytes";
    *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)raw.p, raw.n);
    ERR_clear_error();
    *bits = ED25519_BITS;
    return *pkey ? NULL : "the key can't be read";
}

static const struct kept *key_of(struct dkim_keys *keys, enum key_type type, struct span der)
{
    struct kept *k = &keys->v[map_hash(der) % DKIM_KEYS_KEPT];
    if (k->der && k->type == type && span_eq(span_of(k->der, k->n), der))
        return k;
    forget(k);
    k->type = type;
    k->n = der.n;
    k->der = xmalloc(der.n);
    memcpy(k->der, der.p, der.n);
    k->wrong = type == KEY_RSA ? parse_rsa(der, &k->pkey, &k->bits)
                               : parse_ed25519(der, &k->pkey, &k->bits);
    return k;
}

static void unref_pkey(void *pkey)
{
    EVP_PKEY_free(pkey);
}

/* --- the record --- */

static unsigned hashes_of(struct span list)
{
    unsigned hashes = 0;
    if (!list.p)
        return 1u << AUTH_SHA256 | 1u << AUTH_SHA1;
    if (tags_has_item(list, ':', SPAN("sha256")))
        hashes |= 1u << AUTH_SHA256;
    if (tags_has_item(list, ':', SPAN("sha1")))
        hashes |= 1u << AUTH_SHA1;
    return hashes;
}

static const char *read_flags(const struct tags *t, struct dkim_key *out)
{
    struct span v = tags_get(t, SPAN("v")), k = tags_get(t, SPAN("k"));
    struct span flags = tags_get(t, SPAN("t")), service = tags_get(t, SPAN("s"));
    if (v.p && (!span_eq(v, SPAN("DKIM1")) || !span_eq(t->v[0].name, SPAN("v"))))
        return "the record is of another version";
    if (!k.p || span_ieq(k, SPAN("rsa")))
        out->type = KEY_RSA;
    else if (span_ieq(k, SPAN("ed25519")))
        out->type = KEY_ED25519;
    else
        return "the key is of an unknown type";
    out->hashes = hashes_of(tags_get(t, SPAN("h")));
    out->email = !service.p || tags_has_item(service, ':', SPAN("*")) ||
                 tags_has_item(service, ':', SPAN("email"));
    out->testing = flags.p && tags_has_item(flags, ':', SPAN("y"));
    out->strict = flags.p && tags_has_item(flags, ':', SPAN("s"));
    out->granularity = tags_get(t, SPAN("g"));
    return NULL;
}

static const char *parse(struct dkim_keys *keys, struct arena *a, struct span record,
                         struct dkim_key *out)
{
    struct tags t;
    if (record.n > DKIM_RECORD_MAX)
        return "the record is too long";
    const char *wrong = tags_parse(record, &t);
    if (wrong || (wrong = read_flags(&t, out)))
        return wrong;
    struct span p = tags_get(&t, SPAN("p")), der;
    if (!p.p)
        return "the record has no key";
    out->revoked = p.n == 0;
    if (out->revoked)
        return "the key was revoked";
    if (!auth_base64(a, p, &der))
        return "the key is no base64";
    const struct kept *k = key_of(keys, out->type, der);
    if (k->wrong)
        return k->wrong;
    out->pkey = k->pkey;
    out->bits = k->bits;
    EVP_PKEY_up_ref(k->pkey);
    arena_defer(a, unref_pkey, k->pkey);
    return NULL;
}

void dkim_key_parse(struct dkim_keys *keys, struct arena *a, struct span record,
                    struct dkim_key *out)
{
    *out = (struct dkim_key){0};
    out->wrong = parse(keys, a, record, out);
}

/* --- the mathematics --- */

static bool verify_rsa(EVP_PKEY *pkey, const EVP_MD *md, const unsigned char *digest, size_t n,
                       struct span sig)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
    bool fine = c && EVP_PKEY_verify_init(c) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
                EVP_PKEY_CTX_set_signature_md(c, md) > 0 &&
                EVP_PKEY_verify(c, (const unsigned char *)sig.p, sig.n, digest, n) == 1;
    EVP_PKEY_CTX_free(c);
    return fine;
}

/* libsodium's: half the time of OpenSSL's. */
static bool verify_ed25519(EVP_PKEY *pkey, const unsigned char *digest, size_t n, struct span sig)
{
    unsigned char raw[ED25519_KEY];
    size_t size = sizeof raw;
    return sig.n == crypto_sign_ed25519_BYTES &&
           EVP_PKEY_get_raw_public_key(pkey, raw, &size) == 1 && size == sizeof raw &&
           crypto_sign_ed25519_verify_detached((const unsigned char *)sig.p, digest, n, raw) == 0;
}

bool dkim_key_verify(const struct dkim_key *key, const struct auth_digests *d, enum auth_hash hash,
                     const unsigned char *digest, struct span sig)
{
    size_t n = auth_hash_size(hash);
    bool fine = key->type == KEY_RSA ? verify_rsa(key->pkey, d->md[hash], digest, n, sig)
                                     : verify_ed25519(key->pkey, digest, n, sig);
    ERR_clear_error();
    return fine;
}
