/* The Authenticated Received Chain (RFC 8617 section 5.2). */
#include "auth/dkim_private.h"

static const char *const names[] = {"ARC-Authentication-Results", "ARC-Message-Signature",
                                    "ARC-Seal"};

/* "i=1; ..." in front of the results (section 4.1.1). */
static unsigned results_instance(struct span value)
{
    size_t end = span_find(value, ';');
    struct span first = span_trim(span_sub(value, 0, end));
    size_t equals = span_find(first, '=');
    if (end == SIZE_MAX || equals == SIZE_MAX ||
        !span_eq(span_trim(span_sub(first, 0, equals)), SPAN("i")))
        return 0;
    return arc_instance(span_trim(span_from(first, equals + 1)));
}

static const char *place(struct dkim_check *c, size_t kind, const struct signed_field *f)
{
    struct arc_chain *chain = c->arc;
    struct checked *k = NULL;
    unsigned i = 0;
    if (kind == 0)
        i = results_instance(f->value);
    else if ((k = check_new(c, kind == 1 ? SIG_ARC_MESSAGE : SIG_ARC_SEAL, f))->sig.wrong)
        return k->sig.wrong;
    else
        i = k->sig.instance;
    if (i == 0)
        return "i= is no instance";
    struct arc_set *set = &chain->sets[i];
    if (kind == 0 ? set->results != NULL : kind == 1 ? set->message != NULL : set->seal != NULL)
        return "an instance stands there twice";
    if (kind == 0)
        set->results = f;
    else if (kind == 1)
        set->message = k;
    else
        set->seal = k;
    chain->n = i > chain->n ? i : chain->n;
    return NULL;
}

/* Section 5.2 steps 1 to 3: complete sets from 1 on, and what the seals say of the chain before
 * them. */
static const char *structure(const struct arc_chain *chain)
{
    for (unsigned i = 1; i <= chain->n; i++) {
        const struct arc_set *s = &chain->sets[i];
        if (!s->results || !s->message || !s->seal)
            return "a set is incomplete";
        if (span_eq(s->seal->sig.cv, SPAN("fail")))
            return "the chain was broken before";
        if (!span_eq(s->seal->sig.cv, i == 1 ? SPAN("none") : SPAN("pass")))
            return "a seal contradicts its place in the chain";
    }
    return NULL;
}

static size_t arc_kind(const struct signed_field *f, const uint32_t *hashes)
{
    for (size_t k = 0; k < 3; k++)
        if (f->hash == hashes[k] && span_ieq(f->name, span_str(names[k])))
            return k;
    return SIZE_MAX;
}

void arc_collect(struct dkim_check *c)
{
    uint32_t hashes[3];
    for (size_t k = 0; k < 3; k++)
        hashes[k] = signed_name_hash(span_str(names[k]));
    for (size_t i = 0; i < c->mail.n; i++) {
        size_t kind = arc_kind(&c->mail.v[i], hashes);
        if (kind == SIZE_MAX)
            continue;
        if (!c->arc)
            c->arc = ARENA_NEW(c->arena, struct arc_chain);
        c->arc->wrong = place(c, kind, &c->mail.v[i]);
        if (c->arc->wrong)
            return;
    }
    if (c->arc)
        c->arc->wrong = structure(c->arc);
}

/* --- signatures --- */

static void add_whole(struct buf *out, const struct signed_field *f)
{
    canon_field(out, CANON_RELAXED, f->whole);
    buf_add(out, SPAN("\r\n"));
}

/* Section 5.1.1: all sets up to this one, each as results, message signature, seal. `data` holds
 * the sets before. */
static bool seal_fits(struct dkim_check *c, struct buf *data, const struct arc_set *set)
{
    unsigned char digest[AUTH_HASH_SIZE];
    const struct checked *seal = set->seal;
    add_whole(data, set->results);
    add_whole(data, set->message->sig.field);
    size_t keep = data->n;
    signature_add_itself(data, &seal->sig, CANON_RELAXED);
    digest_of(c->dkim, seal->sig.hash, buf_span(data), digest);
    data->n = keep;
    add_whole(data, seal->sig.field);
    return dkim_key_verify(&seal->key->key, &c->dkim->digests, seal->sig.hash, digest, seal->sig.b);
}

static const char *check_seals(struct dkim_check *c)
{
    struct buf data = {0};
    const char *wrong = NULL;
    for (unsigned i = 1; i <= c->arc->n && !wrong; i++) {
        struct checked *seal = c->arc->sets[i].seal;
        seal->result = DKIM_PASS;
        if (!check_key(seal, c->set->dkim.minimum_bits) || seal->result != DKIM_PASS)
            wrong = seal->why;
        else if (!seal_fits(c, &data, &c->arc->sets[i]))
            wrong = "a seal does not verify";
    }
    buf_free(&data);
    return wrong;
}

static const char *check_chain(struct dkim_check *c)
{
    struct checked *last = c->arc->sets[c->arc->n].message;
    check_judge(c, last);
    if (last->result != DKIM_PASS)
        return last->why;
    return check_seals(c);
}

/* --- facts --- */

static bool is_trusted(const struct settings *set, struct span domain)
{
    for (size_t i = 0; i < set->arc.trusted_sealers.n; i++)
        if (span_ieq(span_str(set->arc.trusted_sealers.v[i]), domain))
            return true;
    return false;
}

/* The last sealer could have changed everything before it: its word counts when it is trusted, and
 * that of the one before only when both are. */
static void trust(struct dkim_check *c, struct arc_fact *f)
{
    for (unsigned i = c->arc->n; i >= 1; i--) {
        const struct arc_set *s = &c->arc->sets[i];
        if (!is_trusted(c->set, s->seal->sig.domain))
            return;
        f->trusted = s->seal->sig.domain;
        f->results = s->results->value;
    }
}

void arc_judge(struct dkim_check *c)
{
    struct arc_fact *f = &c->m->facts.auth.arc;
    if (!c->arc)
        return;
    const char *wrong = c->arc->wrong;
    f->instances = c->arc->n;
    if (!wrong) {
        f->sealers = arena_array(c->arena, c->arc->n, sizeof *f->sealers);
        for (unsigned i = 1; i <= c->arc->n; i++)
            f->sealers[f->nsealers++] = c->arc->sets[i].seal->sig.domain;
        wrong = check_chain(c);
    }
    f->result = wrong ? ARC_FAIL : ARC_PASS;
    f->why = span_str(wrong);
    if (!wrong)
        trust(c, f);
}
