/* The lists and rates of the first wall: each must be one that can be understood. */
#include "config/load_private.h"

#include <stdio.h>

static void check_lists(const struct settings *s, const struct strings *l, const char *name,
                        struct settings_problems *out)
{
    for (size_t i = 0; i < l->n; i++) {
        struct list_spec spec;
        struct err e;
        if (list_spec_parse(span_str(l->v[i]), &spec, &e) != 0)
            problem_at(out, s->file, mark_of(s, "wall.%s[%zu]", name, i), "%s", e.text);
    }
}

static void check_rates(const struct settings *s, struct settings_problems *out)
{
    const struct strings *l = &s->rates.limits;
    struct rate_spec *all = arena_array(s->arena, l->n + 1, sizeof *all);
    for (size_t i = 0; i < l->n; i++) {
        struct err e;
        struct mark m = mark_of(s, "rates.limits[%zu]", i);
        if (rate_spec_parse(span_str(l->v[i]), &all[i], &e) != 0) {
            problem_at(out, s->file, m, "%s", e.text);
            continue;
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(all[i].name, all[j].name) == 0)
                problem_at(out, s->file, m, "two rates are called '%s'; name one with 'as NAME'",
                           all[i].name);
    }
}

void settings_check_wall(const struct settings *s, struct settings_problems *out)
{
    check_lists(s, &s->wall.dns_lists, "dns_lists", out);
    check_lists(s, &s->wall.helo_lists, "helo_lists", out);
    check_lists(s, &s->wall.sender_lists, "sender_lists", out);
    check_rates(s, out);
    if (s->wall.allow_score >= s->wall.reject_score)
        problem_at(out, s->file, mark_of(s, "wall.allow_score"),
                   "must be below wall.reject_score (%g)", s->wall.reject_score);
    if (s->greylist.score_from >= s->greylist.score_to)
        problem_at(out, s->file, mark_of(s, "greylist.score_from"),
                   "must be below greylist.score_to (%g)", s->greylist.score_to);
    if (s->greylist.delay >= s->greylist.retry_window)
        problem_at(out, s->file, mark_of(s, "greylist.delay"),
                   "must be shorter than greylist.retry_window, or nobody would ever pass");
}
