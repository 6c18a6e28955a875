/* The sender that the next hop is told: for recipients elsewhere SRS or BATV may change it
 * (auth/returnpath.h). The queue keeps the one that came, so reports, lists and the record name it.
 */
#include "base/log.h"
#include "deliver/deliver_private.h"
#include "policy/returns.h"

enum returnpath_kind sender_kind(const struct deliver *d, const struct queue_msg *m,
                                 struct arena *a)
{
    return returns_kind(d->returns, d->domains, a, m->from);
}

size_t sender_part(const struct deliver *d, const struct queue_msg *m, enum returnpath_kind kind,
                   uint32_t *v, size_t n)
{
    size_t changed = 0;
    for (size_t i = 0; kind != RETURN_NOT && i < n; i++) {
        if (returns_place(d->set, d->domains, kind, m->rcpts[v[i]].addr) != RETURNS_ELSEWHERE)
            continue;
        uint32_t other = v[changed];
        v[changed++] = v[i];
        v[i] = other;
    }
    return changed;
}

static bool by_our_user(const struct deliver *d, const struct queue_msg *m, const struct peer *p)
{
    return (m->flags & (QUEUE_NOTICE | QUEUE_SENDER_OURS)) || returns_by_us(d->set, p);
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
