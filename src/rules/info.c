/* What the operator asks about the rules: list, explain, coverage. */
#include "rules/ruleset_private.h"

#include <stdlib.h>

#include <jansson.h>

static const char *const kind_names[] = {
    "none",      "header",       "body",       "rawbody",  "full",
    "uri",       "mimeheader",   "uri_detail", "meta",     "header eval",
    "body eval", "rawbody eval", "full eval",  "dns eval", "empty",
};

static const char *const state_names[RULE_STATES] = {
    [RULE_RUNS] = "in force",
    [RULE_UNDEFINED] = "no definition",
    [RULE_ZERO] = "score is 0",
    [RULE_NETWORK] = "needs the network",
    [RULE_LEARNING] = "waits until enough is learned",
    [RULE_NO_EVAL] = "function missing",
    [RULE_NO_PLUGIN] = "plugin not loaded",
    [RULE_BAD_ARGS] = "definition not understood",
    [RULE_BAD_REGEX] = "regular expression not understood",
    [RULE_BLOCKED] = "depends on a meta that is not evaluated",
};

static json_t *text_json(struct span s)
{
    json_t *j = s.p ? json_stringn(s.p, s.n) : json_null();
    if (j)
        return j;
    /* Not UTF-8: Latin-1, so that every byte is shown. */
    char *utf8 = malloc(2 * s.n + 1);
    size_t n = 0;
    for (size_t i = 0; utf8 && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80)
            utf8[n++] = (char)(0xc0 | c >> 6);
        utf8[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    j = utf8 ? json_stringn(utf8, n) : json_null();
    free(utf8);
    return j;
}

static json_t *rule_json(const struct rule *r)
{
    const struct rule_def *d = r->def;
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string(d->name));
    json_object_set_new(j, "kind", json_string(kind_names[d->kind]));
    json_object_set_new(j, "state", json_string(state_names[r->state]));
    json_object_set_new(j, "score", json_real(r->score));
    json_object_set_new(j, "description", text_json(span_str(d->describe)));
    json_object_set_new(j, "file", d->at.file ? json_string(d->at.file) : json_null());
    json_object_set_new(j, "line", json_integer(d->at.line));
    return j;
}

static void print_json(json_t *j, FILE *out)
{
    json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fputc('\n', out);
    json_decref(j);
}

static int by_name(const void *x, const void *y)
{
    return strcmp((*(const struct rule *const *)x)->def->name,
                  (*(const struct rule *const *)y)->def->name);
}

void ruleset_list(const struct ruleset *rs, FILE *out, bool json)
{
    const struct rule **sorted = malloc((rs->nrules + 1) * sizeof *sorted);
    json_t *all = json ? json_array() : NULL;
    if (!sorted)
        abort();
    for (size_t i = 0; i < rs->nrules; i++)
        sorted[i] = &rs->rules[i];
    qsort(sorted, rs->nrules, sizeof *sorted, by_name);
    for (size_t i = 0; i < rs->nrules; i++) {
        const struct rule *r = sorted[i];
        if (r->state == RULE_UNDEFINED)
            continue;
        if (json)
            json_array_append_new(all, rule_json(r));
        else
            fprintf(out, "%-40s %7.3f  %-13s %s%s%s%s\n", r->def->name, r->score,
                    kind_names[r->def->kind], r->def->describe ? r->def->describe : "",
                    r->state == RULE_RUNS ? "" : " (",
                    r->state == RULE_RUNS ? "" : state_names[r->state],
                    r->state == RULE_RUNS ? "" : ")");
    }
    free(sorted);
    if (json)
        print_json(all, out);
}

static const struct rule *find(const struct ruleset *rs, const char *name)
{
    for (size_t i = 0; i < rs->nrules; i++)
        if (strcmp(rs->rules[i].def->name, name) == 0)
            return &rs->rules[i];
    return NULL;
}

/* --- explain --- */

static void explain_names(const struct ruleset *rs, const struct rule *r, FILE *out, json_t *j)
{
    json_t *needs = json_array(), *used = json_array();
    for (size_t i = 0; r->meta && i < r->meta->nnames; i++) {
        json_array_append_new(needs, text_json(r->meta->names[i]));
        if (!j)
            fprintf(out, "%s%.*s", i ? " " : "  needs       ", SPAN_ARG(r->meta->names[i]));
    }
    if (!j && r->meta && r->meta->nnames)
        fputc('\n', out);
    for (size_t i = 0; i < r->ndependants; i++) {
        const char *name = rs->metas[r->dependants[i]]->def->name;
        json_array_append_new(used, json_string(name));
        if (!j)
            fprintf(out, "%s%s", i ? " " : "  used by     ", name);
    }
    if (!j && r->ndependants)
        fputc('\n', out);
    if (j) {
        json_object_set_new(j, "needs", needs);
        json_object_set_new(j, "used_by", used);
    } else {
        json_decref(needs);
        json_decref(used);
    }
}

static void explain_cost(const struct ruleset *rs, const struct rule *r, FILE *out, json_t *j)
{
    enum { TRIES = 20 };
    double micros = rule_pattern_cost(r, TRIES);
    bool always = rule_always_tried(rs, r);
    if (j) {
        json_object_set_new(j, "micros_per_10kB", micros < 0 ? json_null() : json_real(micros));
        json_object_set_new(j, "always_tried", micros < 0 ? json_null() : json_boolean(always));
    } else if (micros >= 0) {
        fprintf(out, "  costs       %.1f us for 10 kB of ordinary text, tried %s\n", micros,
                always ? "on every message" : "only where its words occur");
    }
}

static void explain_history(const struct rule_history *h, FILE *out, json_t *j)
{
    char when[CLOCK_ISO_SIZE];
    if (j) {
        json_t *o = h->known ? json_object() : json_null();
        if (h->known) {
            json_object_set_new(o, "days", json_integer(h->days));
            json_object_set_new(o, "messages", json_integer((json_int_t)h->messages));
            json_object_set_new(o, "last",
                                h->last ? json_string(clock_iso(h->last, when)) : json_null());
        }
        json_object_set_new(j, "hits", o);
    } else if (h->known) {
        fprintf(out, "  hits        %zu message%s in the last %u days", h->messages,
                h->messages == 1 ? "" : "s", h->days);
        if (h->last)
            fprintf(out, ", the last at %s", clock_iso(h->last, when));
        fputc('\n', out);
    }
}

static void explain_json(const struct ruleset *rs, const struct rule *r,
                         const struct rule_history *h, FILE *out)
{
    const struct rule_def *d = r->def;
    json_t *j = rule_json(r), *scores = json_array();
    for (size_t i = 0; i < SCORE_SETS; i++)
        json_array_append_new(scores, json_real(d->score[i]));
    json_object_set_new(j, "scores", scores);
    json_object_set_new(j, "definition", text_json(d->text));
    json_object_set_new(j, "tflags", text_json(d->tflags_text));
    json_object_set_new(j, "priority", json_integer(r->priority));
    json_object_set_new(j, "pattern", d->replaced ? text_json(d->pattern) : json_null());
    json_object_set_new(j, "score_file",
                        d->score_at.file ? json_string(d->score_at.file) : json_null());
    json_object_set_new(j, "score_line", json_integer(d->score_at.line));
    explain_names(rs, r, out, j);
    explain_cost(rs, r, out, j);
    explain_history(h, out, j);
    print_json(j, out);
}

int ruleset_explain(const struct ruleset *rs, const char *name, const struct rule_history *h,
                    FILE *out, bool json)
{
    const struct rule *r = find(rs, name);
    if (!r)
        return -1;
    const struct rule_def *d = r->def;
    if (json) {
        explain_json(rs, r, h, out);
        return 0;
    }
    fprintf(out, "%s: %s\n", d->name, d->describe ? d->describe : "no description");
    fprintf(out, "  kind        %s, %s\n", kind_names[d->kind], state_names[r->state]);
    if (d->at.file)
        fprintf(out, "  defined     %s:%u\n", d->at.file, d->at.line);
    fprintf(out, "  definition  %.*s\n", SPAN_ARG(d->text));
    if (d->replaced)
        fprintf(out, "  expanded    %.*s%s\n", (int)(d->pattern.n < 2000 ? d->pattern.n : 2000),
                d->pattern.p, d->pattern.n < 2000 ? "" : " ...");
    fprintf(out, "  scores      %g %g %g %g (local, net, Bayes, net+Bayes; set %u is active)",
            d->score[0], d->score[1], d->score[2], d->score[3], rs->score_set);
    if (d->score_at.file)
        fprintf(out, ", %s:%u\n", d->score_at.file, d->score_at.line);
    else
        fputs(", by default\n", out);
    if (d->tflags_text.n)
        fprintf(out, "  tflags      %.*s\n", SPAN_ARG(d->tflags_text));
    fprintf(out, "  priority    %d\n", r->priority);
    explain_names(rs, r, out, NULL);
    explain_cost(rs, r, out, NULL);
    explain_history(h, out, NULL);
    return 0;
}

/* --- coverage --- */

enum { KINDS = RULE_EMPTY + 1 };

struct coverage {
    size_t total[KINDS][RULE_STATES], defined, states[RULE_STATES];
};

static struct coverage count(const struct ruleset *rs)
{
    struct coverage c = {0};
    for (size_t i = 0; i < rs->nrules; i++) {
        const struct rule *r = &rs->rules[i];
        c.total[r->def->kind][r->state]++;
        c.states[r->state]++;
        c.defined += r->state != RULE_UNDEFINED;
    }
    return c;
}

static void coverage_json(const struct ruleset *rs, const struct coverage *c, FILE *out)
{
    json_t *j = json_object(), *states = json_object(), *kinds = json_object();
    for (size_t s = 0; s < RULE_STATES; s++)
        json_object_set_new(states, state_names[s], json_integer((json_int_t)c->states[s]));
    for (size_t k = 1; k < KINDS; k++) {
        json_t *row = json_object();
        for (size_t s = 0; s < RULE_STATES; s++)
            if (c->total[k][s])
                json_object_set_new(row, state_names[s], json_integer((json_int_t)c->total[k][s]));
        json_object_set_new(kinds, kind_names[k], row);
    }
    size_t lines = 0;
    for (size_t i = 0; i < rs->conf->nfiles; i++)
        lines += rs->conf->files[i].directives;
    json_object_set_new(j, "files", json_integer((json_int_t)rs->conf->nfiles));
    json_object_set_new(j, "directives", json_integer((json_int_t)lines));
    json_object_set_new(j, "problems", json_integer((json_int_t)rs->nproblems));
    json_object_set_new(j, "read", json_integer((json_int_t)c->defined));
    json_object_set_new(j, "usable", json_integer((json_int_t)c->states[RULE_RUNS]));
    json_object_set_new(j, "by_state", states);
    json_object_set_new(j, "by_kind", kinds);
    print_json(j, out);
}

void ruleset_coverage(const struct ruleset *rs, FILE *out, bool json)
{
    struct coverage c = count(rs);
    if (json) {
        coverage_json(rs, &c, out);
        return;
    }
    fprintf(out, "%zu rules read from %zu files, %zu in force\n\n", c.defined, rs->conf->nfiles,
            c.states[RULE_RUNS]);
    fprintf(out, "%-14s %8s %8s  not run, and why\n", "kind", "read", "in force");
    for (size_t k = 1; k < KINDS; k++) {
        size_t total = 0;
        for (size_t s = 0; s < RULE_STATES; s++)
            total += c.total[k][s];
        if (!total)
            continue;
        fprintf(out, "%-14s %8zu %8zu ", kind_names[k], total, c.total[k][RULE_RUNS]);
        const char *sep = " ";
        for (size_t s = RULE_RUNS + 1; s < RULE_STATES; s++)
            if (c.total[k][s]) {
                fprintf(out, "%s%zu %s", sep, c.total[k][s], state_names[s]);
                sep = ", ";
            }
        fputc('\n', out);
    }
    fprintf(out, "\n%zu problem%s in the rule files%s\n", rs->nproblems,
            rs->nproblems == 1 ? "" : "s", rs->nproblems ? ":" : "");
    for (size_t i = 0; i < rs->nproblems; i++)
        fprintf(out, "%s:%u: %s\n", rs->problems[i].file ? rs->problems[i].file : "(settings)",
                rs->problems[i].line, rs->problems[i].text);
}
