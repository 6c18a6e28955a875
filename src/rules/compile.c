/* From what the rule files say to what is run. */
#include "rules/ruleset_private.h"
#include "rules/shortcircuit.h"

#include <stdio.h>
#include <stdlib.h>

void ruleset_problem(struct ruleset *rs, struct conf_at at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(rs->arena, fmt, ap);
    va_end(ap);
    *ARENA_PUSH(rs->arena, rs->problems, rs->nproblems, rs->problems_cap) =
        (struct rule_problem){at.file, at.line, text.p};
}

static void add(struct ruleset *rs, struct rule ***list, size_t *n, size_t *cap, struct rule *r)
{
    *ARENA_PUSH(rs->arena, *list, *n, *cap) = r;
}

/* --- subjects --- */

/* Requests that differ only in the case of an ordinary header's name are one subject. */
static struct span subject_name(struct arena *a, struct span header)
{
    size_t colon = span_find(header, ':');
    struct span name = span_sub(header, 0, colon);
    if (span_starts(name, SPAN("ALL")) || span_eq(name, SPAN("MESSAGEID")))
        return header;
    return arena_lower(a, header);
}

static struct subject *subject_of(struct ruleset *rs, enum subject_kind kind, struct span header)
{
    struct span name = header.p ? subject_name(rs->arena, header) : SPAN("");
    for (size_t i = 0; i < rs->nsubjects; i++)
        if (rs->subjects[i].kind == kind && span_eq(rs->subjects[i].name, name))
            return &rs->subjects[i];
    struct subject *s = ARENA_PUSH(rs->arena, rs->subjects, rs->nsubjects, rs->subjects_cap);
    s->kind = kind;
    s->name = name;
    return s;
}

static enum subject_kind subject_kind_of(enum rule_kind kind)
{
    switch (kind) {
    case RULE_HEADER:
        return SUBJECT_HEADER;
    case RULE_BODY:
        return SUBJECT_BODY;
    case RULE_RAWBODY:
        return SUBJECT_RAWBODY;
    case RULE_URI:
        return SUBJECT_URI;
    case RULE_MIMEHEADER:
        return SUBJECT_MIMEHEADER;
    default:
        return SUBJECT_FULL;
    }
}

static bool header_subject(struct ruleset *rs, struct subject *s, const struct rule_def *def)
{
    if (s->nrules)
        return true;
    if (s->kind == SUBJECT_MIMEHEADER) {
        s->raw = span_ends(s->name, SPAN(":raw"));
        s->name = span_sub(s->name, 0, s->raw ? s->name.n - 4 : s->name.n);
        return true;
    }
    return header_req_parse(rs->arena, subject_name(rs->arena, def->header), &s->req);
}

bool ruleset_lone_subject(struct ruleset *rs, struct subject *s, struct rule *r)
{
    s->name = subject_name(rs->arena, r->def->header);
    if (!header_subject(rs, s, r->def))
        return false;
    add(rs, &s->rules, &s->nrules, &s->rules_cap, r);
    add(rs, &s->always, &s->nalways, &s->always_cap, r);
    ruleset_make_trials(rs, s);
    return true;
}

static void add_to_subject(struct ruleset *rs, struct rule *r)
{
    const struct rule_def *def = r->def;
    struct subject *s = subject_of(rs, subject_kind_of(def->kind), def->header);
    if (def->header.p && !header_subject(rs, s, def)) {
        r->state = RULE_BAD_ARGS;
        ruleset_problem(rs, def->at, "rule %s: header '%.*s' not understood; the rule does not run",
                        def->name, SPAN_ARG(def->header));
        return;
    }
    add(rs, &s->rules, &s->nrules, &s->rules_cap, r);
}

/* --- rules --- */

static struct regex *make_regex(struct ruleset *rs, struct rule *r, struct span pattern,
                                struct span mods)
{
    struct err e;
    struct regex *re = regex_new(rs->arena, pattern, mods, &e);
    if (!re || (rs->check && regex_check(re, &e) != 0)) {
        r->state = RULE_BAD_REGEX;
        ruleset_problem(rs, r->def->at, "rule %s: %s; the rule does not run", r->def->name, e.text);
        return NULL;
    }
    regex_set_limits(re, rs->match_limit, rs->depth_limit);
    return re;
}

static void make_eval(struct ruleset *rs, struct rule *r)
{
    const struct rule_def *def = r->def;
    const struct eval_fn_def *fn = eval_find(def->fn);
    if (!fn) {
        r->state = RULE_NO_EVAL;
        ruleset_problem(rs, def->at,
                        "rule %s: function '%.*s' does not exist; the rule does not run", def->name,
                        SPAN_ARG(def->fn));
        return;
    }
    if (fn->plugin && !conf_plugin(rs->conf, fn->plugin)) {
        r->state = RULE_NO_PLUGIN;
        ruleset_problem(rs, def->at,
                        "rule %s: plugin %s of function '%s' is not loaded; the rule "
                        "does not run",
                        def->name, fn->plugin, fn->name);
        return;
    }
    if ((fn->net && !rs->network) || (fn->learn && !rs->learned)) {
        r->state = fn->net ? RULE_NETWORK : RULE_LEARNING;
        return;
    }
    struct eval_call *call = ARENA_NEW(rs->arena, struct eval_call);
    call->def = fn;
    call->rule = def->name;
    call->type = def->kind == RULE_BODY_EVAL      ? EVAL_BODY
                 : def->kind == RULE_RAWBODY_EVAL ? EVAL_RAWBODY
                 : def->kind == RULE_FULL_EVAL    ? EVAL_FULL
                                                  : EVAL_HEADER;
    call->args = def->args;
    call->nargs = def->nargs;
    double *numbers = arena_array(rs->arena, call->nargs + 1, sizeof *numbers);
    for (size_t i = 0; i < call->nargs; i++)
        numbers[i] = eval_number(call, i, 0);
    call->numbers = numbers;
    struct err e;
    if (fn->prepare && fn->prepare(rs->arena, rs->conf, call, &e) != 0) {
        r->state = RULE_BAD_ARGS;
        ruleset_problem(rs, def->at, "rule %s: %s; the rule does not run", def->name, e.text);
        return;
    }
    r->call = call;
    if (fn->asks && def->kind == RULE_BODY_EVAL)
        r->area = "";
}

static const char *area_of(enum rule_kind kind)
{
    switch (kind) {
    case RULE_BODY:
    case RULE_BODY_EVAL:
    case RULE_URI_DETAIL:
        return "BODY: ";
    case RULE_RAWBODY:
    case RULE_RAWBODY_EVAL:
        return "RAW: ";
    case RULE_URI:
        return "URI: ";
    case RULE_FULL:
        return "FULL: ";
    case RULE_DNS_EVAL:
        return "RBL: ";
    case RULE_EMPTY:
        return "ASKDNS: ";
    default:
        return "";
    }
}

/* Why a rule with a definition is not run, before anything is made of it. */
static enum rule_state wanted(const struct ruleset *rs, const struct rule_def *def, double score)
{
    bool eval = def->kind >= RULE_HEADER_EVAL && def->kind <= RULE_DNS_EVAL;
    if (def->kind == RULE_NONE)
        return RULE_UNDEFINED;
    if (def->kind == RULE_EMPTY && !def->fn.p)
        return RULE_UNDEFINED; /* a place for results of an earlier run (reuse) */
    if (eval && def->tflags & TFLAG_LEARN && !rs->learned && def->score[rs->score_set | 2] != 0)
        return RULE_LEARNING;
    if (score == 0)
        return RULE_ZERO;
    if (!rs->network && (def->kind == RULE_EMPTY || def->kind == RULE_DNS_EVAL ||
                         (eval && def->tflags & TFLAG_NET)))
        return RULE_NETWORK;
    return RULE_RUNS;
}

static void make_details(struct ruleset *rs, struct rule *r)
{
    r->details = arena_array(rs->arena, r->def->ndetails, sizeof *r->details);
    for (size_t i = 0; i < r->def->ndetails; i++)
        r->details[i] = make_regex(rs, r, r->def->details[i].pattern, r->def->details[i].mods);
}

void ruleset_make_rule(struct ruleset *rs, struct rule *r)
{
    const struct rule_def *def = r->def;
    r->score = def->score[rs->score_set];
    r->state = wanted(rs, def, r->score);
    r->sub = strncmp(def->name, "__", 2) == 0;
    r->multiple = def->tflags & TFLAG_MULTIPLE;
    r->nosubject = def->tflags & TFLAG_NOSUBJECT;
    r->negate = def->negate;
    r->maxhits = def->maxhits;
    r->area = area_of(def->kind);
    r->priority = def->priority;
    if (r->state != RULE_RUNS || def->kind == RULE_META)
        return;
    if (def->kind == RULE_URI_DETAIL) {
        make_details(rs, r);
    } else if (def->fn.p) {
        make_eval(rs, r);
    } else if (!def->exists && !def->is_template) {
        r->regex = make_regex(rs, r, def->pattern, def->mods);
    }
}

/* --- order --- */

static int eval_order(const void *x, const void *y)
{
    const struct rule *a = *(struct rule *const *)x, *b = *(struct rule *const *)y;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    if (a->def->kind != b->def->kind)
        return (int)a->def->kind - (int)b->def->kind;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* FreeMail's search in the body edits the body that later rules see (semantics 8.4). */
static bool edits_body(const struct rule *r)
{
    return r->call && strcmp(r->call->def->name, "check_freemail_replyto") == 0;
}

static void sort_into_lists(struct ruleset *rs)
{
    int edit = 0;
    for (size_t i = 0; i < rs->nrules; i++)
        if (rs->rules[i].state == RULE_RUNS && edits_body(&rs->rules[i]) &&
            rs->rules[i].priority < edit)
            edit = rs->rules[i].priority;
    for (size_t i = 0; i < rs->nrules; i++) {
        struct rule *r = &rs->rules[i];
        if (r->state != RULE_RUNS || r->def->kind == RULE_META)
            continue;
        if (r->call || r->details)
            add(rs, &rs->evals, &rs->nevals, &rs->evals_cap, r);
        else if (r->def->captures)
            add(rs, &rs->captures, &rs->ncaptures, &rs->captures_cap, r);
        else if (r->def->kind == RULE_BODY && r->priority < edit)
            add(rs, &rs->early_body, &rs->nearly_body, &rs->early_body_cap, r);
        else
            add_to_subject(rs, r);
    }
    if (rs->nevals)
        qsort(rs->evals, rs->nevals, sizeof(struct rule *), eval_order);
}

static void index_subjects(struct ruleset *rs)
{
    for (size_t i = 0; i < rs->nsubjects; i++) {
        struct subject *s = &rs->subjects[i];
        if (s->kind == SUBJECT_MIMEHEADER)
            *ARENA_PUSH(rs->arena, rs->mimeheaders, rs->nmimeheaders, rs->mimeheaders_cap) = s;
        else if (!rs->only[s->kind])
            rs->only[s->kind] = s;
        if (s->kind != SUBJECT_HEADER)
            continue;
        for (size_t k = 0; k < s->nrules; k++) {
            struct rule *r = s->rules[k];
            if (!r->def->exists)
                add(rs, &s->when_absent, &s->nwhen_absent, &s->absent_cap, r);
        }
        *ARENA_PUSH(rs->arena, rs->headers, rs->nheaders, rs->headers_cap) =
            (struct header_place){.subject = (uint32_t)i,
                                  .name_bit = mime_name_bit(s->req.name),
                                  .made_of_others = s->req.kind != 0,
                                  .may_hit_absent = s->nwhen_absent != 0};
    }
}

/* Header rules, header evals, body, uri, body evals, rawbody, rawbody evals, full, full evals. */
static int place_of(enum rule_kind kind)
{
    static const int8_t place[] = {
        [RULE_HEADER] = 0,       [RULE_HEADER_EVAL] = 1, [RULE_BODY] = 2,       [RULE_URI] = 3,
        [RULE_BODY_EVAL] = 4,    [RULE_MIMEHEADER] = 4,  [RULE_URI_DETAIL] = 4, [RULE_RAWBODY] = 5,
        [RULE_RAWBODY_EVAL] = 6, [RULE_FULL] = 7,        [RULE_FULL_EVAL] = 8,  [RULE_EMPTY] = 9,
    };
    return place[kind];
}

void ruleset_set_turns(struct ruleset *rs)
{
    for (size_t i = 0; i < rs->nrules; i++) {
        struct rule *r = &rs->rules[i];
        r->turn = (int64_t)r->priority * TURNS + place_of(r->def->kind);
    }
    ruleset_meta_turns(rs);
}

void ruleset_compile(struct ruleset *rs, const struct ruleset_options *o)
{
    struct conf *c = rs->conf;
    rs->nrules = c->nrules;
    rs->rules = arena_array(rs->arena, c->nrules, sizeof *rs->rules);
    for (size_t i = 0; i < c->nrules; i++) {
        rs->rules[i].def = c->rules[i];
        rs->rules[i].index = (uint32_t)i;
        ruleset_make_rule(rs, &rs->rules[i]);
    }
    ruleset_compile_metas(rs);
    sort_into_lists(rs);
    ruleset_place_evals(rs);
    ruleset_set_turns(rs);
    ruleset_rank_names(rs);
    index_subjects(rs);
    ruleset_compile_filters(rs, o);
    shortcircuit_prepare(rs);
}
