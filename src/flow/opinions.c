#include "flow/opinions.h"

/* Domains do not care for case, and neither do the people who write files for them. */
static struct span user_of(struct message *m, size_t i)
{
    if (m->user.p)
        return m->user;
    return i < m->env.nrcpts ? arena_lower(m->arena, m->env.rcpts[i].addr) : SPAN("");
}

static bool failed(struct message *m, struct span user, enum prefs_answer answer, struct span why)
{
    struct span text =
        arena_printf(m->arena, "of %.*s: %.*s", SPAN_ARG(span_sub(user, 0, 100)), SPAN_ARG(why));
    if (answer == PREFS_REFUSED) {
        facts_skip(&m->facts, m->arena, "rules",
                   arena_printf(m->arena, "preferences %.*s", SPAN_ARG(text)));
        return false;
    }
    facts_skip(&m->facts, m->arena, "preferences", text);
    return true;
}

bool opinions_gather(struct prefs *p, struct message *m, struct opinions_wanted *out)
{
    size_t n = m->has_envelope && m->env.nrcpts ? m->env.nrcpts : 1;
    *out = (struct opinions_wanted){0};
    if (!p || (!m->user.p && !m->env.nrcpts))
        return true;
    out->v = arena_array(m->arena, n, sizeof *out->v);
    struct span last = SPAN_NONE, why;
    for (size_t i = 0; i < n; i++) {
        struct span user = user_of(m, i);
        if (last.p && span_eq(user, last)) {
            out->v[i] = out->v[i - 1];
            continue;
        }
        enum prefs_answer answer = prefs_for(p, user, m->arena, &out->v[i], &why);
        if (answer == PREFS_FOUND)
            out->n = n;
        else if (answer != PREFS_NONE && !failed(m, user, answer, why))
            return false;
        last = user;
    }
    return true;
}

struct opinions_wanted opinions_for_all(struct message *m, const struct rules_prefs *prefs)
{
    struct opinions_wanted w = {.n = m->has_envelope && m->env.nrcpts ? m->env.nrcpts : 1};
    w.v = arena_array(m->arena, w.n, sizeof *w.v);
    for (size_t i = 0; i < w.n; i++)
        w.v[i] = prefs;
    return w;
}

static const struct opinion *made_before(const struct message *m, const struct opinions_wanted *w,
                                         size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (w->v[k] == w->v[i])
            return m->opinions[k];
    return NULL;
}

void opinions_make(struct rules_scratch *s, struct message *m, const struct opinions_wanted *w,
                   struct span original)
{
    bool same = true;
    if (!w->n)
        return;
    m->opinions = arena_array(m->arena, w->n, sizeof *m->opinions);
    for (size_t i = 0; i < w->n; i++) {
        same &= w->v[i] == w->v[0];
        if (!w->v[i])
            continue;
        m->opinions[i] = made_before(m, w, i);
        if (m->opinions[i])
            continue;
        struct opinion *o = rules_opinion(s, m, w->v[i]);
        o->message->raw = original;
        m->opinions[i] = o;
    }
    if (same)
        m->facts.rules = m->opinions[0]->rules;
}
