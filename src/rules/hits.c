/* Hits as they occur, and the facts made of them. */
#include "rules/bayes.h"
#include "rules/ruleset_private.h"

#include <stdio.h>
#include <stdlib.h>

static const char no_description[] = "No description available.";

void hit_add(struct rules_ctx *c, struct rule *r, double value, struct span evidence)
{
    struct rules_scratch *s = c->scratch;
    if (s->count[r->index] && !r->multiple)
        return;
    s->value[r->index] += value > 0 ? value : 1;
    if (s->count[r->index]++ == 0)
        *ARENA_PUSH(c->a, s->hits, s->nhits, s->hits_cap) = (struct hit){r, evidence};
}

/* A message may make many patterns slow: when that many have reached their limit, the others get a
 * hundredth of theirs, which is still plenty for a pattern that is not. */
enum { LIMITED_FREELY = 8, LIMITED_DIVISOR = 100 };

void hits_budget(struct rules_scratch *s)
{
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

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* SpamAssassin rounds through "%.3f". */
static double rounded(double score)
{
    char text[64];
    snprintf(text, sizeof text, "%.3f", score);
    return strtod(text, NULL);
}

/* Insertion sort: the hits come nearly in order, and equal ones keep theirs. */
static void sort_by_turn(struct hit *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct hit h = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1].rule->turn > h.rule->turn; k--)
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
static void add_subject_prefix(struct rules_ctx *c, const struct rule_def *d)
{
    struct span *all = &c->m->facts.rules.subject_prefix;
    if (d->subjprefix.n && c->conf->report.rewrite_subject.p &&
        span_search(*all, d->subjprefix) == SIZE_MAX)
        *all = arena_printf(c->a, "%.*s%.*s ", SPAN_ARG(*all), SPAN_ARG(d->subjprefix));
}

static struct span log_of(struct rules_ctx *c, const struct rule *r)
{
    const struct bayes *b = r->call && r->call->def->learn ? bayes_judge(c) : NULL;
    return b ? arena_printf(c->a, "score: %3.4f", b->score) : SPAN_NONE;
}

void hits_report(struct rules_ctx *c)
{
    const struct rules_scratch *s = c->scratch;
    sort_by_turn(s->hits, s->nhits);
    struct rules_facts *f = &c->m->facts.rules;
    double score = 0;
    f->subrules = arena_array(c->a, s->nhits, sizeof *f->subrules);
    for (size_t i = 0; i < s->nhits; i++) {
        const struct rule *r = s->hits[i].rule;
        add_subject_prefix(c, r->def);
        if (r->sub) {
            f->subrules[f->nsubrules++] = r->def->name;
            continue;
        }
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
    if (f->nsubrules)
        qsort(f->subrules, f->nsubrules, sizeof *f->subrules, by_text);
    f->score = rounded(score);
    f->required = c->set->required;
    f->autolearn = "unavailable";
    f->version = "4.0.1";
    f->ran = true;
}
