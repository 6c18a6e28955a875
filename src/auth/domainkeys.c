/* DomainKeys (RFC 4870), the ancestor of DKIM: header and body are one digest, and which fields are
 * meant depends on where the signature stands. */
#include "auth/dkim_private.h"
#include "auth/name.h"
#include "mime/mime.h"

static void add_field(struct buf *out, const struct signed_field *f, enum canon form)
{
    canon_field(out, form, f->whole);
    buf_add(out, SPAN("\r\n"));
}

/* Section 3.3: each name of h= stands for one field, the first mention of a name for all that are
 * left of it; taken from the end, so that the order is that of h=. `order` gets indexes, last
 * first. */
static size_t named_fields(const struct signed_mail *m, const struct signature *s, size_t first,
                           size_t *order)
{
    struct span names[SIGNATURE_NAMES_MAX], rest = s->names;
    size_t below[SIGNATURE_NAMES_MAX];
    size_t n = 0, taken = 0;
    while (n < SIGNATURE_NAMES_MAX && tags_item(&rest, ':', &names[n]))
        n++;
    for (size_t i = n; i-- > 0;) {
        bool earlier = false;
        below[i] = m->n;
        for (size_t k = 0; k < i; k++)
            earlier |= span_ieq(names[k], names[i]);
        for (size_t k = n; k-- > i + 1;)
            if (span_ieq(names[k], names[i]))
                below[i] = below[k] < below[i] ? below[k] : below[i];
        size_t at;
        while ((at = signed_mail_last(m, names[i], below[i])) != SIZE_MAX && at >= first) {
            below[i] = at;
            order[taken++] = at;
            if (earlier)
                break;
        }
    }
    return taken;
}

void domainkeys_add_fields(struct buf *out, const struct signed_mail *m, const struct signature *s)
{
    size_t first = (size_t)(s->field - m->v) + 1;
    if (!s->names.p) {
        for (size_t i = first; i < m->n; i++)
            add_field(out, &m->v[i], s->head);
        return;
    }
    size_t order[SIGNED_FIELDS_MAX];
    size_t n = named_fields(m, s, first, order);
    while (n-- > 0)
        add_field(out, &m->v[order[n]], s->head);
}

struct span domainkeys_identity(struct dkim_check *c)
{
    static const char *const names[] = {"Sender", "From"};
    for (size_t i = 0; i < 2; i++) {
        size_t at = signed_mail_last(&c->mail, span_str(names[i]), SIZE_MAX);
        if (at == SIZE_MAX)
            continue;
        struct mime_addresses list = mime_addresses_parse(c->arena, c->mail.v[at].value);
        return list.n ? list.v[0].addr : SPAN_NONE;
    }
    return SPAN_NONE;
}

/* g= of the key: the local part it is for, with one * for anything; empty or not given: all. */
static bool granted(struct span g, struct span local)
{
    size_t star = span_find(g, '*');
    if (g.n == 0)
        return true;
    if (star == SIZE_MAX)
        return span_eq(g, local);
    struct span before = span_sub(g, 0, star), behind = span_from(g, star + 1);
    return local.n >= before.n + behind.n && span_starts(local, before) && span_ends(local, behind);
}

static const char *unfit(struct dkim_check *c, const struct checked *k)
{
    struct span who = domainkeys_identity(c), domain;
    size_t at = span_rfind(who, '@');
    if (at == SIZE_MAX || !name_canonical(c->arena, span_from(who, at + 1), &domain) ||
        !name_below(domain, k->sig.domain))
        return "the sender is not in the domain of d=";
    if (!granted(k->key->key.granularity, span_sub(who, 0, at)))
        return "the key is not for this sender";
    return NULL;
}

void domainkeys_judge(struct dkim_check *c, struct checked *k)
{
    if (k->sig.wrong)
        return;
    k->result = DKIM_PASS;
    if (!check_key(k, c->set->dkim.minimum_bits))
        return;
    const char *why = unfit(c, k);
    k->verified = !why && k->body != SIZE_MAX &&
                  dkim_key_verify(&k->key->key, &c->dkim->digests, k->sig.hash,
                                  c->hashes.v[k->body].value, k->sig.b);
    if (why) {
        k->result = DKIM_PERMERROR;
        k->why = why;
    } else if (!k->verified) {
        k->result = DKIM_FAIL;
        k->why = "header or body were changed";
    } else if (k->result == DKIM_PASS && signed_mail_count(&c->mail, SPAN("From")) > 1) {
        k->result = DKIM_POLICY;
        k->why = "there is more than one From field";
    }
}
