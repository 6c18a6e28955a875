/* One message's way through the checks of its signatures. */
#include "auth/dkim_private.h"

#include <stdlib.h>

#include "auth/name.h"
#include "base/xalloc.h"
#include "mime/mime.h"

enum { TAG_B_SHOWN = 8 }; /* RFC 6008 */

struct dkim *dkim_new(void)
{
    struct dkim *d = xcalloc(1, sizeof *d);
    auth_digests_open(&d->digests);
    d->keys = dkim_keys_new();
    return d;
}

void dkim_free(struct dkim *d)
{
    if (!d)
        return;
    auth_digests_close(&d->digests);
    dkim_keys_free(d->keys);
    free(d);
}

void digest_of(const struct dkim *d, enum auth_hash hash, struct span data,
               unsigned char out[AUTH_HASH_SIZE])
{
    EVP_Digest(data.p, data.n, out, NULL, d->digests.md[hash], NULL);
}

/* --- what is there --- */

static struct key_asked *want_key(struct dkim_check *c, struct span name)
{
    for (size_t i = 0; i < c->nkeys; i++)
        if (span_eq(c->keys[i].name, name))
            return &c->keys[i];
    if (c->nkeys == DKIM_QUESTIONS_MAX)
        return NULL;
    c->keys[c->nkeys] = (struct key_asked){.check = c, .name = name, .status = DNS_TEMPFAIL};
    return &c->keys[c->nkeys++];
}

struct checked *check_new(struct dkim_check *c, enum signature_kind kind,
                          const struct signed_field *f)
{
    struct checked *k = arena_raw(c->arena, sizeof *k);
    signature_parse(c->arena, kind, f, &k->sig);
    k->key = NULL;
    k->body = SIZE_MAX;
    k->result = DKIM_PERMERROR;
    k->why = k->sig.wrong;
    k->verified = k->limited = false;
    if (k->sig.wrong)
        return k;
    k->key = want_key(c, signature_key_name(c->arena, &k->sig));
    if (kind == SIG_ARC_SEAL)
        return k;
    /* Hashed without a limit too: whether l= leaves something out is seen by the length. */
    k->body = body_hash_want(&c->hashes, k->sig.body, k->sig.hash, k->sig.limit);
    if (kind == SIG_DOMAINKEYS && k->body != SIZE_MAX) {
        struct buf head = {0};
        domainkeys_add_fields(&head, &c->mail, &k->sig);
        c->hashes.v[k->body].head = arena_dup(c->arena, buf_span(&head));
        buf_free(&head);
    }
    return k;
}

static void collect(struct dkim_check *c)
{
    uint32_t dkim = signed_name_hash(SPAN("DKIM-Signature"));
    uint32_t domainkeys = signed_name_hash(SPAN("DomainKey-Signature"));
    bool old = false; /* only the first one of DomainKeys counts */
    size_t limit = DKIM_SIGNATURES_MAX;
    for (size_t i = 0; i < c->mail.n; i++) {
        const struct signed_field *f = &c->mail.v[i];
        if (f->hash == dkim && span_ieq(f->name, SPAN("DKIM-Signature"))) {
            if (c->n >= limit + old)
                c->ignored++;
            else
                c->signatures[c->n++] = check_new(c, SIG_DKIM, f);
        } else if (f->hash == domainkeys && !old &&
                   span_ieq(f->name, SPAN("DomainKey-Signature"))) {
            c->signatures[c->n++] = check_new(c, SIG_DOMAINKEYS, f);
            old = true;
        }
    }
}

/* --- facts --- */

static struct span author_domain(struct dkim_check *c)
{
    size_t at = signed_mail_last(&c->mail, SPAN("From"), SIZE_MAX);
    if (at == SIZE_MAX)
        return SPAN_NONE;
    struct mime_addresses list = mime_addresses_parse(c->arena, c->mail.v[at].value);
    struct span domain;
    for (size_t i = 0; i < list.n; i++) {
        size_t sign = span_rfind(list.v[i].addr, '@');
        if (sign != SIZE_MAX &&
            name_canonical(c->arena, span_from(list.v[i].addr, sign + 1), &domain))
            return domain;
    }
    return SPAN_NONE;
}

static bool identity_in(struct dkim_check *c, struct span identity, struct span domain)
{
    struct span own;
    size_t at = span_rfind(identity, '@');
    return domain.n && at != SIZE_MAX &&
           name_canonical(c->arena, span_from(identity, at + 1), &own) && span_eq(own, domain);
}

static void publish(struct dkim_check *c, const struct checked *k, struct span author)
{
    struct auth_facts *f = &c->m->facts.auth;
    const struct signature *s = &k->sig;
    const struct dkim_key *key = k->key && k->key->status == DNS_OK ? &k->key->key : NULL;
    struct span b = tags_get(&s->tags, SPAN("b")), identity = s->identity;
    if (s->kind == SIG_DOMAINKEYS)
        identity = domainkeys_identity(c);
    else if (!identity.p && s->domain.n)
        identity = arena_printf(c->arena, "@%.*s", SPAN_ARG(s->domain));
    *ARENA_PUSH(c->arena, f->dkim, f->ndkim, f->dkim_cap) = (struct dkim_fact){
        .result = k->result,
        .domain = s->domain,
        .identity = identity,
        .selector = s->selector,
        .tag_b = span_sub(b, 0, TAG_B_SHOWN),
        .algorithm = s->algorithm,
        .why = span_str(k->why),
        .bits = key ? key->bits : 0,
        .signed_at =
            s->signed_at < INT64_MAX / USEC_PER_SEC ? (usec)s->signed_at * USEC_PER_SEC : 0,
        .expires = s->expires < INT64_MAX / USEC_PER_SEC ? (usec)s->expires * USEC_PER_SEC : 0,
        .domainkeys = s->kind == SIG_DOMAINKEYS,
        .author = author.n && s->domain.n &&
                  (span_eq(author, s->domain) || identity_in(c, identity, author)),
        .verified = k->verified,
        .body_limited = k->limited,
        .from_unsigned = s->kind == SIG_DKIM && signed_mail_count(&c->mail, SPAN("From")) >
                                                    signature_covers(s->names, SPAN("From")),
        .testing = key && key->testing,
    };
}

static void finish(struct dkim_check *c)
{
    struct span author = c->n ? author_domain(c) : SPAN_NONE;
    for (size_t i = 0; i < c->n; i++) {
        struct checked *k = c->signatures[i];
        if (k->sig.kind == SIG_DOMAINKEYS)
            domainkeys_judge(c, k);
        else
            check_judge(c, k);
        publish(c, k, author);
    }
    arc_judge(c);
    if (c->ignored)
        facts_add(&c->m->facts, c->arena, "dkim.signatures.ignored",
                  arena_printf(c->arena, "%zu", c->ignored));
    c->done(c->ctx);
}

static void step_done(struct dkim_check *c)
{
    if (--c->waiting == 0)
        finish(c);
}

/* --- keys --- */

/* With several records the RFC leaves it open; the first that holds a key is taken. */
static void read_records(struct key_asked *q, const struct dns_answer *answer)
{
    struct dkim_check *c = q->check;
    q->key.wrong = "the record has no key";
    for (size_t i = 0; i < answer->n && i < DKIM_RECORDS_MAX; i++) {
        struct span text;
        struct dkim_key key;
        if (!dns_txt_join(answer->rdata[i], c->arena, &text))
            continue;
        dkim_key_parse(c->dkim->keys, c->arena, text, &key);
        if (i == 0 || !key.wrong)
            q->key = key;
        if (!key.wrong)
            return;
    }
}

static void on_key(void *ctx, const struct dns_answer *answer)
{
    struct key_asked *q = ctx;
    q->status = answer->status;
    if (answer->status == DNS_OK)
        read_records(q, answer);
    step_done(q->check);
}

void dkim_check(struct dkim *d, const struct settings *set, const struct resolver *r,
                struct message *m, void (*done)(void *ctx), void *ctx)
{
    struct dkim_check *c = ARENA_NEW(m->arena, struct dkim_check);
    c->dkim = d;
    c->set = set;
    c->resolver = r;
    c->m = m;
    c->arena = m->arena;
    c->done = done;
    c->ctx = ctx;
    c->now = (uint64_t)((m->received ? m->received : clock_wall()) / USEC_PER_SEC);
    m->facts.auth.arc.result = ARC_NONE;
    signed_mail_read(c->arena, m->raw, &c->mail);
    collect(c);
    arc_collect(c);
    c->waiting = c->nkeys + 1;
    for (size_t i = 0, n = c->nkeys; i < n; i++)
        resolver_ask(r, c->keys[i].name, DNS_TXT, on_key, &c->keys[i]);
    if (c->hashes.n)
        body_hashes_run(&d->digests, c->mail.body, &c->hashes);
    step_done(c);
}
