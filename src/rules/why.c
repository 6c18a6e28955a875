/* Why rules hit, for people: the bytes, or for a meta what of its expression held. */
#include "rules/ruleset_private.h"

enum { TEXT_MAX = 200, LEVELS_MAX = 8 };

struct telling {
    const struct rules_facts *f;
    bool *told; /* by place among the hits */
    void (*tell)(void *ctx, const struct rule_reason *reason);
    void *ctx;
};

static struct span shortened(struct span s)
{
    return span_sub(s, 0, TEXT_MAX);
}

static size_t place_of(const struct rules_facts *f, struct span name)
{
    for (size_t i = 0; i < f->nall; i++)
        if (span_eq(span_str(f->all[i].rule->def->name), name))
            return i;
    return SIZE_MAX;
}

static void tell_hit(const struct telling *t, size_t i, unsigned level)
{
    const struct hit *h = &t->f->all[i];
    const struct rule *r = h->rule;
    struct rule_reason reason = {.level = level, .name = r->def->name, .again = t->told[i]};
    if (r->meta)
        reason.expression = shortened(r->def->text);
    else if (h->evidence.n)
        reason.bytes = h->evidence;
    else
        reason.definition = shortened(r->def->text);
    t->tell(t->ctx, &reason);
    if (t->told[i] || !r->meta || level == LEVELS_MAX)
        return;
    t->told[i] = true;
    for (size_t k = 0; k < r->meta->nnames; k++) {
        size_t place = place_of(t->f, r->meta->names[k]);
        if (place != SIZE_MAX)
            tell_hit(t, place, level + 1);
    }
}

void rules_why(const struct message *m, void (*tell)(void *ctx, const struct rule_reason *reason),
               void *ctx)
{
    const struct rules_facts *f = &m->facts.rules;
    struct telling t = {f, arena_array(m->arena, f->nall + 1, sizeof(bool)), tell, ctx};
    for (size_t i = 0; i < f->nall; i++)
        if (!f->all[i].sub)
            tell_hit(&t, i, 0);
}
