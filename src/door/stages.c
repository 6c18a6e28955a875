/* Policies at the stages before the message: what is certain already is said at once. */
#include "action/action.h"
#include "base/log.h"
#include "door/door_private.h"

bool stage_decides(struct door *d, enum policy_stage stage, const struct peer *peer,
                   struct span from, struct span rcpt, struct arena *a, struct stage_answer *out)
{
    const struct policy_action *action;
    if (!d->policies || !policy_set_early(d->policies))
        return false;
    const struct policy_view v = {.stage = stage, .peer = peer, .from = from, .rcpt = rcpt};
    const struct policy *p = policy_early(d->policies, &v, &action);
    if (!p)
        return false;
    *out = (struct stage_answer){.policy = p->name, .discard = action->kind == ACTION_DISCARD};
    if (!out->discard)
        out->reply = action_early_reply(p, action, peer, from, rcpt, a);
    log_event(LOG_NOTE, NULL, "policy-decides", F_STR("policy", p->name),
              F_STR("stage", policy_stage_name(stage)), F_STR("action", action_name(action->kind)),
              F_SPAN("from", from), F_SPAN("to", rcpt));
    return true;
}

bool stage_refuses_sender(struct txn *t, struct span *reply)
{
    struct stage_answer answer;
    if (t->discard || saying_decides(&t->req.said.all) ||
        !stage_decides(t->door, STAGE_MAIL, &t->req.peer, t->req.env.from, SPAN_NONE, t->arena,
                       &answer))
        return false;
    if (answer.discard)
        t->discard = arena_printf(t->arena, "policy %s", answer.policy).p;
    *reply = answer.reply;
    return !answer.discard;
}
