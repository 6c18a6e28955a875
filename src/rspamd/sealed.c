#include "rspamd/sealed.h"

#include <sodium.h>

enum { NONCE = 24, MAC = 16, BLOCK = 64 };

static const char digits[] = "ybndrfg8ejkmcpqxot1uwisza345h769";

static const char *base32(const unsigned char *in, size_t n, char *out)
{
    unsigned bits = 0, have = 0;
    char *at = out;
    for (size_t i = 0; i < n; i++) {
        bits |= (unsigned)in[i] << have;
        for (have += 8; have >= 5; have -= 5, bits >>= 5)
            *at++ = digits[bits & 31];
    }
    if (have)
        *at++ = digits[bits & 31];
    *at = '\0';
    return out;
}

/* n bytes exactly, and nothing in the bits behind them. */
static bool unbase32(struct span in, unsigned char *out, size_t n)
{
    unsigned bits = 0, have = 0;
    size_t got = 0;
    if (in.n != (n * 8 + 4) / 5)
        return false;
    for (size_t i = 0; i < in.n; i++) {
        const char *digit = memchr(digits, ascii_lower(in.p[i]), 32);
        if (!digit)
            return false;
        bits |= (unsigned)(digit - digits) << have;
        have += 5;
        if (have >= 8 && got < n) {
            out[got++] = (unsigned char)(bits & 0xff);
            bits >>= 8;
            have -= 8;
        }
    }
    return got == n && bits == 0;
}

bool sealed_key_parse(struct span text, struct sealed_key *out)
{
    unsigned char id[crypto_generichash_blake2b_BYTES_MAX];
    size_t n = 0;
    text = span_trim(text);
    bool hex = text.n == 64 &&
               sodium_hex2bin(out->secret, sizeof out->secret, text.p, text.n, NULL, &n, NULL) == 0;
    if (!(hex && n == sizeof out->secret) && !unbase32(text, out->secret, sizeof out->secret))
        return false;
    if (crypto_scalarmult_base(out->public, out->secret) != 0)
        return false;
    crypto_generichash_blake2b(id, sizeof id, out->public, sizeof out->public, NULL, 0);
    memcpy(out->id, id, sizeof out->id);
    return true;
}

const char *sealed_key_text(const struct sealed_key *k, char out[SEALED_TEXT])
{
    return base32(k->public, sizeof k->public, out);
}

bool sealed_agree(const struct sealed_key *keys, size_t n, struct span field,
                  unsigned char shared[SEALED_SHARED])
{
    static const unsigned char zeros[crypto_core_hchacha20_INPUTBYTES];
    unsigned char id[SEALED_ID], theirs[32], common[crypto_scalarmult_BYTES];
    size_t eq = span_find(field, '=');
    if (eq == SIZE_MAX || !unbase32(span_sub(field, 0, eq), id, sizeof id) ||
        !unbase32(span_from(field, eq + 1), theirs, sizeof theirs))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(id, keys[i].id, sizeof id) != 0)
            continue;
        if (crypto_scalarmult(common, keys[i].secret, theirs) != 0)
            return false;
        crypto_core_hchacha20(shared, zeros, common, NULL);
        sodium_memzero(common, sizeof common);
        return true;
    }
    return false;
}

static void mac_of(const unsigned char *shared, const unsigned char *nonce,
                   const unsigned char *bytes, size_t n, unsigned char mac[MAC])
{
    unsigned char block[BLOCK];
    crypto_stream_xchacha20(block, sizeof block, nonce, shared);
    crypto_onetimeauth_poly1305(mac, bytes, n, block);
    sodium_memzero(block, sizeof block);
}

bool sealed_open(const unsigned char shared[SEALED_SHARED], char *body, size_t n,
                 struct span *inner)
{
    unsigned char *p = (unsigned char *)body, mac[MAC];
    if (n < SEALED_OVERHEAD)
        return false;
    unsigned char *text = p + SEALED_OVERHEAD;
    mac_of(shared, p, text, n - SEALED_OVERHEAD, mac);
    if (sodium_memcmp(mac, p + NONCE, MAC) != 0)
        return false;
    crypto_stream_xchacha20_xor_ic(text, text, n - SEALED_OVERHEAD, p, 1, shared);
    *inner = span_of(body + SEALED_OVERHEAD, n - SEALED_OVERHEAD);
    return true;
}

void sealed_close(struct buf *out, const unsigned char shared[SEALED_SHARED], struct span inner)
{
    unsigned char *p = (unsigned char *)buf_room(out, SEALED_OVERHEAD + inner.n);
    unsigned char *text = p + SEALED_OVERHEAD;
    randombytes_buf(p, NONCE);
    crypto_stream_xchacha20_xor_ic(text, (const unsigned char *)inner.p, inner.n, p, 1, shared);
    mac_of(shared, p, text, inner.n, p + NONCE);
    out->n += SEALED_OVERHEAD + inner.n;
}

/* ---- the inner request ---- */

/* "POST /checkv2?x HTTP/1.1" */
static bool parse_first(struct span line, struct arena *a, struct sealed_request *out)
{
    size_t one = span_find(line, ' ');
    if (one == SIZE_MAX || one == 0)
        return false;
    struct span rest = span_from(line, one + 1);
    size_t two = span_find(rest, ' ');
    if (two == SIZE_MAX || !span_starts(span_from(rest, two + 1), SPAN("HTTP/1.")))
        return false;
    struct span path = span_sub(rest, 0, two);
    out->method = arena_cstr(a, span_sub(line, 0, one));
    out->path = arena_cstr(a, span_sub(path, 0, span_find(path, '?')));
    return path.n > 0;
}

static bool parse_field(struct span line, struct arena *a, struct sealed_request *out, size_t *cap)
{
    size_t colon = span_find(line, ':');
    if (colon == SIZE_MAX || colon == 0 || out->nfields == SEALED_FIELDS_MAX ||
        span_find(line, '\0') != SIZE_MAX)
        return false;
    struct sealed_field *f = ARENA_PUSH(a, out->fields, out->nfields, *cap);
    f->name = arena_cstr(a, span_sub(line, 0, colon));
    f->value = arena_cstr(a, span_trim(span_from(line, colon + 1)));
    return true;
}

bool sealed_request_parse(struct span inner, struct arena *a, struct sealed_request *out)
{
    struct span head = span_sub(inner, 0, SEALED_HEADER_MAX), line;
    size_t end = span_search(head, SPAN("\r\n\r\n")), cap = 0;
    *out = (struct sealed_request){0};
    if (end == SIZE_MAX)
        return false;
    struct span rest = span_sub(head, 0, end);
    if (!span_line(&rest, &line) || span_find(line, '\0') != SIZE_MAX ||
        !parse_first(span_trim(line), a, out))
        return false;
    while (span_line(&rest, &line))
        if (!parse_field(line, a, out, &cap))
            return false;
    out->body = span_from(inner, end + 4);
    return true;
}
