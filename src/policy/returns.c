#include "policy/returns.h"

#include "policy/address.h"

static bool is_ours(const struct domains *d, struct span addr)
{
    char key[DOMAIN_KEY_SIZE];
    size_t at = span_rfind(addr, '@');
    size_t n = at == SIZE_MAX ? 0 : domain_key(span_from(addr, at + 1), key);
    return n && domains_has(d, span_of(key, n));
}

static bool listed(const struct strings *l, struct span addr)
{
    for (size_t i = 0; i < l->n; i++)
        if (address_matches(l->v[i], addr))
            return true;
    return false;
}

enum returnpath_kind returns_kind(const struct returnpath *r, const struct domains *d,
                                  struct arena *a, struct span sender)
{
    if (!r || span_rfind(sender, '@') == SIZE_MAX || !domains_ok(d))
        return RETURN_NOT;
    return returnpath_kind(r, a, sender, is_ours(d, sender));
}

enum returns_place returns_place(const struct settings *set, const struct domains *d,
                                 enum returnpath_kind kind, struct span rcpt)
{
    if (span_rfind(rcpt, '@') == SIZE_MAX || is_ours(d, rcpt))
        return RETURNS_OURS;
    const struct strings *l =
        kind == RETURN_SRS ? &set->srs.exempt_recipients : &set->batv.unsigned_to;
    return listed(l, rcpt) ? RETURNS_EXEMPT : RETURNS_ELSEWHERE;
}

bool returns_by_us(const struct settings *set, const struct peer *p)
{
    if (p->auth_user.n || p->may_relay)
        return true;
    const struct cidrs *nets = &set->relay.networks;
    for (size_t i = 0; p->has_ip && i < nets->n; i++)
        if (cidr_has(&nets->v[i], &p->ip))
            return true;
    return false;
}
