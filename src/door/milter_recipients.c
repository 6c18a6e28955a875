/* The envelope of a message that an MTA delivers: recipients and sender as the decisions want them.
 * The MTA has one copy for all: whoever is added gets it in the form of the strictest group, and
 * there is one sender, the last that a policy has set, as SRS or BATV change it when somebody
 * elsewhere gets the message and nobody wants it as it is. */
#include "door/milter_private.h"

#include "base/log.h"
#include "policy/returns.h"
#include "smtp/params.h"

bool milter_gets_it(const struct group *g)
{
    return g->outcome == OUT_ACCEPT || g->outcome == OUT_TAG || g->outcome == OUT_CLEAN;
}

/* What the MTA calls it. */
static struct span given(const struct rcpt *r)
{
    return r->given.p ? r->given : r->addr;
}

bool milter_may_split(const struct txn *t)
{
    const struct milter_session *m = &t->milter->session;
    bool off = t->ndropped > 0, other = false;
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        off |= !milter_gets_it(g);
        other |= milter_gets_it(g) && g->delivery.redirect;
    }
    for (size_t i = 0; i < t->req.env.nrcpts; i++)
        other |= t->req.env.rcpts[i].given.p != NULL;
    return (!(off || other) || milter_may(m, MILTER_CAN_DELETE_RCPT)) &&
           (!other || milter_may(m, MILTER_CAN_ADD_RCPT));
}

static void take_off(struct buf *out, const struct txn *t)
{
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        bool gone = !milter_gets_it(g) || g->delivery.redirect;
        for (size_t k = 0; gone && k < g->nrcpts; k++)
            milter_delete_rcpt(out, given(&t->req.env.rcpts[g->rcpts[k]]));
    }
    for (size_t i = 0; i < t->ndropped; i++)
        milter_delete_rcpt(out, given(&t->dropped[i]));
}

/* With the parameters that it came with, where the MTA takes them. */
static void add(struct buf *out, const struct txn *t, const struct rcpt *r)
{
    struct buf args = {0};
    if (milter_may(&t->milter->session, MILTER_CAN_ADD_RCPT_ARGS))
        rcpt_params_add(&args, r->notify, r->orcpt);
    milter_add_rcpt(out, r->addr, span_trim(buf_span(&args)));
    buf_free(&args);
}

static void add_recipients(struct buf *out, struct txn *t)
{
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        const struct delivery *d = &g->delivery;
        if (!milter_gets_it(g))
            continue;
        for (size_t k = 0; !d->redirect && k < g->nrcpts; k++) {
            const struct rcpt *r = &t->req.env.rcpts[g->rcpts[k]];
            if (!r->given.p)
                continue;
            milter_delete_rcpt(out, r->given);
            add(out, t, r);
        }
        for (size_t k = 0; k < d->nadd; k++)
            milter_add_rcpt(out, d->add[k], SPAN_NONE);
    }
}

/* ---- the sender ---- */

struct places {
    bool elsewhere, exempt;
};

static void note_place(const struct txn *t, enum returnpath_kind kind, struct span rcpt,
                       struct places *p)
{
    enum returns_place place = returns_place(t->door->set, t->door->domains, kind, rcpt);
    p->elsewhere |= place == RETURNS_ELSEWHERE;
    p->exempt |= place == RETURNS_EXEMPT;
}

/* Where those are who get the message. */
static struct places places_of(const struct txn *t, enum returnpath_kind kind)
{
    struct places p = {0};
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        if (!milter_gets_it(g))
            continue;
        for (size_t k = 0; !g->delivery.redirect && k < g->nrcpts; k++)
            note_place(t, kind, t->req.env.rcpts[g->rcpts[k]].addr, &p);
        for (size_t k = 0; k < g->delivery.nadd; k++)
            note_place(t, kind, g->delivery.add[k], &p);
    }
    return p;
}

/* What SRS or BATV make of it; set: a policy has set it, so its bounces are ours. */
static struct span signed_sender(struct txn *t, struct span from, bool set)
{
    const struct door *d = t->door;
    enum returnpath_kind kind = returns_kind(d->returns, d->domains, t->arena, from);
    struct span made = from;
    if (kind == RETURN_NOT || (kind == RETURN_BATV && !set && !returns_by_us(d->set, &t->req.peer)))
        return from;
    struct places p = places_of(t, kind);
    if (!p.elsewhere || p.exempt)
        return from;
    switch (returnpath_make(d->returns, t->arena, kind, from, clock_wall(), &made)) {
    case RETURN_SAME:
        break;
    case RETURN_CHANGED:
        log_event(LOG_NOTE, t->req.id, "sender-changed", F_SPAN("from", from), F_SPAN("as", made),
                  F_STR("by", kind == RETURN_SRS ? "srs" : "batv"));
        break;
    case RETURN_TOO_LONG:
        log_event(LOG_WARN, t->req.id, "sender-not-changed", F_SPAN("from", from),
                  F_STR("why", "the new address would be too long"));
        break;
    }
    return made;
}

static void change_sender(struct buf *out, struct txn *t)
{
    struct span from = t->req.env.from;
    bool set = false;
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        if (!milter_gets_it(g) || !g->delivery.change_sender)
            continue;
        from = g->delivery.sender.p ? g->delivery.sender : SPAN("");
        set = true;
    }
    from = signed_sender(t, from, set);
    if (!span_eq(from, t->req.env.from))
        milter_change_sender(out, from, SPAN_NONE);
}

/* What this MTA does not let us do is not done, and told. */
static void as_allowed(struct buf *out, struct txn *t, enum milter_action needs, const char *what,
                       void (*append)(struct buf *out, struct txn *t))
{
    struct buf b = {0};
    append(&b, t);
    if (milter_may(&t->milter->session, needs))
        buf_add(out, buf_span(&b));
    else if (b.n)
        log_event(LOG_WARN, t->req.id, "milter-cannot-edit", F_STR("what", what));
    buf_free(&b);
}

void milter_envelope_edits(struct buf *out, struct txn *t)
{
    as_allowed(out, t, MILTER_CAN_CHANGE_SENDER, "sender", change_sender);
    as_allowed(out, t, MILTER_CAN_ADD_RCPT, "recipients", add_recipients);
    take_off(out, t);
}
