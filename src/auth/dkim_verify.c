/* RFC 6376 section 6.1: one signature, with its key and the hash of the body at hand. */
#include "auth/dkim_private.h"
#include "auth/name.h"

/* Fields of which readers show or obey one. A second one that the signature does not cover was
 * added afterwards, and no reader says which of the two it shows. */
static const char *const single[] = {
    "From", "Subject", "Date", "Sender", "Reply-To", "Content-Type", "Content-Transfer-Encoding"};

static void verdict(struct checked *k, enum dkim_result result, const char *why)
{
    k->result = result;
    k->why = why;
}

static const char *key_unfit(const struct signature *s, const struct dkim_key *key)
{
    if (key->wrong)
        return key->wrong;
    if (key->type != s->type)
        return "the key is of another type than the signature";
    if (!(key->hashes & 1u << s->hash))
        return "the key is not for this hash";
    if (!key->email)
        return "the key is not for mail";
    if (key->strict && s->identity.p && s->kind == SIG_DKIM) {
        struct span domain = span_from(s->identity, span_rfind(s->identity, '@') + 1);
        if (!span_ieq(domain, s->domain))
            return "the key is not for subdomains";
    }
    return NULL;
}

bool check_key(struct checked *k, uint64_t minimum_bits)
{
    if (!k->key) {
        verdict(k, DKIM_PERMERROR, "the message names too many keys");
        return false;
    }
    if (k->key->status != DNS_OK) {
        bool later = k->key->status == DNS_TEMPFAIL;
        verdict(k, later ? DKIM_TEMPERROR : DKIM_PERMERROR,
                later ? "the DNS does not answer for the key" : "there is no key");
        return false;
    }
    const char *unfit = key_unfit(&k->sig, &k->key->key);
    if (unfit) {
        verdict(k, DKIM_PERMERROR, unfit);
        return false;
    }
    if (k->sig.type == KEY_RSA && k->key->key.bits < minimum_bits)
        verdict(k, DKIM_POLICY, "the key is too short");
    return true;
}

static bool body_fits(struct dkim_check *c, struct checked *k)
{
    if (k->body == SIZE_MAX)
        return false;
    const struct body_hash *h = &c->hashes.v[k->body];
    k->limited = k->sig.limit < h->length;
    if (k->sig.limit != UINT64_MAX && k->sig.limit > h->length)
        return false;
    return span_eq(k->sig.bh, span_of((const char *)h->value, auth_hash_size(k->sig.hash)));
}

static bool header_fits(struct dkim_check *c, const struct checked *k)
{
    unsigned char digest[AUTH_HASH_SIZE];
    struct buf data = {0};
    signature_add_fields(&data, &c->mail, k->sig.names, k->sig.head);
    signature_add_itself(&data, &k->sig, k->sig.head);
    digest_of(c->dkim, k->sig.hash, buf_span(&data), digest);
    buf_free(&data);
    return dkim_key_verify(&k->key->key, &c->dkim->digests, k->sig.hash, digest, k->sig.b);
}

static const char *added_afterwards(const struct signed_mail *m, struct span names)
{
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        struct span name = span_str(single[i]);
        size_t present = signed_mail_count(m, name);
        if (present > 1 && present > signature_covers(names, name))
            return single[i];
    }
    return NULL;
}

/* What a verified signature does not prove. */
static const char *not_accepted(struct dkim_check *c, const struct checked *k)
{
    if (k->limited)
        return "l= leaves some of the body unsigned";
    if (c->mail.junk)
        return "a line in the header is no field";
    if (k->sig.kind == SIG_DKIM && signed_mail_count(&c->mail, SPAN("From")) > 1)
        return "there is more than one From field";
    const char *twice = added_afterwards(&c->mail, k->sig.names);
    if (twice)
        return arena_printf(c->arena, "a second %s field is not signed", twice).p;
    if (k->sig.hash == AUTH_SHA1 && !c->set->dkim.accept_sha1)
        return "SHA-1 is no longer accepted";
    return NULL;
}

void check_judge(struct dkim_check *c, struct checked *k)
{
    if (k->sig.wrong)
        return;
    verdict(k, DKIM_PASS, NULL);
    if (!check_key(k, c->set->dkim.minimum_bits))
        return;
    bool testing = k->key->key.testing;
    if (k->sig.expires && k->sig.expires < c->now)
        verdict(k, DKIM_FAIL, "the signature has expired");
    else if (!body_fits(c, k))
        verdict(k, testing ? DKIM_NEUTRAL : DKIM_FAIL, "the body was changed");
    else if (!header_fits(c, k))
        verdict(k, testing ? DKIM_NEUTRAL : DKIM_FAIL,
                "the header was changed, or the key is another one");
    else
        k->verified = true;
    const char *why = k->verified && k->result == DKIM_PASS ? not_accepted(c, k) : NULL;
    if (why)
        verdict(k, DKIM_POLICY, why);
}
