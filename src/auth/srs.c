#include "auth/srs.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/buf.h"
#include "smtp/path.h"

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum { DAYS_MOD = 1024, BATV_DAYS_MOD = 1000, BATV_TAG_LEN = 10, DIGEST_MAX = 64 };

static unsigned days(usec now)
{
    return (unsigned)(now / (86400 * USEC_PER_SEC));
}

static int base32_of(char c)
{
    const char *at = c ? strchr(base32, ascii_upper(c)) : NULL;
    return at ? (int)(at - base32) : -1;
}

/* The local part; of a quoted one what is between the quotes. */
static struct span local_of(struct arena *a, struct span address)
{
    struct span local = span_sub(address, 0, span_rfind(address, '@'));
    if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
        return local;
    char *out = arena_raw(a, local.n);
    size_t n = 0;
    for (size_t i = 1; i + 1 < local.n; i++) {
        i += local.p[i] == '\\' && i + 2 < local.n;
        out[n++] = local.p[i];
    }
    return span_of(out, n);
}

/* local@domain, with quotes where the local part needs them. */
static bool mailbox(struct arena *a, struct span local, struct span domain, struct span *out)
{
    struct buf b = {0};
    struct smtp_path path;
    buf_char(&b, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_char(&b, '\\');
        buf_char(&b, local.p[i]);
    }
    buf_str(&b, "\"@");
    buf_add(&b, domain);
    bool fine = mailbox_parse(buf_span(&b), true, &path) == PATH_OK && path.n <= SRS_ADDRESS_MAX;
    if (fine)
        *out = arena_dup(a, path_addr(&path));
    buf_free(&b);
    return fine;
}

static struct span domain_of(struct span address)
{
    size_t at = span_rfind(address, '@');
    return at == SIZE_MAX ? SPAN_NONE : span_from(address, at + 1);
}

/* --- SRS --- */

/* The parts are counted into the hash with their lengths told apart by '=', which a domain has not.
 */
static void srs_hash(struct arena *a, const char *secret, struct span text, char out[SRS_HASH_LEN])
{
    unsigned char digest[DIGEST_MAX];
    unsigned n = 0;
    struct span low = arena_lower(a, text);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)low.p, low.n, digest,
         &n);
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; i++)
        bits = bits << 8 | digest[i];
    for (size_t i = SRS_HASH_LEN; i-- > 0; bits >>= 5)
        out[i] = base32[bits & 31];
}

static bool srs_hash_fits(const struct srs *s, struct arena *a, struct span text, struct span hash)
{
    char want[SRS_HASH_LEN], got[SRS_HASH_LEN];
    bool fits = false;
    if (hash.n != SRS_HASH_LEN)
        return false;
    for (size_t i = 0; i < SRS_HASH_LEN; i++)
        got[i] = ascii_upper(hash.p[i]);
    for (size_t i = 0; i < s->nsecrets; i++) {
        srs_hash(a, s->secrets[i], text, want);
        fits |= CRYPTO_memcmp(want, got, SRS_HASH_LEN) == 0;
    }
    return fits;
}

/* "SRS0" and a separator: '=', and those that some forwarders use instead. */
static bool is_srs(struct span local, char which)
{
    return local.n > 5 && span_istarts(local, SPAN("SRS")) && local.p[3] == which &&
           strchr("=-+", local.p[4]) != NULL;
}

bool srs_forward(const struct srs *s, struct arena *a, struct span sender, usec now,
                 struct span *out)
{
    char hash[SRS_HASH_LEN];
    struct span local = local_of(a, sender), domain = domain_of(sender), rest;
    *out = sender;
    if (sender.n == 0 || span_ieq(domain, span_str(s->domain)))
        return true;
    if (domain.n == 0 || local.n == 0 || s->nsecrets == 0)
        return false;
    /* A forwarder before us: what it made goes on unchanged behind its name. */
    if (is_srs(local, '0'))
        rest = arena_printf(a, "%.*s=%.*s", SPAN_ARG(domain), SPAN_ARG(span_from(local, 4)));
    else if (is_srs(local, '1')) /* the first forwarder stays, we stand for the one in between */
        rest = span_from(span_from(local, 5), span_find(span_from(local, 5), '=') + 1);
    else
        rest = arena_printf(a, "%c%c=%.*s=%.*s", base32[days(now) % DAYS_MOD / 32],
                            base32[days(now) % 32], SPAN_ARG(domain), SPAN_ARG(local));
    bool again = is_srs(local, '0') || is_srs(local, '1');
    srs_hash(a, s->secrets[0], rest, hash);
    rest = arena_printf(a, "%s%.*s=%.*s", again ? "SRS1=" : "SRS0=", SRS_HASH_LEN, hash,
                        SPAN_ARG(rest));
    return mailbox(a, rest, span_str(s->domain), out);
}

static enum srs_result original(const struct srs *s, struct arena *a, struct span rest, usec now,
                                struct span *out)
{
    int hi = rest.n > 3 ? base32_of(rest.p[0]) : -1, lo = hi >= 0 ? base32_of(rest.p[1]) : -1;
    if (lo < 0 || rest.p[2] != '=')
        return SRS_FORGED;
    unsigned age = (days(now) % DAYS_MOD + DAYS_MOD - (unsigned)(hi * 32 + lo)) % DAYS_MOD;
    rest = span_from(rest, 3);
    size_t equals = span_find(rest, '=');
    if (equals == SIZE_MAX || equals == 0 || equals + 1 == rest.n)
        return SRS_FORGED;
    if (!mailbox(a, span_from(rest, equals + 1), span_sub(rest, 0, equals), out))
        return SRS_FORGED;
    return (usec)age * 86400 * USEC_PER_SEC > s->max_age ? SRS_EXPIRED : SRS_OK;
}

enum srs_result srs_reverse(const struct srs *s, struct arena *a, struct span recipient, usec now,
                            struct span *out)
{
    struct span local = local_of(a, recipient);
    bool first = is_srs(local, '0');
    if (!span_ieq(domain_of(recipient), span_str(s->domain)) || (!first && !is_srs(local, '1')))
        return SRS_NONE;
    struct span tail = span_from(local, 5);
    size_t equals = span_find(tail, '=');
    struct span rest = equals == SIZE_MAX ? SPAN("") : span_from(tail, equals + 1);
    if (!srs_hash_fits(s, a, rest, span_sub(tail, 0, equals)))
        return SRS_FORGED;
    if (first)
        return original(s, a, rest, now, out);
    /* host "=" separator and rest: back to SRS0 at that host, whose business its age is. */
    size_t host = span_find(rest, '=');
    if (host == SIZE_MAX || host == 0 || host + 1 == rest.n)
        return SRS_FORGED;
    struct span before = arena_printf(a, "SRS0%.*s", SPAN_ARG(span_from(rest, host + 1)));
    return mailbox(a, before, span_sub(rest, 0, host), out) ? SRS_OK : SRS_FORGED;
}

/* --- BATV --- */

/* The first three bytes of HMAC-SHA-1 over key number, day and address, as the draft has it;
 * without case, which mail systems may change. */
static void batv_hash(struct arena *a, const char *secret, struct span tag, struct span local,
                      struct span domain, char out[7])
{
    unsigned char digest[DIGEST_MAX];
    unsigned n = 0;
    struct span text = arena_lower(
        a, arena_printf(a, "%.*s%.*s@%.*s", SPAN_ARG(tag), SPAN_ARG(local), SPAN_ARG(domain)));
    HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)text.p, text.n, digest,
         &n);
    snprintf(out, 7, "%02x%02x%02x", digest[0], digest[1], digest[2]);
}

static bool is_prvs(struct span local)
{
    return local.n > 5 + BATV_TAG_LEN + 1 && span_istarts(local, SPAN("prvs=")) &&
           local.p[5 + BATV_TAG_LEN] == '=';
}

bool batv_sign(const struct srs *s, struct arena *a, struct span sender, usec now, struct span *out)
{
    char hash[7];
    struct span local = local_of(a, sender), domain = domain_of(sender);
    *out = sender;
    if (sender.n == 0 || is_prvs(local))
        return true;
    if (domain.n == 0 || local.n == 0 || s->nsecrets == 0)
        return false;
    struct span tag = arena_printf(a, "0%03u", days(now + s->max_age) % BATV_DAYS_MOD);
    batv_hash(a, s->secrets[0], tag, local, domain, hash);
    local = arena_printf(a, "prvs=%.*s%s=%.*s", SPAN_ARG(tag), hash, SPAN_ARG(local));
    return mailbox(a, local, domain, out);
}

enum srs_result batv_verify(const struct srs *s, struct arena *a, struct span recipient, usec now,
                            struct span *out)
{
    struct span local = local_of(a, recipient), domain = domain_of(recipient);
    uint64_t day = 0;
    if (!is_prvs(local))
        return SRS_NONE;
    struct span tag = span_sub(local, 5, 9), mark = span_sub(local, 9, 5 + BATV_TAG_LEN);
    struct span original = span_from(local, 5 + BATV_TAG_LEN + 1);
    if (!mailbox(a, original, domain, out))
        return SRS_NONE;
    bool fits = false;
    for (size_t i = 0; i < s->nsecrets; i++) {
        char want[7], got[7] = "";
        batv_hash(a, s->secrets[i], tag, original, domain, want);
        for (size_t k = 0; k < 6; k++)
            got[k] = ascii_lower(mark.p[k]);
        fits |= CRYPTO_memcmp(want, got, 6) == 0;
    }
    if (!fits || !span_u64(span_from(tag, 1), &day))
        return SRS_FORGED;
    uint64_t left = (day + BATV_DAYS_MOD - days(now) % BATV_DAYS_MOD) % BATV_DAYS_MOD;
    return left > BATV_DAYS_MOD / 2 ? SRS_EXPIRED : SRS_OK;
}
