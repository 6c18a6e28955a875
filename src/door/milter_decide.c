/* What the MTA is told about a judged message. It has one copy for all recipients and delivers it
 * itself; where groups of recipients are to be treated differently the order is:
 *
 *     one is deferred                 the message is deferred
 *     all are refused                 it is refused
 *     nobody gets it                  what is held or refused is held here, the MTA drops its copy
 *     some get it                     the others are taken off the envelope, with a copy held here
 *                                     for those that were held or refused; the edits are those of
 *                                     the strictest group that gets it (clean, tag, accept);
 *                                     recipients that policies add or put in the place of others
 *                                     are added, and the last change of the sender holds */
#include "door/milter_private.h"

#include "base/log.h"

static void say(struct txn *t, enum milter_verdict v, unsigned code)
{
    t->shape->verdict = v;
    t->shape->code = code;
}

/* A refusal in words, or without when the words are none. */
static void say_text(struct txn *t, struct span text, const char *otherwise)
{
    unsigned code;
    if (!reply_valid(text, &code) || code < 400) {
        text = span_str(otherwise);
        reply_valid(text, &code);
    }
    t->shape->text = text;
    t->shape->code = code;
}

static const struct group *strictest(const struct txn *t)
{
    const struct group *best = NULL;
    for (size_t i = 0; i < t->result.ngroups; i++) {
        const struct group *g = &t->result.groups[i];
        if (milter_gets_it(g) && (!best || g->outcome > best->outcome))
            best = g;
    }
    return best;
}

/* Whether there is something to keep or to send beside what the MTA does. */
static bool more_for_spool(const struct txn *t)
{
    size_t n = t->result.mails.n;
    for (size_t i = 0; i < t->result.ngroups; i++)
        n += t->result.groups[i].delivery.keep;
    return n > 0;
}

/* Held for all, or for nobody but those who get it. true: the spool has something to keep. */
static bool drop(struct txn *t)
{
    size_t held = txn_count(t, OUT_HOLD);
    if (held && t->milter_holds && held == t->result.ngroups) {
        milter_quarantine(&t->shape->edits, t->result.groups[0].reason);
        say(t, MILTER_ACCEPT, 250);
        return false;
    }
    t->milter_holds = false;
    say(t, MILTER_DISCARD, 250);
    return held > 0 || more_for_spool(t);
}

static bool deliver(struct txn *t)
{
    const struct group *best = strictest(t);
    t->milter_holds = false;
    if (!milter_may_split(t)) {
        /* Nobody may get what is refused for some. */
        for (size_t i = 0; i < t->result.ngroups; i++)
            t->result.groups[i].outcome = OUT_HOLD;
        log_event(LOG_WARN, t->req.id, "milter-cannot-split", F_INT("groups", t->result.ngroups));
        return drop(t);
    }
    if (!milter_edits(&t->shape->edits, t, &best->edits)) {
        log_event(LOG_WARN, t->req.id, "milter-cannot-edit", F_INT("edits", best->edits.n));
        if (best->outcome == OUT_CLEAN) { /* what is dangerous would stay in it */
            buf_free(&t->shape->edits);
            txn_change(t, OUT_CLEAN, OUT_HOLD);
            return milter_decide(t);
        }
    }
    milter_envelope_edits(&t->shape->edits, t);
    say(t, MILTER_ACCEPT, 250);
    return txn_count(t, OUT_HOLD) > 0 || more_for_spool(t);
}

bool milter_decide(struct txn *t)
{
    size_t n = t->result.ngroups;
    buf_free(&t->shape->edits);
    if (txn_count(t, OUT_DEFER) > 0) {
        say_text(t, txn_reply(t, OUT_DEFER), "451 4.7.1 try again later");
        for (size_t i = 0; i < n; i++)
            t->result.groups[i].outcome = OUT_DEFER; /* nobody gets it now */
        return false;
    }
    if (txn_count(t, OUT_REJECT) == n) {
        say_text(t, txn_reply(t, OUT_REJECT), "550 5.7.1 message refused");
        return false;
    }
    txn_change(t, OUT_REJECT, OUT_HOLD);
    return strictest(t) ? deliver(t) : drop(t);
}
