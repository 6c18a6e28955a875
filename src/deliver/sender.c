/* The sender that the next hop is told: for recipients elsewhere SRS or BATV may change it
 * (auth/returnpath.h). The queue keeps the one that came, so reports, lists and the record name it.
 */
#include "base/log.h"
#include "deliver/deliver_private.h"
#include "policy/address.h"
#include "policy/domains.h"

static bool is_ours(const struct deliver *d, struct span domain)
{
    char key[DOMAIN_KEY_SIZE];
    size_t n = domain_key(domain, key);
    return n && domains_has(d->domains, span_of(key, n));
}

static bool listed(const struct strings *l, struct span addr)
{
    for (size_t i = 0; i < l->n; i++)
        if (address_matches(l->v[i], addr))
            return true;
    return false;
}

enum returnpath_kind sender_kind(const struct deliver *d, const struct queue_msg *m,
                                 struct arena *a)
{
    size_t at = span_rfind(m->from, '@');
    if (!d->returns || at == SIZE_MAX || !domains_ok(d->domains))
        return RETURN_NOT;
    return returnpath_kind(d->returns, a, m->from, is_ours(d, span_from(m->from, at + 1)));
}

static bool sees_it(const struct deliver *d, enum returnpath_kind kind, struct span rcpt)
{
    const struct settings *set = d->set;
    size_t at = span_rfind(rcpt, '@');
    return at != SIZE_MAX && !is_ours(d, span_from(rcpt, at + 1)) &&
           !listed(kind == RETURN_SRS ? &set->srs.exempt_recipients : &set->batv.unsigned_to, rcpt);
}

size_t sender_part(const struct deliver *d, const struct queue_msg *m, enum returnpath_kind kind,
                   uint32_t *v, size_t n)
{
    size_t changed = 0;
    for (size_t i = 0; kind != RETURN_NOT && i < n; i++) {
        if (!sees_it(d, kind, m->rcpts[v[i]].addr))
            continue;
        uint32_t other = v[changed];
        v[changed++] = v[i];
        v[i] = other;
    }
    return changed;
}

static bool by_our_user(const struct deliver *d, const struct queue_msg *m, const struct peer *p)
{
    if (p->auth_user.n || p->may_relay || (m->flags & (QUEUE_NOTICE | QUEUE_SENDER_OURS)))
        return true;
    const struct cidrs *nets = &d->set->relay.networks;
    for (size_t i = 0; p->has_ip && i < nets->n; i++)
        if (cidr_has(&nets->v[i], &p->ip))
            return true;
    return false;
}

struct span sender_of(const struct job *j)
{
    const struct deliver *d = j->d;
    struct span from = j->meta.env.from, out = from;
    if (j->sender == RETURN_BATV && !by_our_user(d, j->m, &j->meta.peer))
        return from; /* its bounces are none of ours */
    switch (returnpath_make(d->returns, j->arena, j->sender, from, clock_wall(), &out)) {
    case RETURN_SAME:
        break;
    case RETURN_CHANGED:
        log_event(LOG_NOTE, j->m->id, "sender-changed", F_SPAN("from", from), F_SPAN("as", out),
                  F_STR("by", j->sender == RETURN_SRS ? "srs" : "batv"));
        break;
    case RETURN_TOO_LONG:
        log_event(LOG_WARN, j->m->id, "sender-not-changed", F_SPAN("from", from),
                  F_STR("why", "the new address would be too long"));
        break;
    }
    return out;
}
