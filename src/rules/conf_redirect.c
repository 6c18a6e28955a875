/* redirector_pattern: URIs that hold others (semantics 5.4). Each is tried on every web address, so
 * most are ruled out by pairs of letters that must stand in what they match. */
#include "rules/conf_private.h"

#include "base/pairs.h"
#include "pattern/need.h"
#include "pattern/pattern.h"

/* --- what they need --- */

/* The byte of a set that has one, or one letter in both cases; -1: more. */
static int only_byte(const struct byteset_table *sets, uint16_t number)
{
    const struct byteset *s = &sets->v[number];
    int found = -1;
    for (unsigned c = 0; c < 256; c++) {
        if (!byteset_has(s, (unsigned char)c))
            continue;
        if (c >= 0x80 || (found >= 0 && found != ascii_lower((char)c)))
            return -1;
        found = ascii_lower((char)c);
    }
    return found;
}

static void pairs_in(const struct byteset_table *sets, const struct run *run,
                     struct redirector_pairs *out)
{
    *out = (struct redirector_pairs){0};
    for (size_t i = 0; i + 1 < run->n && out->n < REDIRECTOR_PAIRS; i++) {
        int a = only_byte(sets, run->set[i]), b = only_byte(sets, run->set[i + 1]);
        if (a >= 0 && b >= 0 && !run->loop[i])
            out->v[out->n++] = (uint16_t)pair_of((char)a, (char)b);
    }
}

/* One of the runs of a group must be there: each with pairs, or the group tells nothing. */
static bool group_pairs(const struct byteset_table *sets, const struct runs *group,
                        struct redirector *r)
{
    if (group->n > REDIRECTOR_RUNS)
        return false;
    for (size_t i = 0; i < group->n; i++) {
        pairs_in(sets, &group->v[i], &r->needs[i]);
        if (r->needs[i].n == 0)
            return false;
    }
    r->nneeds = group->n;
    return true;
}

static void find_needs(struct redirector *r)
{
    struct arena *scratch = arena_new(0);
    struct byteset_table sets;
    byteset_table_init(&sets, scratch);
    const struct tree *t = tree_parse(&sets, scratch, pattern_pcre(scratch, r->pattern, r->mods));
    const struct need need = t ? need_of(&sets, scratch, t) : (struct need){.ngroups = 0};
    r->nneeds = 0;
    for (size_t i = 0; i < need.ngroups; i++)
        if (group_pairs(&sets, &need.groups[i], r))
            break;
    arena_free(scratch);
}

/* --- used --- */

static bool possible(const struct redirector *r, const struct pairs *p)
{
    for (size_t i = 0; i < r->nneeds; i++) {
        const struct redirector_pairs *need = &r->needs[i];
        size_t k = 0;
        while (k < need->n && pairs_have(p, need->v[k]))
            k++;
        if (k == need->n)
            return true;
    }
    return r->nneeds == 0;
}

static size_t redirect(void *ctx, size_t from, struct span s, struct span *group)
{
    const struct conf *c = ctx;
    struct pairs pairs;
    struct regex_match m;
    pairs_of(&pairs, s);
    for (size_t i = from; i < c->nredirectors; i++) {
        const struct redirector *r = &c->redirectors[i];
        if (!possible(r, &pairs) || regex_exec(r->regex, s, 0, &m) != 1 ||
            m.group[1].start == SIZE_MAX)
            continue;
        *group = span_sub(s, m.group[1].start, m.group[1].end);
        return i;
    }
    return SIZE_MAX;
}

void conf_make_redirectors(struct conf *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->nredirectors; i++) {
        struct redirector *r = &c->redirectors[i];
        struct err e;
        r->regex = regex_new(c->arena, r->pattern, r->mods, &e);
        if (!r->regex) {
            conf_problem(c, r->at, "redirector_pattern: %s; the line is ignored", e.text);
            continue;
        }
        find_needs(r);
        c->redirectors[kept++] = *r;
    }
    c->nredirectors = kept;
    c->uri.redirector = kept ? redirect : NULL;
    c->uri.redirector_ctx = c;
}
