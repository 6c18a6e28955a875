#include "config/check_private.h"
#include "config/value.h"

/* Policies: what must fit together within one. */

/* address, @domain, .domain or a glob. */
static void check_patterns(struct checker *c, size_t i, const char *what, struct strings list)
{
    for (size_t j = 0; j < list.n; j++) {
        const char *v = list.v[j] + (list.v[j][0] == '!');
        if (!strpbrk(v, "@*?") && v[0] != '.' && v[0] != '/' && strcmp(v, "<>") != 0)
            AT(c,
               say(c,
                   "'%s': expected an address, @domain, .domain or a glob, not '%s' (for all of a "
                   "domain: '@%s')",
                   what, v, v),
               "policies[%zu].%s[%zu]", i, what, j);
    }
}

static void check_policy_listeners(struct checker *c, size_t i)
{
    const struct settings *s = c->s;
    const struct policy *p = &s->policies.v[i];
    const char **names = arena_array(s->arena, s->listeners.n, sizeof *names);
    for (size_t k = 0; k < s->listeners.n; k++)
        names[k] = s->listeners.v[k].name;
    for (size_t j = 0; j < p->listeners.n; j++) {
        bool known = false;
        for (size_t k = 0; k < s->listeners.n; k++)
            known |= strcmp(names[k], p->listeners.v[j]) == 0;
        const char *near = nearest(span_str(p->listeners.v[j]), names, s->listeners.n);
        if (!known)
            AT(c,
               say(c, "no listener is named '%s'%s%s%s", p->listeners.v[j],
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : ""),
               "policies[%zu].listeners[%zu]", i, j);
    }
}

static void check_policy_outcomes(struct checker *c, size_t i)
{
    const struct policy *p = &c->s->policies.v[i];
    const struct {
        const char *name;
        enum outcome o;
    } on[] = {{"on_spam", p->on_spam}, {"on_high_spam", p->on_high_spam}};
    for (size_t k = 0; k < sizeof on / sizeof on[0]; k++)
        if (on[k].o == OUT_CLEAN && setting_given(c->s, "policies[%zu].%s", i, on[k].name))
            AT(c,
               say(c, "'%s': 'clean' takes viruses out, not spam; use tag, hold, reject or discard",
                   on[k].name),
               "policies[%zu].%s", i, on[k].name);
    if (p->reject_score < p->required_score &&
        (setting_given(c->s, "policies[%zu].reject_score", i) ||
         setting_given(c->s, "policies[%zu].required_score", i)))
        AT(c,
           say(c, "reject_score (%g) is below required_score (%g)", p->reject_score,
               p->required_score),
           "policies[%zu].%s", i,
           setting_given(c->s, "policies[%zu].reject_score", i) ? "reject_score"
                                                                : "required_score");
}

/* A policy that goes on has nothing to say but its actions. */
static void check_continue(struct checker *c, size_t i, bool is_default)
{
    const struct policy *p = &c->s->policies.v[i];
    if (!p->go_on)
        return;
    if (is_default)
        AT(c, "the policy 'default' is the last one; there is nothing to continue with",
           "policies[%zu].continue", i);
    else if (p->actions.n == 0)
        AT(c, "a policy with 'continue: true' and without 'do' does nothing", "policies[%zu]", i);
    for (size_t row = policy_conditions; row < policy_table.n; row++)
        if (setting_given(c->s, "policies[%zu].%s", i, policy_table.rows[row].name))
            AT(c,
               say(c, "'%s' has no effect in a policy with 'continue: true'",
                   policy_table.rows[row].name),
               "policies[%zu].%s", i, policy_table.rows[row].name);
}

static void check_actions(struct checker *c, size_t i)
{
    const struct policy *p = &c->s->policies.v[i];
    const char *decided = NULL;
    for (size_t k = 0; k < p->actions.n; k++) {
        enum action_kind kind = p->actions.v[k].kind;
        const char *name = action_name(kind);
        if (action_on_part(kind) && !p->parts.given)
            AT(c, say(c, "'%s' acts on the parts that 'parts' tells; give the policy that", name),
               "policies[%zu].do", i);
        if (!action_decides(kind))
            continue;
        if (p->go_on)
            AT(c, say(c, "'%s' decides: it can't stand in a policy with 'continue: true'", name),
               "policies[%zu].do", i);
        if (decided)
            AT(c, say(c, "'%s' and '%s' in one policy: only one can happen", decided, name),
               "policies[%zu].do", i);
        decided = name;
    }
}

void check_policies(struct checker *c)
{
    const struct settings *s = c->s;
    for (size_t i = 0; i < s->policies.n; i++) {
        const struct policy *p = &s->policies.v[i];
        bool open = policy_is_open(p);
        bool last = i + 1 == s->policies.n, is_default = p->name && !strcmp(p->name, "default");
        if (!setting_given(s, "policies[%zu]", i))
            continue; /* the built-in one */
        if (!p->name || !word_ok(p->name))
            AT(c, "a policy needs a name of letters, digits, '-', '_' and '.'",
               "policies[%zu].name", i);
        for (size_t j = 0; j < i && p->name; j++)
            if (s->policies.v[j].name && strcmp(s->policies.v[j].name, p->name) == 0)
                AT(c, say(c, "a second policy named '%s'", p->name), "policies[%zu].name", i);
        if (is_default && !last)
            AT(c, "the policy 'default' must be the last one", "policies[%zu].name", i);
        else if (is_default && !open)
            AT(c, "the policy 'default' matches everything; it takes no condition",
               "policies[%zu].name", i);
        else if (!is_default && open && !p->go_on)
            AT(c,
               "a policy without condition would hide those after it; give it recipients, senders, "
               "clients or another condition, 'continue: true', or name it 'default'",
               "policies[%zu]", i);
        check_patterns(c, i, "recipients", p->recipients);
        check_patterns(c, i, "senders", p->senders);
        check_policy_listeners(c, i);
        check_policy_outcomes(c, i);
        check_continue(c, i, is_default);
        check_actions(c, i);
    }
}
