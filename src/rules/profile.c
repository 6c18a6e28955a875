#include "rules/profile.h"

#include <inttypes.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/xalloc.h"
#include "rules/ruleset_private.h"

/* In memory that processes share; only added to. */
struct rules_profile {
    uint64_t messages;
    uint64_t stages[STAGE_COUNT];
    struct rule_time rules[];
};

size_t rules_profile_size(const struct ruleset *rs)
{
    return sizeof(struct rules_profile) + rs->nrules * sizeof(struct rule_time);
}

struct stopwatch *profile_new(size_t nrules, struct rules_profile *total)
{
    struct stopwatch *p = xcalloc(1, sizeof *p);
    p->rules = xcalloc(nrules + 1, sizeof *p->rules);
    p->nrules = nrules;
    p->total = total;
    return p;
}

void profile_free(struct stopwatch *p)
{
    if (p)
        free(p->rules);
    free(p);
}

static void add(uint64_t *to, uint64_t n)
{
    if (n)
        __atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

void profile_message(struct stopwatch *p, const unsigned *hit)
{
    if (!p)
        return;
    add(&p->total->messages, 1);
    for (size_t i = 0; i < STAGE_COUNT; i++)
        add(&p->total->stages[i], p->laps.ns[i]);
    for (size_t i = 0; i < p->nrules; i++) {
        add(&p->total->rules[i].ns, p->rules[i].ns);
        add(&p->total->rules[i].tries, p->rules[i].tries);
        add(&p->total->rules[i].hits, hit[i] != 0);
    }
    memset(&p->laps, 0, sizeof p->laps);
    memset(p->rules, 0, p->nrules * sizeof *p->rules);
}

void rules_scratch_profile(struct rules_scratch *s, struct rules_profile *total)
{
    profile_free(s->profile);
    s->profile = total ? profile_new(s->set->nrules, total) : NULL;
}

/* --- shown --- */

struct row {
    const struct rule_def *def;
    const struct rule_time *t;
};

static int by_time(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    if (a->t->ns != b->t->ns)
        return a->t->ns < b->t->ns ? 1 : -1;
    return strcmp(a->def->name, b->def->name);
}

static struct row *rows_of(const struct ruleset *rs, const struct rules_profile *p, size_t *n)
{
    struct row *v = xcalloc(rs->nrules + 1, sizeof *v);
    *n = 0;
    for (size_t i = 0; i < rs->nrules; i++)
        if (p->rules[i].tries || p->rules[i].hits)
            v[(*n)++] = (struct row){rs->rules[i].def, &p->rules[i]};
    qsort(v, *n, sizeof *v, by_time);
    return v;
}

static uint64_t sum_of(const struct rules_profile *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STAGE_COUNT; i++)
        sum += p->stages[i];
    return sum;
}

static void print_json(const struct rules_profile *p, const struct row *v, size_t n, FILE *out)
{
    json_t *j = json_object(), *stages = json_object(), *rules = json_array();
    for (size_t i = 0; i < STAGE_COUNT; i++)
        json_object_set_new(stages, stage_name((enum stage)i),
                            json_real((double)p->stages[i] / 1e3));
    for (size_t i = 0; i < n; i++) {
        json_t *r = json_object();
        json_object_set_new(r, "name", json_string(v[i].def->name));
        json_object_set_new(r, "micros", json_real((double)v[i].t->ns / 1e3));
        json_object_set_new(r, "tries", json_integer((json_int_t)v[i].t->tries));
        json_object_set_new(r, "messages", json_integer((json_int_t)v[i].t->hits));
        json_array_append_new(rules, r);
    }
    json_object_set_new(j, "messages", json_integer((json_int_t)p->messages));
    json_object_set_new(j, "stages", stages);
    json_object_set_new(j, "rules", rules);
    json_dumpf(j, out, JSON_COMPACT | JSON_REAL_PRECISION(10));
    fputc('\n', out);
    json_decref(j);
}

size_t rules_profile_costs(const struct ruleset *rs, const struct rules_profile *p,
                           struct rule_cost **out)
{
    size_t n;
    struct row *v = rows_of(rs, p, &n);
    double sum = (double)sum_of(p), messages = p->messages ? (double)p->messages : 1;
    *out = xcalloc(n + 1, sizeof **out);
    for (size_t i = 0; i < n; i++) {
        const struct conf_at *at = &v[i].def->at;
        (*out)[i] = (struct rule_cost){.name = v[i].def->name,
                                       .file = at->file,
                                       .line = at->line,
                                       .micros = (double)v[i].t->ns / 1e3 / messages,
                                       .share = sum > 0 ? (double)v[i].t->ns / sum : 0,
                                       .tries = v[i].t->tries,
                                       .hits = v[i].t->hits};
    }
    free(v);
    return n;
}

uint64_t rules_profile_messages(const struct rules_profile *p)
{
    return p->messages;
}

void rules_profile_print(const struct ruleset *rs, const struct rules_profile *p, size_t most,
                         FILE *out, bool json)
{
    size_t n;
    struct row *v = rows_of(rs, p, &n);
    uint64_t sum = sum_of(p), messages = p->messages ? p->messages : 1;
    if (json) {
        print_json(p, v, n, out);
        free(v);
        return;
    }
    fprintf(out, "%-14s %12s %7s\n", "stage", "us/message", "share");
    for (size_t i = 0; i < STAGE_COUNT; i++)
        fprintf(out, "%-14s %12.2f %6.1f%%\n", stage_name((enum stage)i),
                (double)p->stages[i] / 1e3 / (double)messages,
                sum ? 100.0 * (double)p->stages[i] / (double)sum : 0);
    fprintf(out, "%-14s %12.2f  %" PRIu64 " messages\n\n", "all",
            (double)sum / 1e3 / (double)messages, p->messages);
    fprintf(out, "%-36s %12s %10s %10s\n", "rule", "us/message", "tries", "hit");
    for (size_t i = 0; i < n && i < most; i++)
        fprintf(out, "%-36s %12.3f %10" PRIu64 " %10" PRIu64 "\n", v[i].def->name,
                (double)v[i].t->ns / 1e3 / (double)messages, v[i].t->tries, v[i].t->hits);
    free(v);
}
