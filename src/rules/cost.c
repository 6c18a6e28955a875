/* What rules cost: measured on messages, or estimated from their patterns. */
#include "pattern/need.h"
#include "pattern/pattern.h"
#include "rules/ruleset_private.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "base/clock.h"

bool rule_always_tried(const struct ruleset *rs, const struct rule *r)
{
    for (size_t i = 0; i < rs->nsubjects; i++)
        for (size_t k = 0; k < rs->subjects[i].nalways; k++)
            if (rs->subjects[i].always[k] == r)
                return true;
    return false;
}

double rule_pattern_cost(const struct rule *r, int tries)
{
    static const char words[] = "Dear all, the minutes of our meeting on Monday are at "
                                "http://www.example.com/minutes; please reply to bob@example.org, "
                                "or call 555-0123 about the bank account and the $1,000 fund.\n";
    usec best = INT64_MAX;
    if (!r->regex || r->state != RULE_RUNS)
        return -1;
    struct buf b = {0};
    while (b.n < RULE_COST_BYTES)
        buf_str(&b, words);
    for (int i = 0; i < tries; i++) {
        usec start = clock_mono();
        for (int k = 0; k < tries; k++)
            regex_exec(r->regex, buf_span(&b), 0, NULL);
        usec took = clock_mono() - start;
        best = took < best ? took : best;
    }
    buf_free(&b);
    return (double)best / tries;
}

/* How often something that every match must hold stands in a text of RULE_COST_BYTES; negative:
 * nothing of that kind is known. */
static double chances(struct byteset_table *sets, const struct rule *r)
{
    struct arena *scratch = arena_new(0);
    struct span p = pattern_pcre(scratch, r->def->pattern, r->def->mods);
    const struct tree *t = tree_parse(sets, scratch, p);
    struct need need = t ? need_of(sets, scratch, t) : (struct need){0};
    double n = need.ngroups ? need.groups[0].cost * RULE_COST_BYTES / 1024 : -1;
    arena_free(scratch);
    return n;
}

static struct rule_cost row_of(const struct rule *r)
{
    return (struct rule_cost){
        .name = r->def->name, .file = r->def->at.file, .line = r->def->at.line};
}

static int by_cost(const void *x, const void *y)
{
    const struct rule_cost *a = x, *b = y;
    if (a->micros != b->micros)
        return a->micros < b->micros ? 1 : -1;
    return strcmp(a->name, b->name);
}

static void take_shares(struct rule_cost *v, size_t n, double sum)
{
    for (size_t i = 0; i < n; i++)
        v[i].share = sum > 0 ? v[i].micros / sum : 0;
    qsort(v, n, sizeof *v, by_cost);
}

size_t ruleset_estimate(const struct ruleset *rs, struct rule_cost **out)
{
    enum { TRIES = 3 };
    struct arena *a = arena_new(0);
    struct byteset_table sets;
    struct rule_cost *v = *out = xcalloc(rs->nrules + 1, sizeof *v);
    size_t n = 0;
    double sum = 0;
    byteset_table_init(&sets, a);
    for (size_t i = 0; i < rs->nrules; i++) {
        const struct rule *r = &rs->rules[i];
        double micros = rule_pattern_cost(r, TRIES);
        if (micros < 0)
            continue;
        v[n] = row_of(r);
        v[n].chances = chances(&sets, r);
        v[n].always = rule_always_tried(rs, r);
        v[n].micros =
            v[n].always || v[n].chances < 0 || v[n].chances > 1 ? micros : micros * v[n].chances;
        sum += v[n++].micros;
    }
    arena_free(a);
    take_shares(v, n, sum);
    return n;
}
