#include "auth/signature.h"

#include <stddef.h>

#include "auth/name.h"

/* Tags that a kind of signature must have. */
static const char *const required[][8] = {
    [SIG_DKIM] = {"v", "a", "b", "bh", "d", "h", "s", NULL},
    [SIG_ARC_MESSAGE] = {"i", "a", "b", "bh", "d", "h", "s", NULL},
    [SIG_ARC_SEAL] = {"i", "a", "b", "cv", "d", "s", NULL},
    [SIG_DOMAINKEYS] = {"b", "d", "s", NULL},
};

static const char *read_algorithm(struct signature *s)
{
    struct span a = tags_get(&s->tags, SPAN("a"));
    s->algorithm = a.p ? a : SPAN("rsa-sha1");
    s->type = KEY_RSA;
    if (span_eq(s->algorithm, SPAN("rsa-sha256")))
        s->hash = AUTH_SHA256;
    else if (span_eq(s->algorithm, SPAN("rsa-sha1")) && s->kind != SIG_ARC_MESSAGE &&
             s->kind != SIG_ARC_SEAL)
        s->hash = AUTH_SHA1;
    else if (span_eq(s->algorithm, SPAN("ed25519-sha256")) && s->kind != SIG_DOMAINKEYS)
        s->type = KEY_ED25519;
    else
        return "an algorithm in a= that is not known";
    return NULL;
}

static bool canon_word(struct span w, enum canon *out)
{
    *out = span_eq(w, SPAN("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
    return *out == CANON_RELAXED || span_eq(w, SPAN("simple"));
}

/* c=header/body; both are simple when it is not given, the body when that half is not. Message
 * signatures of ARC without c= are relaxed: so the chains of ValiMail's suite are made. */
static const char *read_canon(struct signature *s)
{
    struct span c = tags_get(&s->tags, SPAN("c"));
    if (s->kind == SIG_DOMAINKEYS) {
        s->head = s->body = span_eq(c, SPAN("nofws")) ? CANON_DK_NOFWS : CANON_DK_SIMPLE;
        return !c.p || s->body == CANON_DK_NOFWS || span_eq(c, SPAN("simple"))
                   ? NULL
                   : "a canonical form in c= that is not known";
    }
    s->head = s->body = s->kind == SIG_DKIM ? CANON_SIMPLE : CANON_RELAXED;
    if (!c.p || s->kind == SIG_ARC_SEAL)
        return NULL;
    size_t slash = span_find(c, '/');
    bool fine = canon_word(span_sub(c, 0, slash), &s->head) &&
                (slash == SIZE_MAX || canon_word(span_from(c, slash + 1), &s->body));
    return fine ? NULL : "a canonical form in c= that is not known";
}

static bool domain_of(struct arena *a, struct span in, struct span *out)
{
    return name_canonical(a, in, out) && out->n && out->p[0] != '.';
}

static const char *read_names(struct arena *a, struct signature *s)
{
    if (!domain_of(a, tags_get(&s->tags, SPAN("d")), &s->domain))
        return "d= is no domain";
    if (!domain_of(a, tags_get(&s->tags, SPAN("s")), &s->selector))
        return "s= is no selector";
    if (s->domain.n + s->selector.n + strlen("._domainkey.") > NAME_MAX_BYTES)
        return "the name of the key is too long";
    if (s->kind != SIG_DKIM)
        return NULL;
    s->identity = tags_get(&s->tags, SPAN("i"));
    if (!s->identity.p)
        return NULL;
    size_t at = span_rfind(s->identity, '@');
    struct span domain;
    if (at == SIZE_MAX || !domain_of(a, span_from(s->identity, at + 1), &domain) ||
        !name_below(domain, s->domain))
        return "i= is not in the domain of d=";
    return NULL;
}

static bool number(const struct tags *t, const char *name, uint64_t *out)
{
    struct span v = tags_get(t, span_str(name));
    return !v.p || span_u64(v, out);
}

/* 1*76DIGIT (section 3.5): what is larger than any message is all of it. */
static bool read_limit(struct signature *s)
{
    struct span l = tags_get(&s->tags, SPAN("l"));
    s->limit = UINT64_MAX;
    if (!l.p || span_u64(l, &s->limit))
        return true;
    s->limit = UINT64_MAX;
    size_t digits = 0;
    while (digits < l.n && ascii_isdigit(l.p[digits]))
        digits++;
    return digits > 0 && digits == l.n && digits <= 76;
}

static const char *read_numbers(struct signature *s)
{
    if (!number(&s->tags, "t", &s->signed_at))
        return "t= is no time";
    if (!number(&s->tags, "x", &s->expires))
        return "x= is no time";
    if (s->expires && s->signed_at && s->expires <= s->signed_at)
        return "x= lies before t=";
    return read_limit(s) ? NULL : "l= is no length";
}

static const char *read_digests(struct arena *a, struct signature *s)
{
    struct span bh = tags_get(&s->tags, SPAN("bh"));
    if (!auth_base64(a, tags_get(&s->tags, SPAN("b")), &s->b) || s->b.n == 0 ||
        s->b.n > SIGNATURE_B_MAX)
        return "b= is no signature";
    if (s->kind == SIG_ARC_SEAL || s->kind == SIG_DOMAINKEYS)
        return NULL;
    if (!auth_base64(a, bh, &s->bh) || s->bh.n != auth_hash_size(s->hash))
        return "bh= is no hash of the right length";
    return NULL;
}

static const char *read_fields(struct signature *s)
{
    s->names = tags_get(&s->tags, SPAN("h"));
    if (s->kind == SIG_ARC_SEAL)
        return s->names.p ? "a seal must not have h=" : NULL;
    struct span rest = s->names, item;
    size_t n = 0;
    while (tags_item(&rest, ':', &item))
        if (++n > SIGNATURE_NAMES_MAX)
            return "h= has too many names";
    if (s->kind == SIG_DKIM && signature_covers(s->names, SPAN("From")) == 0)
        return "From is not signed";
    if (s->kind == SIG_ARC_MESSAGE && signature_covers(s->names, SPAN("ARC-Seal")))
        return "a seal is signed";
    return NULL;
}

static const char *read_rest(struct signature *s)
{
    struct span v = tags_get(&s->tags, SPAN("v")), q = tags_get(&s->tags, SPAN("q"));
    if (s->kind == SIG_DKIM && !span_eq(v, SPAN("1")))
        return "a version in v= that is not known";
    if (s->kind == SIG_DKIM && q.p && !tags_has_item(q, ':', SPAN("dns/txt")))
        return "the key is not to be found in the DNS";
    if (s->kind == SIG_DOMAINKEYS && q.p && !tags_has_item(q, ':', SPAN("dns")))
        return "the key is not to be found in the DNS";
    if (s->kind == SIG_ARC_MESSAGE || s->kind == SIG_ARC_SEAL) {
        s->instance = arc_instance(tags_get(&s->tags, SPAN("i")));
        if (s->instance == 0)
            return "i= is no instance";
    }
    s->cv = s->kind == SIG_ARC_SEAL ? tags_get(&s->tags, SPAN("cv")) : SPAN_NONE;
    if (s->cv.p && !span_eq(s->cv, SPAN("none")) && !span_eq(s->cv, SPAN("pass")) &&
        !span_eq(s->cv, SPAN("fail")))
        return "cv= is no result";
    return NULL;
}

static const char *parse(struct arena *a, struct signature *s)
{
    const char *wrong;
    if (s->field->value.n > SIGNATURE_FIELD_MAX)
        return "the signature field is too long";
    if ((wrong = tags_parse(s->field->value, &s->tags)))
        return wrong;
    for (const char *const *r = required[s->kind]; *r; r++)
        if (!tags_get(&s->tags, span_str(*r)).p)
            return "a required tag is missing";
    if ((wrong = read_rest(s)) || (wrong = read_algorithm(s)) || (wrong = read_canon(s)) ||
        (wrong = read_names(a, s)) || (wrong = read_fields(s)) || (wrong = read_numbers(s)))
        return wrong;
    return read_digests(a, s);
}

void signature_parse(struct arena *a, enum signature_kind kind, const struct signed_field *f,
                     struct signature *out)
{
    memset(out, 0, offsetof(struct signature, tags));
    memset(&out->wrong, 0, sizeof *out - offsetof(struct signature, wrong));
    out->tags.n = 0;
    out->kind = kind;
    out->field = f;
    out->wrong = parse(a, out);
}

struct span signature_key_name(struct arena *a, const struct signature *s)
{
    return arena_printf(a, "%.*s._domainkey.%.*s", SPAN_ARG(s->selector), SPAN_ARG(s->domain));
}

unsigned arc_instance(struct span digits)
{
    uint64_t n;
    return span_u64(digits, &n) && n <= ARC_INSTANCES_MAX ? (unsigned)n : 0;
}

/* --- what is signed --- */

void signature_add_itself(struct buf *out, const struct signature *s, enum canon form)
{
    struct span whole = s->field->whole;
    struct buf b = {0};
    for (size_t i = 0; i < s->tags.n; i++) {
        if (!span_eq(s->tags.v[i].name, SPAN("b")))
            continue;
        size_t at = (size_t)(s->tags.v[i].whole.p - whole.p);
        buf_add(&b, span_sub(whole, 0, at));
        buf_add(&b, span_from(whole, at + s->tags.v[i].whole.n));
    }
    canon_field(out, form, buf_span(&b));
    buf_free(&b);
}

/* A name of h= that was met, and where its next instance is looked for. */
struct met {
    struct span name;
    size_t below;
};

static struct met *meet(struct met *v, size_t *n, struct span name, size_t fields)
{
    for (size_t i = 0; i < *n; i++)
        if (span_ieq(v[i].name, name))
            return &v[i];
    v[*n] = (struct met){name, fields};
    return &v[(*n)++];
}

void signature_add_fields(struct buf *out, const struct signed_mail *m, struct span names,
                          enum canon form)
{
    struct met met[SIGNATURE_NAMES_MAX];
    struct span item;
    size_t n = 0;
    while (n < SIGNATURE_NAMES_MAX && tags_item(&names, ':', &item)) {
        struct met *k = meet(met, &n, item, m->n);
        size_t at = signed_mail_last(m, item, k->below);
        k->below = at == SIZE_MAX ? 0 : at;
        if (at == SIZE_MAX)
            continue; /* signed as absent (section 5.4) */
        canon_field(out, form, m->v[at].whole);
        buf_add(out, SPAN("\r\n"));
    }
}

size_t signature_covers(struct span names, struct span name)
{
    struct span item;
    size_t n = 0;
    while (tags_item(&names, ':', &item))
        n += span_ieq(item, name);
    return n;
}
