#include "auth/hashcash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <time.h>

#include "auth/signedmail.h"
#include "kv/kv.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32, PARTS_MAX = 7 };

/* Folds and blanks go; other bytes than those a stamp is made of are refused. */
static bool squeeze(struct arena *a, struct span field, struct span *out)
{
    char *p = arena_raw(a, field.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < field.n; i++) {
        unsigned char c = (unsigned char)field.p[i];
        if (ascii_isspace((char)c))
            continue;
        if (!ascii_isalnum((char)c) && c < 0xa0 && !(c && strchr("-:_/%@.,=*+;", c)))
            return false;
        p[n++] = (char)c;
    }
    *out = span_of(p, n);
    return n > 0 && n <= HASHCASH_LENGTH_MAX;
}

/* The last part keeps what colons it has. */
static size_t parts_of(struct span s, struct span *v, size_t most)
{
    size_t n = 0;
    while (n + 1 < most) {
        size_t colon = span_find(s, ':');
        if (colon == SIZE_MAX)
            break;
        v[n++] = span_sub(s, 0, colon);
        s = span_from(s, colon + 1);
    }
    v[n++] = s;
    return n;
}

static int two(struct span s, size_t at)
{
    return (s.p[at] - '0') * 10 + (s.p[at + 1] - '0');
}

/* YYMMDD[hhmm[ss]], UTC. */
static bool date_of(struct span s, usec *out)
{
    if (s.n != 6 && s.n != 10 && s.n != 12)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]))
            return false;
    struct tm tm = {.tm_year = 100 + two(s, 0), .tm_mon = two(s, 2) - 1, .tm_mday = two(s, 4)};
    if (s.n >= 10) {
        tm.tm_hour = two(s, 6);
        tm.tm_min = two(s, 8);
    }
    if (s.n == 12)
        tm.tm_sec = two(s, 10);
    bool fine = tm.tm_mon >= 0 && tm.tm_mon < 12 && tm.tm_mday >= 1 && tm.tm_mday <= 31 &&
                tm.tm_hour < 24 && tm.tm_min < 60 && tm.tm_sec <= 60;
    *out = fine ? (usec)timegm(&tm) * USEC_PER_SEC : 0;
    return fine;
}

static unsigned zero_bits(struct span s)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bits = 0;
    EVP_Digest(s.p, s.n, digest, NULL, EVP_sha1(), NULL);
    for (size_t i = 0; i < SHA1_SIZE; i++, bits += 8)
        if (digest[i])
            return bits + (unsigned)__builtin_clz(digest[i]) - 24;
    return bits;
}

const char *stamp_read(struct arena *a, struct span field, struct stamp *out)
{
    struct span v[PARTS_MAX], date, trial;
    uint64_t claimed = UINT64_MAX;
    *out = (struct stamp){0};
    if (!squeeze(a, field, &out->text))
        return "the stamp has bytes that no stamp has";
    size_t n;
    if (span_starts(out->text, SPAN("0:"))) { /* ver:date:resource:trial */
        n = parts_of(out->text, v, 4);
        date = n == 4 ? v[1] : SPAN_NONE;
        out->resource = n == 4 ? v[2] : SPAN_NONE;
        trial = v[n - 1];
        n = n == 4 ? n : 0;
    } else if (span_starts(out->text, SPAN("1:"))) { /* ver:bits:date:resource:ext:rand:counter */
        n = parts_of(out->text, v, 7);
        if (n == 7 && !span_u64(v[1], &claimed))
            return "the stamp claims no number of bits";
        date = n == 7 ? v[2] : SPAN_NONE;
        out->resource = n == 7 ? v[3] : SPAN_NONE;
        trial = v[n - 1];
        n = n == 7 ? n : 0;
    } else {
        return "the stamp is of an unknown version";
    }
    if (n == 0 || trial.n == 0)
        return "the stamp is incomplete";
    if (!date_of(date, &out->made))
        return "the stamp has no date";
    out->value = zero_bits(out->text);
    if (out->value > claimed)
        out->value = (unsigned)claimed;
    return NULL;
}

/* --- for whom, when, how often --- */

/* An address, or "@domain". */
static bool accepts(struct span entry, struct span resource)
{
    return entry.n && entry.p[0] == '@' ? span_iends(resource, entry) : span_ieq(entry, resource);
}

static bool is_for_us(const struct settings *set, const struct message *m, struct span resource)
{
    for (size_t i = 0; i < m->env.nrcpts; i++)
        if (span_ieq(m->env.rcpts[i].addr, resource))
            return true;
    for (size_t i = 0; i < set->hashcash.accept.n; i++)
        if (accepts(span_str(set->hashcash.accept.v[i]), resource))
            return true;
    return false;
}

/* What makes a message this one: its Message-ID and its body. Fields above may change on the way.
 */
static struct span identity(struct message *m, const struct signed_mail *mail)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t at = signed_mail_last(mail, SPAN("Message-ID"), SIZE_MAX);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    if (at != SIZE_MAX)
        EVP_DigestUpdate(c, mail->v[at].value.p, mail->v[at].value.n);
    EVP_DigestUpdate(c, mail->body.p, mail->body.n);
    EVP_DigestFinal_ex(c, digest, NULL);
    EVP_MD_CTX_free(c);
    return arena_dup(m->arena, span_of((const char *)digest, SHA256_SIZE));
}

struct spending {
    struct span who;
    usec until;
    bool spent; /* by another message */
};

static enum kv_change spend(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct spending *s = ctx;
    s->spent = old.p && !span_eq(old, s->who);
    if (old.p)
        return KV_KEEP;
    buf_add(fresh, s->who);
    *until = s->until;
    return KV_WRITE;
}

static enum hashcash_result judge(const struct settings *set, struct kv *kv, struct message *m,
                                  struct span who, const struct stamp *st, const char **why)
{
    usec now = m->received ? m->received : clock_wall();
    *why = NULL;
    if (st->value < HASHCASH_BITS_LEAST)
        *why = "the stamp is worth nothing";
    else if (!is_for_us(set, m, st->resource))
        *why = "the stamp is for somebody else";
    else if (st->made > now + HASHCASH_AHEAD || st->made < now - HASHCASH_LIFE)
        *why = "the stamp has expired";
    if (*why)
        return HASHCASH_BAD;
    struct spending s = {who, st->made + HASHCASH_LIFE + HASHCASH_AHEAD, false};
    if (!kv || kv_update(kv, KV_HASHCASH, st->text, now, spend, &s) != KV_OK) {
        *why = "spent stamps can't be looked up";
        return HASHCASH_BAD;
    }
    if (s.spent)
        *why = "the stamp was spent for another message";
    return s.spent ? HASHCASH_SPENT : HASHCASH_GOOD;
}

/* Whether a line of the header begins as a stamp's: nearly none does, and then nothing is taken
 * apart. */
static bool may_have_stamp(struct span raw)
{
    while (raw.n && raw.p[0] != '\n' && !span_starts(raw, SPAN("\r\n"))) {
        char c = ascii_lower(raw.p[0]);
        if ((c == 'x' && span_istarts(raw, SPAN("X-Hashcash"))) ||
            (c == 'h' && span_istarts(raw, SPAN("Hashcash"))))
            return true;
        size_t lf = span_find(raw, '\n');
        raw = span_from(raw, lf == SIZE_MAX ? raw.n : lf + 1);
    }
    return false;
}

void hashcash_check(const struct settings *set, struct kv *kv, struct message *m,
                    struct hashcash_fact *out)
{
    struct signed_mail mail;
    struct span who = SPAN_NONE, name = SPAN("X-Hashcash");
    *out = (struct hashcash_fact){.result = HASHCASH_NONE};
    if (!may_have_stamp(m->raw))
        return;
    signed_mail_read(m->arena, m->raw, &mail);
    if (signed_mail_count(&mail, name) == 0)
        name = SPAN("Hashcash");
    size_t seen = 0;
    for (size_t i = mail.n; seen < HASHCASH_STAMPS_MAX && out->result != HASHCASH_GOOD &&
                            (i = signed_mail_last(&mail, name, i)) != SIZE_MAX;
         seen++) {
        struct stamp st;
        const char *why = stamp_read(m->arena, mail.v[i].value, &st);
        if (!who.p)
            who = identity(m, &mail);
        enum hashcash_result r = why ? HASHCASH_BAD : judge(set, kv, m, who, &st, &why);
        out->spent |= r == HASHCASH_SPENT;
        if (r < out->result)
            continue;
        *out = (struct hashcash_fact){.result = r, .spent = out->spent, .why = span_str(why)};
        if (r == HASHCASH_GOOD) {
            out->value = st.value;
            out->resource = st.resource;
        }
    }
}

void hashcash_publish(const struct settings *set, struct message *m)
{
    struct hashcash_fact f;
    hashcash_check(set, m->memory, m, &f);
    if (f.result == HASHCASH_GOOD) {
        facts_add(&m->facts, m->arena, "hashcash.bits", arena_printf(m->arena, "%u", f.value));
        facts_add(&m->facts, m->arena, "hashcash.resource", f.resource);
    } else if (f.result != HASHCASH_NONE) {
        facts_add(&m->facts, m->arena, "hashcash.why", f.why);
    }
    if (f.spent)
        facts_add(&m->facts, m->arena, "hashcash.spent", SPAN("yes"));
}
