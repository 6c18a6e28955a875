/* Defaults, what needs all lines, and access to the result. */
#include "rules/conf_private.h"

#include <stdlib.h>

#include "base/buf.h"
#include "rules/meta.h"
#include "pattern/pattern.h"

/* "en_US": first of LANGUAGE, LC_ALL, LC_MESSAGES, LANG; without charset and variant. */
static struct span language(struct arena *a, const char *given)
{
    static const char *const names[] = {"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"};
    struct span s = span_str(given);
    for (size_t i = 0; i < 4 && !s.n; i++) {
        s = span_str(getenv(names[i]));
        size_t colon = i == 0 && s.p ? span_find(s, ':') : SIZE_MAX;
        s = span_sub(s, 0, colon);
    }
    if (!s.n || span_eq(s, SPAN("C")) || span_eq(s, SPAN("POSIX")))
        return SPAN("en_US");
    size_t n = 0;
    while (n < s.n && !one_of(s.p[n], "@.+,"))
        n++;
    return arena_dup(a, span_sub(s, 0, n));
}

static void init_lists(struct conf *c)
{
    struct conf_lists *l = &c->lists;
    struct globs *all[] = {
        &l->welcome_from,         &l->block_from,           &l->welcome_to,
        &l->more_spam_to,         &l->all_spam_to,          &l->block_to,
        &l->welcome_from_rcvd[0], &l->welcome_from_rcvd[1], &l->allows_relays,
        &l->welcome_auth[0],      &l->welcome_auth[1],      &l->welcome_from_dkim[0],
        &l->welcome_from_dkim[1], &l->welcome_from_spf[0],  &l->welcome_from_spf[1],
        &l->welcome_subject,      &l->block_subject,        &l->bounce_relays,
        &c->bayes.ignore_from,    &c->bayes.ignore_to};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        globs_init(all[i], c->arena);
    l->addrlists = map_in(c->arena);
    l->uri_hosts = map_in(c->arena);
}

static void init_maps(struct conf *c)
{
    struct conf_state *st = c->state;
    struct map *all[] = {&c->by_name,          &c->freemail.domains,
                         &c->freemail.welcome, &c->bayes.ignore_headers,
                         &c->bayes.stopwords,  &c->uri.tld,
                         &c->uri.two_level,    &c->uri.three_level,
                         &c->plugins,          &c->lines,
                         &st->conditions,      &st->compat,
                         &st->replace_tag,     &st->replace_pre,
                         &st->replace_inter,   &st->replace_post,
                         &st->replace_rules,   &st->seen_files,
                         &st->directives};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i] = map_in(c->arena);
}

struct conf *conf_new(struct arena *a, const struct conf_options *o)
{
    struct conf *c = ARENA_NEW(a, struct conf);
    c->arena = a;
    c->state = ARENA_NEW(a, struct conf_state);
    init_maps(c);
    init_lists(c);
    c->state->local_only = o->local_only;
    c->state->settings = o->settings;
    c->state->language = language(a, o->language);
    c->state->replace_start = SPAN("<");
    c->state->replace_end = SPAN(">");
    c->freemail.max_body_emails = 5;
    c->freemail.max_body_freemails = 3;
    c->freemail.skip_when_over_max = c->freemail.skip_bulk_envfrom = true;
    c->report = (struct conf_report){.report_safe = 1,
                                     .wrap_width = 75,
                                     .contact = SPAN("the administrator of that system"),
                                     .charset = SPAN("UTF-8"),
                                     .report = SPAN(""),
                                     .unsafe_report = SPAN(""),
                                     .fold_headers = true};
    c->bayes.use_learner = c->bayes.use_bayes = c->bayes.use_rules = c->bayes.auto_learn = true;
    c->bayes.threshold_nonspam = 0.1;
    c->bayes.threshold_spam = 12;
    c->bayes.min_ham = c->bayes.min_spam = 200;
    c->bayes.max_token_length = 15;
    c->required_score = 5;
    c->ok_locales = SPAN("all");
    c->normalize_charset = c->parse_dkim_uris = true;
    conf_loopback(c, &c->relays.trusted);
    conf_loopback(c, &c->relays.internal);
    c->body_part_scan_size = 50000;
    c->rawbody_part_scan_size = 500000;
    c->time_limit = 300;
    return c;
}

void conf_problem(struct conf *c, struct conf_at at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    *ARENA_PUSH(c->arena, c->problems, c->nproblems, c->problems_cap) =
        (struct conf_problem){at, text.p};
}

/* 1.0, or 0.01 for rules on probation; negative for nice ones. Every defined rule has a score. */
static bool below(const struct conf *c, const struct rule_def *r)
{
    return c->under && r->index < c->under->nrules && c->under->rules[r->index] == r;
}

static void default_scores(struct conf *c)
{
    for (size_t i = 0; i < c->nrules; i++) {
        struct rule_def *r = c->rules[i];
        if (r->scored || r->kind == RULE_NONE || below(c, r))
            continue;
        double s = strncmp(r->name, "T_", 2) == 0 ? 0.01 : 1.0;
        for (size_t k = 0; k < SCORE_SETS; k++)
            r->score[k] = r->tflags & TFLAG_NICE ? -s : s;
    }
}

static int by_name(const void *x, const void *y)
{
    return strcmp((*(struct rule_def *const *)x)->name, (*(struct rule_def *const *)y)->name);
}

/* " (A+B+C) ": all rules with a score line whose name matches, but for the rule itself. */
static struct span expand_glob(struct conf *c, const struct rule_def *self, struct span glob)
{
    struct rule_def **found = arena_array(c->arena, c->nrules, sizeof *found);
    size_t n = 0;
    for (size_t i = 0; i < c->nrules; i++) {
        struct rule_def *r = c->rules[i];
        if (r != self && (r->scored || r->kind != RULE_NONE) && glob_match(glob, span_str(r->name)))
            found[n++] = r;
    }
    if (n == 0)
        return SPAN(" (0) ");
    qsort(found, n, sizeof *found, by_name);
    struct buf sum = {0};
    buf_str(&sum, " (");
    for (size_t i = 0; i < n; i++)
        buf_printf(&sum, "%s%s", i ? " + " : "", found[i]->name);
    buf_str(&sum, ") ");
    struct span out = arena_dup(c->arena, buf_span(&sum));
    buf_free(&sum);
    return out;
}

static void expand_metas(struct conf *c)
{
    static const char call[] = "rules_matching(";
    for (size_t i = 0; i < c->nrules; i++) {
        struct rule_def *r = c->rules[i];
        size_t at;
        while (r->kind == RULE_META && !below(c, r) &&
               (at = span_search(r->expr, span_str(call))) != SIZE_MAX) {
            struct span after = span_from(r->expr, at + sizeof call - 1);
            size_t close = span_find(after, ')');
            if (close == SIZE_MAX)
                break;
            struct span with = expand_glob(c, r, span_trim(span_sub(after, 0, close)));
            r->expr = arena_printf(c->arena, "%.*s%.*s%.*s", (int)at, r->expr.p, SPAN_ARG(with),
                                   SPAN_ARG(span_from(after, close + 1)));
        }
    }
}

static void add_networks(struct conf *c, struct netset *set, const struct strings *words)
{
    for (size_t i = 0; i < words->n; i++) {
        if (!netset_add(set, c->arena, span_str(words->v[i])))
            conf_problem(c, (struct conf_at){0}, "'%s' is no network; left out", words->v[i]);
        set->configured = true;
    }
}

/* What the gateway's own settings name. */
static void finish_networks(struct conf *c)
{
    const struct rules_settings *s = c->state->settings;
    if (!s)
        return;
    add_networks(c, &c->relays.trusted, &s->trusted_networks);
    add_networks(c, &c->relays.internal, &s->internal_networks);
    add_networks(c, &c->relays.msa, &s->msa_networks);
}

void conf_finish(struct conf *c)
{
    default_scores(c);
    expand_metas(c);
    conf_replace_tags(c);
    conf_make_redirectors(c);
    finish_networks(c);
}

void conf_finish_over(struct conf *c)
{
    if (c->touched & TOUCH_RULES) {
        default_scores(c);
        expand_metas(c);
    }
    if (c->touched & TOUCH_ALL) {
        conf_replace_tags(c);
        conf_make_redirectors(c);
    }
}

const struct rule_def *conf_rule(const struct conf *c, struct span name)
{
    const struct rule_def *r = map_get(&c->by_name, name);
    return r || !c->under ? r : conf_rule(c->under, name);
}

bool conf_plugin(const struct conf *c, const char *name)
{
    char full[128] = "Mail::SpamAssassin::Plugin::";
    size_t prefix = strlen(full), n = strlen(name);
    if (n >= sizeof full - prefix)
        return false;
    memcpy(full + prefix, name, n + 1);
    return map_get(&c->plugins, span_str(full)) != NULL;
}

const struct conf_lines *conf_lines(const struct conf *c, const char *directive)
{
    return map_get(&c->lines, span_str(directive));
}

struct span conf_value(const struct conf *c, const char *directive, struct span dflt)
{
    const struct conf_lines *l = conf_lines(c, directive);
    return l ? l->v[l->n - 1].value : dflt;
}

bool conf_bool(const struct conf *c, const char *directive, bool dflt)
{
    struct span s = conf_value(c, directive, SPAN_NONE);
    return s.p ? span_ieq(s, SPAN("yes")) || span_eq(s, SPAN("1")) : dflt;
}

double conf_number(const struct conf *c, const char *directive, double dflt)
{
    struct span s = conf_value(c, directive, SPAN_NONE);
    return s.p ? strtod(arena_cstr(c->arena, s), NULL) : dflt;
}
