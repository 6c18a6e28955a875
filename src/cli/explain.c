/* What the policies make of a message: for each recipient, each policy with the stage at which it
 * is known whether it holds, and what follows. */
#include "cli/explain.h"

#include "action/action.h"
#include "base/json.h"

/* One policy for one recipient. */
struct step {
    const struct policy *policy;
    enum policy_stage stage;
    enum match match;
    const char *why;
    bool reached;
};

struct explained {
    const struct judged *j;
    const struct policy_set *ps;
    const struct decision *d;
    struct span rcpt; /* absent: none */
    struct step *v;
    size_t n;
    const struct policy *early; /* decides before the end; or NULL */
    enum policy_stage early_stage;
    const struct policy_action *early_action;
};

static struct policy_view view_at(const struct explained *x, enum policy_stage stage)
{
    const struct message *m = x->j->m;
    struct policy_view v = policy_view_of(x->ps, m, x->d->parts, m->arena);
    v.stage = stage;
    v.rcpt = x->rcpt;
    if (x->d->opinion)
        policy_view_judge(x->ps, &v, &x->d->opinion->rules);
    if (stage < STAGE_END) {
        v.m = NULL;
        v.parts = NULL;
        v.content = NULL;
    }
    return v;
}

static struct step step_of(const struct explained *x, size_t i)
{
    struct step s = {.policy = policy_set_get(x->ps, i)};
    for (enum policy_stage at = STAGE_CONNECT; at <= STAGE_END; at++) {
        struct policy_view v = view_at(x, at);
        s.stage = at;
        s.match = policy_match(x->ps, i, &v, &s.why);
        if (s.match != MATCH_LATER)
            break;
    }
    if (i + 1 == policy_set_count(x->ps))
        s.match = MATCH_YES;
    return s;
}

static void look(struct explained *x)
{
    bool taken = false;
    x->n = policy_set_count(x->ps);
    x->v = arena_array(x->j->m->arena, x->n, sizeof *x->v);
    for (size_t i = 0; i < x->n; i++) {
        x->v[i] = step_of(x, i);
        x->v[i].reached = !taken;
        taken |= x->v[i].match == MATCH_YES && !x->v[i].policy->go_on;
    }
    for (enum policy_stage at = STAGE_CONNECT; !x->early && at < STAGE_END; at++) {
        struct policy_view v = view_at(x, at);
        x->early = policy_early(x->ps, &v, &x->early_action);
        x->early_stage = at;
    }
}

static const struct applied *applied_of(const struct explained *x, const struct policy *p)
{
    for (size_t i = 0; i < x->d->napplied; i++)
        if (x->d->applied[i].policy == p)
            return &x->d->applied[i];
    return NULL;
}

/* --- text --- */

static void shown(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
    }
}

static void text_step(struct buf *out, const struct explained *x, const struct step *s)
{
    const struct applied *a = s->reached && s->match == MATCH_YES ? applied_of(x, s->policy) : NULL;
    buf_printf(out, "  %-8s %-24s ", s->reached ? policy_stage_name(s->stage) : "-",
               s->policy->name);
    if (!s->reached) {
        buf_str(out, "not reached\n");
        return;
    }
    if (s->match != MATCH_YES) {
        buf_printf(out, "does not hold: %s\n", s->why);
        return;
    }
    buf_str(out, s->policy->go_on ? "holds, goes on" : "taken");
    for (size_t i = 0; a && i < a->nparts; i++) {
        struct span name = part_name_shown(a->parts[i]);
        buf_printf(out, "%s part %u", i ? "," : ";", a->parts[i]->number);
        buf_str(out, name.n ? " \"" : "");
        shown(out, name);
        buf_str(out, name.n ? "\"" : "");
        buf_str(out, a->parts[i]->sealed && !s->policy->touch_signed
                         ? " (signed or encrypted: left alone)"
                         : "");
    }
    for (size_t i = 0; i < s->policy->actions.n; i++)
        buf_printf(out, "%s %s", i ? "," : ":", action_name(s->policy->actions.v[i].kind));
    buf_char(out, '\n');
}

/* Where a session would ask the callback. */
static enum policy_stage stage_of_call(const char *by)
{
    static const char *const calls[] = {"relay", "helo", "sender", "recipient"};
    for (size_t i = 0; by && i < sizeof calls / sizeof *calls; i++)
        if (strcmp(by, calls[i]) == 0)
            return (enum policy_stage)i;
    return STAGE_END;
}

/* A line for each callback that wants something. */
static void text_script(struct buf *out, const struct policy *p)
{
    const char *by = NULL;
    for (size_t i = 0; i < p->actions.n; i++) {
        const struct policy_action *a = &p->actions.v[i];
        bool same = i && (a->by == by || (a->by && by && strcmp(a->by, by) == 0));
        by = a->by;
        if (!same)
            buf_printf(out, "%s  %-8s %-24s %s() wants:", i ? "\n" : "",
                       policy_stage_name(stage_of_call(by)), p->name, by ? by : "it");
        buf_printf(out, "%s %s", same ? "," : "", action_name(a->kind));
        if (a->part)
            buf_printf(out, " %u", a->part);
    }
    buf_char(out, '\n');
}

static void json_script(struct buf *out, const struct explained *x)
{
    json_open(out, "script", '[');
    for (size_t i = 0; i < x->d->napplied; i++)
        for (size_t k = 0; x->d->applied[i].script && k < x->d->applied[i].policy->actions.n; k++)
            json_text(out, NULL, span_str(action_name(x->d->applied[i].policy->actions.v[k].kind)));
    json_close(out, '[');
    json_open(out, "script_stages", '[');
    for (size_t i = 0; i < x->d->napplied; i++)
        for (size_t k = 0; x->d->applied[i].script && k < x->d->applied[i].policy->actions.n; k++)
            json_text(out, NULL,
                      span_str(policy_stage_name(
                          stage_of_call(x->d->applied[i].policy->actions.v[k].by))));
    json_close(out, '[');
}

static void text_delivery(struct buf *out, const struct explained *x, bool removes)
{
    struct delivery d = action_delivery(x->d, x->j->m->arena);
    if (d.change_sender)
        buf_printf(out, "  Sender:  <%.*s>\n", SPAN_ARG(d.sender));
    if (d.nadd)
        buf_printf(out, "  %s", d.redirect ? "Instead:" : "Also to:");
    for (size_t i = 0; i < d.nadd; i++)
        buf_printf(out, " <%.*s>", SPAN_ARG(d.add[i]));
    buf_str(out, d.nadd ? "\n" : "");
    if (d.keep || removes)
        buf_str(out, "  The message as it came is kept in the quarantine.\n");
}

static void text(struct buf *out, const struct explained *x, bool removes, struct span reply)
{
    buf_str(out, "Recipient ");
    shown(out, x->rcpt.p ? x->rcpt : SPAN("(none)"));
    buf_char(out, '\n');
    for (size_t i = 0; i < x->d->napplied; i++)
        if (x->d->applied[i].script)
            text_script(out, x->d->applied[i].policy);
    for (size_t i = 0; i < x->n; i++)
        text_step(out, x, &x->v[i]);
    if (x->early)
        buf_printf(out, "  Decided at %s by %s: %s\n", policy_stage_name(x->early_stage),
                   x->early->name, action_name(x->early_action->kind));
    buf_printf(out, "  Outcome: %s (%s",
               removes && x->d->outcome <= OUT_TAG ? "clean" : outcome_name(x->d->outcome),
               x->d->reason);
    if (x->d->detail.n) {
        buf_str(out, ": ");
        shown(out, x->d->detail);
    }
    buf_str(out, ")\n  Reply:   ");
    shown(out, reply);
    buf_char(out, '\n');
    text_delivery(out, x, removes);
}

/* --- JSON --- */

static void json_step(struct buf *out, const struct explained *x, const struct step *s)
{
    const struct applied *a = applied_of(x, s->policy);
    json_open(out, NULL, '{');
    json_text(out, "policy", span_str(s->policy->name));
    json_flag(out, "reached", s->reached);
    if (s->reached) {
        json_text(out, "stage", span_str(policy_stage_name(s->stage)));
        json_flag(out, "holds", s->match == MATCH_YES);
        if (s->match != MATCH_YES)
            json_text(out, "because", span_str(s->why));
    }
    if (s->reached && s->match == MATCH_YES && a) {
        json_open(out, "parts", '[');
        for (size_t i = 0; i < a->nparts; i++) {
            json_open(out, NULL, '{');
            json_count(out, "number", a->parts[i]->number);
            json_text(out, "name", part_name_shown(a->parts[i]));
            json_text(out, "type", a->parts[i]->types[0]);
            json_flag(out, "sealed", a->parts[i]->sealed);
            json_close(out, '{');
        }
        json_close(out, '[');
        json_open(out, "do", '[');
        for (size_t i = 0; i < s->policy->actions.n; i++)
            json_text(out, NULL, span_str(action_name(s->policy->actions.v[i].kind)));
        json_close(out, '[');
    }
    json_close(out, '{');
}

static void json(struct buf *out, const struct explained *x, bool removes, struct span reply)
{
    struct delivery d = action_delivery(x->d, x->j->m->arena);
    json_open(out, NULL, '{');
    json_text(out, "recipient", x->rcpt);
    json_script(out, x);
    json_open(out, "policies", '[');
    for (size_t i = 0; i < x->n; i++)
        json_step(out, x, &x->v[i]);
    json_close(out, '[');
    if (x->early) {
        json_open(out, "early", '{');
        json_text(out, "stage", span_str(policy_stage_name(x->early_stage)));
        json_text(out, "policy", span_str(x->early->name));
        json_text(out, "action", span_str(action_name(x->early_action->kind)));
        json_close(out, '{');
    }
    json_text(
        out, "outcome",
        span_str(removes && x->d->outcome <= OUT_TAG ? "clean" : outcome_name(x->d->outcome)));
    json_text(out, "policy", span_str(x->d->policy->name));
    json_text(out, "reason", span_str(x->d->reason));
    json_text(out, "detail", x->d->detail);
    json_text(out, "reply", reply);
    json_flag(out, "keep", d.keep || removes);
    json_flag(out, "redirect", d.redirect);
    json_open(out, "add", '[');
    for (size_t i = 0; i < d.nadd; i++)
        json_text(out, NULL, d.add[i]);
    json_close(out, '[');
    if (d.change_sender)
        json_text(out, "sender", d.sender);
    json_close(out, '{');
}

/* --- all recipients --- */

static void one(struct buf *out, const struct judged *j, const struct policy_set *ps,
                const struct decision *d, struct span rcpt, bool as_json)
{
    struct explained x = {.j = j, .ps = ps, .d = d, .rcpt = rcpt};
    struct splices edits = {0};
    const struct conf *conf = j->rules ? ruleset_conf(j->rules) : NULL;
    bool removes = action_edits(j->set, conf, j->m, d, j->m->arena, &edits);
    struct span reply = action_reply(j->m, d, j->m->arena);
    look(&x);
    (as_json ? json : text)(out, &x, removes, reply);
}

void explain_judged(struct buf *out, const struct judged *j, const struct policy_set *ps,
                    bool as_json)
{
    if (as_json) {
        json_open(out, NULL, '{');
        json_text(out, "file", span_str(j->item->name));
        json_open(out, "recipients", '[');
    } else {
        buf_str(out, "== ");
        shown(out, span_str(j->item->name));
        buf_char(out, '\n');
    }
    for (size_t i = 0; i < j->verdict->n; i++) {
        const struct decision *d = &j->verdict->v[i];
        if (d->nrcpts == 0)
            one(out, j, ps, d, SPAN_NONE, as_json);
        for (size_t k = 0; k < d->nrcpts; k++)
            one(out, j, ps, d, j->m->env.rcpts[d->rcpts[k]].addr, as_json);
    }
    if (as_json) {
        json_close(out, '[');
        json_close(out, '{');
    }
    buf_char(out, '\n');
}
