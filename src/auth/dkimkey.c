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

/* One parsed key: found again by the bytes it was made of. Messages hold references. */
struct kept_key {
    unsigned refs;
    enum key_type type;
    char *der;
    size_t n;
    EVP_PKEY *pkey; /* NULL: these bytes are no usable key */
    /* Ready to verify, by hash; made when first wanted: making one costs a third of verifying. */
    EVP_PKEY_CTX *verify[AUTH_HASHES];
    const char *wrong;
    unsigned bits;
};

struct dkim_keys {
    struct kept_key *v[DKIM_KEYS_KEPT];
};

struct dkim_keys *dkim_keys_new(void)
{
    return xcalloc(1, sizeof(struct dkim_keys));
}

static void unref(void *kept)
{
    struct kept_key *k = kept;
    if (!k || --k->refs)
        return;
    for (size_t i = 0; i < AUTH_HASHES; i++)
        EVP_PKEY_CTX_free(k->verify[i]);
    EVP_PKEY_free(k->pkey);
    free(k->der);
    free(k);
}

void dkim_keys_free(struct dkim_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < DKIM_KEYS_KEPT; i++)
        unref(keys->v[i]);
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

static struct kept_key *key_of(struct dkim_keys *keys, enum key_type type, struct span der)
{
    struct kept_key **at = &keys->v[map_hash(der) % DKIM_KEYS_KEPT], *k = *at;
    if (k && k->type == type && span_eq(span_of(k->der, k->n), der))
        return k;
    unref(k);
    k = *at = xcalloc(1, sizeof *k);
    k->refs = 1;
    k->type = type;
    k->n = der.n;
    k->der = xmalloc(der.n);
    memcpy(k->der, der.p, der.n);
    k->wrong = type == KEY_RSA ? parse_rsa(der, &k->pkey, &k->bits)
                               : parse_ed25519(der, &k->pkey, &k->bits);
    return k;
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
    struct kept_key *k = key_of(keys, out->type, der);
    if (k->wrong)
        return k->wrong;
    out->kept = k;
    out->pkey = k->pkey;
    out->bits = k->bits;
    k->refs++;
    arena_defer(a, unref, k);
    return NULL;
}

void dkim_key_parse(struct dkim_keys *keys, struct arena *a, struct span record,
                    struct dkim_key *out)
{
    *out = (struct dkim_key){0};
    out->wrong = parse(keys, a, record, out);
}

/* --- the mathematics --- */

static EVP_PKEY_CTX *ready(EVP_PKEY *pkey, const EVP_MD *md)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
    if (c && EVP_PKEY_verify_init(c) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
        EVP_PKEY_CTX_set_signature_md(c, md) > 0)
        return c;
    EVP_PKEY_CTX_free(c);
    return NULL;
}

static bool verify_rsa(struct kept_key *k, enum auth_hash hash, const EVP_MD *md,
                       const unsigned char *digest, size_t n, struct span sig)
{
    EVP_PKEY_CTX **c = &k->verify[hash];
    if (!*c)
        *c = ready(k->pkey, md);
    return *c && EVP_PKEY_verify(*c, (const unsigned char *)sig.p, sig.n, digest, n) == 1;
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
    bool fine = key->type == KEY_RSA ? verify_rsa(key->kept, hash, d->md[hash], digest, n, sig)
                                     : verify_ed25519(key->pkey, digest, n, sig);
    ERR_clear_error();
    return fine;
}
