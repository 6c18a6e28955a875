/* Hits as they occur, and the facts made of them. */
#include "rules/bayes.h"
#include "rules/ruleset_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char no_description[] = "No description available.";

void hit_add(struct rules_ctx *c, struct rule *r, double value, struct span evidence)
{
    struct rules_scratch *s = c->scratch;
    if (s->count[r->index] && !r->multiple)
        return;
    if (s->count[r->index] == 0) {
        *ARENA_PUSH(c->a, s->hits, s->nhits, s->hits_cap) = hit_of(r, evidence);
        s->touched[s->ntouched++] = r->index;
    }
    s->value[r->index] += value > 0 ? value : 1;
    s->count[r->index]++;
}

void hit_more(struct rules_ctx *c, const struct rule *r, size_t n)
{
    c->scratch->value[r->index] += (double)n;
    c->scratch->count[r->index] += (unsigned)n;
}

/* A message may make many patterns slow: when that many have reached their limit, the others get a
 * hundredth of theirs, which is still plenty for a pattern that is not. */
enum { LIMITED_FREELY = 8, LIMITED_DIVISOR = 100 };

void hits_budget(struct rules_scratch *s)
{
    if (s->nlimited)
        memset(s->limited, 0, s->set->nrules * sizeof *s->limited);
    s->nlimited = 0;
    regex_tighten(1);
}

void hit_limited(struct rules_ctx *c, struct rule *r)
{
    if (c->scratch->limited[r->index])
        return;
    c->scratch->limited[r->index] = true;
    if (++c->scratch->nlimited == LIMITED_FREELY) {
        regex_tighten(LIMITED_DIVISOR);
        facts_skip(&c->m->facts, c->a, "rules/match_limit",
                   SPAN("many rules reached the limit on matching steps; the others got less"));
    }
    facts_skip(&c->m->facts, c->a, arena_printf(c->a, "rules/%s", r->def->name).p,
               SPAN("its regular expression reached the limit on matching steps"));
}

/* Needed only where the next digit might be a 5 by itself. */
double score_rounded(double score)
{
    char text[64];
    double thousands = score * 1000, whole = nearbyint(thousands);
    if (fabs(whole) < 1e9 && fabs(thousands - whole) < 0.499)
        return whole / 1000;
    snprintf(text, sizeof text, "%.3f", score);
    return strtod(text, NULL);
}

/* Insertion sort: the hits come nearly in order, and equal ones keep theirs. */
static void sort_by_turn(struct hit *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct hit h = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1].turn > h.turn; k--)
            v[k] = v[k - 1];
        v[k] = h;
    }
}

static double score_of(const struct rules_scratch *s, const struct rule *r)
{
    if (s->adjusted.rule && strcmp(r->def->name, s->adjusted.rule) == 0)
        return s->adjusted.score;
    return r == s->set->shortcircuit.rule ? s->shortcircuit_score : r->score * s->count[r->index];
}

/* Each prefix once, where rewrite_header lets the subject be changed. */
static void add_subject_prefixes(struct rules_ctx *c)
{
    const struct rules_scratch *s = c->scratch;
    struct span *all = &c->m->facts.rules.subject_prefix;
    if (!c->conf->report.rewrite_subject.p)
        return;
    sort_by_turn(s->hits, s->nhits);
    for (size_t i = 0; i < s->nhits; i++) {
        struct span prefix = s->hits[i].rule->def->subjprefix;
        if (prefix.n && span_search(*all, prefix) == SIZE_MAX)
            *all = arena_printf(c->a, "%.*s%.*s ", SPAN_ARG(*all), SPAN_ARG(prefix));
    }
}

/* --- names of sub-rules, in their order --- */

enum { WORD = 64 };

static int by_name(const void *x, const void *y)
{
    const struct rule_def *const *a = x, *const *b = y;
    return strcmp((*a)->name, (*b)->name);
}

void ruleset_rank_names(struct ruleset *rs)
{
    const struct rule_def **v = arena_array(rs->arena, rs->nrules + 1, sizeof(*v));
    for (size_t i = 0; i < rs->nrules; i++)
        v[i] = rs->rules[i].def;
    if (rs->nrules)
        qsort(v, rs->nrules, sizeof *v, by_name);
    rs->by_rank = arena_array(rs->arena, rs->nrules + 1, sizeof(*rs->by_rank));
    for (size_t i = 0; i < rs->nrules; i++) {
        rs->rules[v[i]->index].rank = (uint32_t)i;
        rs->by_rank[i] = v[i]->name;
    }
}

/* Sub-rules, by far the most, are told by name: only the others have to come in order. They come
 * first; returns how many. */
static size_t sort_out_subrules(const struct rules_ctx *c)
{
    struct rules_scratch *s = c->scratch;
    struct hit *v = arena_raw(c->a, (s->nhits + 1) * sizeof *v);
    size_t visible = 0, end = s->nhits;
    for (size_t i = 0; i < s->nhits; i++) {
        const struct hit *h = &s->hits[i];
        if (h->sub)
            s->subrules[h->rank / WORD] |= (uint64_t)1 << h->rank % WORD;
        v[h->sub ? --end : visible++] = *h;
    }
    sort_by_turn(v, visible);
    s->hits = v;
    s->hits_cap = s->nhits;
    return visible;
}

static void list_subrules(struct rules_ctx *c, size_t n)
{
    struct rules_facts *f = &c->m->facts.rules;
    f->subrules = arena_array(c->a, n + 1, sizeof *f->subrules);
    for (size_t i = 0; i <= c->set->nrules / WORD; i++)
        for (uint64_t word = c->scratch->subrules[i]; word; word &= word - 1)
            f->subrules[f->nsubrules++] = c->set->by_rank[i * WORD + (size_t)__builtin_ctzll(word)];
}

static struct span log_of(struct rules_ctx *c, const struct rule *r)
{
    const struct bayes *b = r->call && r->call->def->learn ? bayes_judge(c) : NULL;
    return b ? arena_printf(c->a, "score: %3.4f", b->score) : SPAN_NONE;
}

void hits_report(struct rules_ctx *c)
{
    const struct rules_scratch *s = c->scratch;
    struct rules_facts *f = &c->m->facts.rules;
    double score = 0;
    add_subject_prefixes(c);
    size_t n = sort_out_subrules(c);
    for (size_t i = 0; i < n; i++) {
        const struct rule *r = s->hits[i].rule;
        unsigned count = s->count[r->index];
        struct span evidence = s->hits[i].evidence, log = log_of(c, r);
        *ARENA_PUSH(c->a, f->hits, f->nhits, f->hits_cap) =
            (struct rule_hit){.name = r->def->name,
                              .score = score_of(s, r),
                              .area = r->area,
                              .describe = r->def->describe ? r->def->describe : no_description,
                              .evidence = evidence.p ? evidence : log,
                              .log = log,
                              .count = count};
        score += score_of(s, r);
    }
    list_subrules(c, s->nhits - n);
    f->all = s->hits;
    f->nall = s->nhits;
    f->score = score_rounded(score);
    f->required = c->set->required;
    f->autolearn = "unavailable";
    f->version = "4.0.1";
    f->ran = true;
}
