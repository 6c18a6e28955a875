#include "policy/set_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

static struct rule *rules_of(struct arena *a, const struct policies *p)
{
    struct rule *v = arena_array(a, p->n, sizeof *v);
    for (size_t i = 0; i < p->n; i++) {
        const struct policy *x = &p->v[i];
        struct rule *r = &v[i];
        *r = (struct rule){.policy = x,
                           .recipients = patterns_new(a, x->recipients, true),
                           .senders = patterns_new(a, x->senders, true),
                           .client_names = patterns_new(a, x->client_names, false),
                           .helo = patterns_new(a, x->helo, false),
                           .users = patterns_new(a, x->users, false),
                           .rules = patterns_new(a, x->rules, false),
                           .virus = patterns_new(a, x->virus, false),
                           .part_name = patterns_new(a, x->parts.name, false),
                           .part_type = patterns_new(a, x->parts.type, false),
                           .part_members = patterns_new(a, x->parts.members, false),
                           .part_content = patterns_new(a, x->parts.content, false),
                           .dkim_domain = patterns_new(a, x->auth.dkim_domain, false)};
        r->header = arena_array(a, x->header.n, sizeof *r->header);
        for (size_t k = 0; k < x->header.n; k++)
            r->header[k] = patterns_new(a, x->header.v[k].patterns, false);
    }
    return v;
}

static bool early(const struct policy *p)
{
    for (size_t k = 0; k < p->actions.n; k++)
        switch (p->actions.v[k].kind) {
        case ACTION_REJECT:
        case ACTION_DEFER:
        case ACTION_DISCARD:
            return policy_stage_of(p) < STAGE_END;
        default:
            break;
        }
    return false;
}

static void look_through(struct policy_set *ps, const struct policies *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct policy *x = &p->v[i];
        for (size_t k = 0; k < x->actions.n; k++) {
            ps->wants_parts |= x->actions.v[k].kind == ACTION_ADD_DISCLAIMER;
            ps->cleans |= x->actions.v[k].kind == ACTION_CLEAN;
        }
        ps->cleans |= x->on_virus == OUT_CLEAN;
        ps->wants_parts |= x->parts.given || x->header.n > 0;
        ps->early |= early(x);
        ps->direction |= x->direction.n > 0;
        ps->wants_magic |= x->parts.content.n > 0;
    }
}

bool policy_set_cleans(const struct policy_set *ps)
{
    return ps->cleans;
}

struct policy_set *policy_set_of(const struct policies *p)
{
    struct policy_set *ps = xcalloc(1, sizeof *ps);
    ps->arena = arena_new(0);
    ps->n = p->n;
    ps->v = rules_of(ps->arena, p);
    look_through(ps, p);
    return ps;
}

struct policy_set *policy_set_new(const struct settings *set)
{
    struct policy_set *ps = policy_set_of(&set->policies);
    ps->set = set;
    if (ps->direction)
        ps->domains = domains_open(&set->relay);
    return ps;
}

void policy_set_free(struct policy_set *ps)
{
    if (!ps)
        return;
    if (ps->domains)
        domains_free(ps->domains);
    magic_free(ps->magic);
    arena_free(ps->arena);
    free(ps);
}

size_t policy_set_count(const struct policy_set *ps)
{
    return ps->n;
}

const struct policy *policy_set_get(const struct policy_set *ps, size_t i)
{
    return ps->v[i].policy;
}

void policy_set_refresh(struct policy_set *ps)
{
    if (ps->domains)
        domains_refresh(ps->domains);
}

bool policy_set_wants_parts(const struct policy_set *ps)
{
    return ps->wants_parts;
}

struct magic *policy_set_magic(struct policy_set *ps)
{
    if (ps->wants_magic)
        ps->magic = magic_new();
    ps->wants_magic = false; /* once, whether it can be loaded or not */
    return ps->magic;
}

bool policy_set_early(const struct policy_set *ps)
{
    return ps->early;
}
