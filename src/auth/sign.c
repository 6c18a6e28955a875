#include "auth/sign.h"

#include "auth/name.h"
#include "auth/signature.h"
#include "mime/mime.h"

/* --- between the processes --- */

void sign_request_encode(struct buf *b, const struct sign_request *r)
{
    buf_u8(b, (uint8_t)r->kind);
    buf_u8(b, (uint8_t)r->head);
    buf_u8(b, (uint8_t)r->body);
    buf_lstr(b, r->domain);
    buf_lstr(b, r->names);
    buf_lstr(b, r->data);
    buf_lstr(b, r->bh);
    buf_u64(b, r->expire);
    if (r->kind != SIGN_ARC)
        return;
    buf_u32(b, r->instance);
    buf_lstr(b, r->cv);
    buf_lstr(b, r->results);
    buf_lstr(b, r->chain);
}

bool sign_request_decode(struct span payload, struct sign_request *r)
{
    struct cursor c = cursor_over(payload);
    *r = (struct sign_request){.kind = (enum sign_kind)cursor_u8(&c)};
    r->head = (enum canon)cursor_u8(&c);
    r->body = (enum canon)cursor_u8(&c);
    r->domain = cursor_lstr(&c);
    r->names = cursor_lstr(&c);
    r->data = cursor_lstr(&c);
    r->bh = cursor_lstr(&c);
    r->expire = cursor_u64(&c);
    if (r->kind == SIGN_ARC) {
        r->instance = cursor_u32(&c);
        r->cv = cursor_lstr(&c);
        r->results = cursor_lstr(&c);
        r->chain = cursor_lstr(&c);
    }
    return cursor_ok(&c) && (r->kind == SIGN_DKIM || r->kind == SIGN_ARC);
}

/* --- the message as it leaves --- */

struct signable {
    struct arena *arena;
    const struct auth_digests *digests;
    struct signed_mail mail;
    bool changed; /* bytes that came are not the bytes that leave */
};

/* A CR alone becomes a line end on the wire (deliver/wire.c), and nobody agrees on what it means.
 */
static bool has_bare_cr(struct span s)
{
    while (s.n) {
        const char *cr = memchr(s.p, '\r', s.n);
        if (!cr)
            return false;
        size_t at = (size_t)(cr - s.p) + 1;
        if (at == s.n || s.p[at] != '\n')
            return true;
        s = span_from(s, at);
    }
    return false;
}

/* The end of the edits that stay in the header, SIZE_MAX when one goes further. */
static size_t edits_in_header(const struct splices *edits, uint64_t body_at)
{
    size_t n = 0;
    while (n < edits->n && edits->v[n].at + edits->v[n].del <= body_at && edits->v[n].at < body_at)
        n++;
    return n == edits->n ? n : SIZE_MAX;
}

static struct span applied(const struct splices *edits, struct span raw, struct arena *a)
{
    struct buf b = {0};
    splices_apply(edits, raw, &b);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

struct signable *signable_new(const struct auth_digests *d, const struct message *m,
                              const struct splices *edits, struct arena *a)
{
    struct signable *s = ARENA_NEW(a, struct signable);
    s->arena = a;
    s->digests = d;
    for (size_t i = 0; i < edits->n; i++)
        s->changed |= edits->v[i].del > 0;
    signed_mail_read(a, m->raw, &s->mail);
    uint64_t body_at = s->mail.body.n ? (uint64_t)(s->mail.body.p - m->raw.p) : 0;
    struct span body = s->mail.body;
    if (body_at && edits_in_header(edits, body_at) != SIZE_MAX) {
        signed_mail_read(a, applied(edits, span_sub(m->raw, 0, body_at), a), &s->mail);
        s->mail.body = body;
    } else {
        s->changed = true;
        signed_mail_read(a, applied(edits, m->raw, a), &s->mail);
    }
    return s;
}

struct signable *signable_own(const struct auth_digests *d, struct span raw, struct arena *a)
{
    struct signable *s = ARENA_NEW(a, struct signable);
    s->arena = a;
    s->digests = d;
    signed_mail_read(a, raw, &s->mail);
    return s;
}

void sign_fields_wire(struct buf *out, struct span fields)
{
    struct span line;
    while (span_line(&fields, &line)) {
        buf_add(out, line);
        buf_str(out, "\r\n");
    }
}

static enum canon head_form(const struct settings *set)
{
    return set->dkim.canonicalisation == DKIM_RELAXED_RELAXED ||
                   set->dkim.canonicalisation == DKIM_RELAXED_SIMPLE
               ? CANON_RELAXED
               : CANON_SIMPLE;
}

static enum canon body_form(const struct settings *set)
{
    return set->dkim.canonicalisation == DKIM_RELAXED_RELAXED ||
                   set->dkim.canonicalisation == DKIM_SIMPLE_RELAXED
               ? CANON_RELAXED
               : CANON_SIMPLE;
}

static bool among(const struct strings *v, struct span name)
{
    for (size_t i = 0; i < v->n; i++)
        if (span_ieq(span_str(v->v[i]), name))
            return true;
    return false;
}

/* h=: each name as often as it is there; names of dkim.oversign once more, so that nobody adds
 * another. From is always among them. */
static struct span names_to_sign(const struct settings *set, const struct signable *s, bool arc)
{
    struct buf b = {0};
    size_t total = 0;
    for (size_t i = 0; i < set->dkim.headers.n; i++) {
        struct span name = span_str(set->dkim.headers.v[i]);
        size_t n = signed_mail_count(&s->mail, name);
        n += !arc && among(&set->dkim.oversign, name);
        for (; n && total < SIGN_NAMES_MAX; n--, total++) {
            buf_str(&b, b.n ? ":" : "");
            buf_add(&b, name);
        }
    }
    if (!among(&set->dkim.headers, SPAN("From")))
        buf_str(&b, b.n ? ":From" : "From");
    struct span out = arena_dup(s->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

static void fill(const struct settings *set, struct signable *s, struct sign_request *out)
{
    struct buf data = {0};
    struct body_hashes hashes = {.n = 0};
    bool arc = out->kind == SIGN_ARC;
    out->head = arc ? CANON_RELAXED : head_form(set);
    out->body = arc ? CANON_RELAXED : body_form(set);
    out->names = names_to_sign(set, s, arc);
    signature_add_fields(&data, &s->mail, out->names, out->head);
    out->data = arena_dup(s->arena, buf_span(&data));
    buf_free(&data);
    body_hash_want(&hashes, out->body, AUTH_SHA256, UINT64_MAX);
    body_hashes_run(s->digests, s->mail.body, &hashes);
    out->bh = arena_dup(s->arena, span_of((const char *)hashes.v[0].value, AUTH_HASH_SIZE));
}

/* --- DKIM --- */

static bool in_networks(const struct cidrs *nets, const struct peer *p)
{
    for (size_t i = 0; p->has_ip && i < nets->n; i++)
        if (cidr_has(&nets->v[i], &p->ip))
            return true;
    return false;
}

static bool is_ours(const struct settings *set, const struct message *m)
{
    return m->has_envelope && (m->peer.auth_user.n || in_networks(&set->relay.networks, &m->peer));
}

/* The domain of the one author; absent when there are several fields or domains. */
static struct span author_domain(const struct signable *s)
{
    struct span domain = SPAN_NONE, one;
    if (signed_mail_count(&s->mail, SPAN("From")) != 1)
        return SPAN_NONE;
    size_t at = signed_mail_last(&s->mail, SPAN("From"), SIZE_MAX);
    struct mime_addresses list = mime_addresses_parse(s->arena, s->mail.v[at].value);
    for (size_t i = 0; i < list.n; i++) {
        size_t sign = span_rfind(list.v[i].addr, '@');
        if (sign == SIZE_MAX ||
            !name_canonical(s->arena, span_from(list.v[i].addr, sign + 1), &one) ||
            (domain.p && !span_eq(domain, one)))
            return SPAN_NONE;
        domain = one;
    }
    return domain;
}

/* The entry of dkim.sign that is for this domain: itself, else the longest ".parent". */
static struct span signing_domain(const struct settings *set, struct span author)
{
    struct span best = SPAN_NONE;
    for (size_t i = 0; i < set->dkim.sign.n; i++) {
        struct span rest = span_str(set->dkim.sign.v[i]), entry = span_word(&rest, " \t");
        bool below = entry.n && entry.p[0] == '.';
        entry = span_from(entry, below);
        bool fits =
            span_ieq(entry, author) || (below && author.n > entry.n && span_iends(author, entry) &&
                                        author.p[author.n - entry.n - 1] == '.');
        if (fits && entry.n > best.n)
            best = entry;
    }
    return best;
}

bool sign_wants_dkim(const struct settings *set, const struct message *m, struct signable *s,
                     struct sign_request *out)
{
    return set->dkim.sign.n && is_ours(set, m) && !has_bare_cr(m->raw) &&
           sign_wants_own(set, s, out);
}

bool sign_wants_own(const struct settings *set, struct signable *s, struct sign_request *out)
{
    struct span author = author_domain(s);
    struct span domain = author.n ? signing_domain(set, author) : SPAN_NONE;
    if (!domain.n || s->mail.junk)
        return false;
    *out = (struct sign_request){.kind = SIGN_DKIM,
                                 .domain = arena_lower(s->arena, domain),
                                 .expire = (uint64_t)(set->dkim.expire / USEC_PER_SEC)};
    fill(set, s, out);
    return true;
}

/* --- ARC --- */

static unsigned instance_of(const struct signed_field *f, bool results)
{
    struct tags t;
    if (!results)
        return tags_parse(f->value, &t) ? 0 : arc_instance(tags_get(&t, SPAN("i")));
    struct span first = span_trim(span_sub(f->value, 0, span_find(f->value, ';')));
    size_t equals = span_find(first, '=');
    return equals == SIZE_MAX ? 0 : arc_instance(span_trim(span_from(first, equals + 1)));
}

static void add_set(struct buf *out, const struct signed_mail *m, unsigned instance)
{
    static const char *const names[] = {"ARC-Authentication-Results", "ARC-Message-Signature",
                                        "ARC-Seal"};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = m->n; (i = signed_mail_last(m, span_str(names[k]), i)) != SIZE_MAX;) {
            if (instance_of(&m->v[i], k == 0) != instance)
                continue;
            canon_field(out, CANON_RELAXED, m->v[i].whole);
            buf_add(out, SPAN("\r\n"));
            break;
        }
}

static unsigned highest_instance(const struct signed_mail *m)
{
    unsigned highest = 0;
    for (size_t i = m->n; (i = signed_mail_last(m, SPAN("ARC-Seal"), i)) != SIZE_MAX;) {
        unsigned n = instance_of(&m->v[i], false);
        highest = n > highest ? n : highest;
    }
    return highest;
}

/* A chain whose last seal says that it is broken is not continued (RFC 8617 section 5.1). */
static bool ends_broken(const struct signed_mail *m, unsigned last)
{
    for (size_t i = m->n; (i = signed_mail_last(m, SPAN("ARC-Seal"), i)) != SIZE_MAX;) {
        struct tags t;
        if (instance_of(&m->v[i], false) == last && !tags_parse(m->v[i].value, &t) &&
            span_eq(tags_get(&t, SPAN("cv")), SPAN("fail")))
            return true;
    }
    return false;
}

bool sign_wants_seal(const struct settings *set, const struct message *m, struct signable *s,
                     struct span results, struct sign_request *out)
{
    const struct arc_fact *f = &m->facts.auth.arc;
    bool wanted =
        set->arc.seal == ARC_SEAL_ALWAYS || (set->arc.seal == ARC_SEAL_MODIFIED && s->changed);
    if (!wanted || !set->arc.domain || f->result == ARC_NOT_RUN || is_ours(set, m) ||
        has_bare_cr(m->raw))
        return false;
    unsigned last = f->result == ARC_NONE ? 0 : highest_instance(&s->mail);
    if (last >= ARC_INSTANCES_MAX || (last && ends_broken(&s->mail, last)))
        return false;
    struct buf chain = {0};
    for (unsigned i = 1; f->result == ARC_PASS && i <= last; i++)
        add_set(&chain, &s->mail, i);
    *out = (struct sign_request){.kind = SIGN_ARC,
                                 .domain = arena_lower(s->arena, span_str(set->arc.domain)),
                                 .instance = last + 1,
                                 .cv = f->result == ARC_NONE   ? SPAN("none")
                                       : f->result == ARC_PASS ? SPAN("pass")
                                                               : SPAN("fail"),
                                 .results = results,
                                 .chain = arena_dup(s->arena, buf_span(&chain))};
    buf_free(&chain);
    fill(set, s, out);
    return true;
}
