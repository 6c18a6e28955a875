#include "cli/cli.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "auth/returnpath.h"
#include "cli/check_cost.h"
#include "cli/check_maps.h"
#include "config/print.h"
#include "config/value.h"
#include "door/httpcrypt.h"
#include "policy/patterns.h"
#include "policy/policy.h"
#include "rules/conf.h"
#include "rules/ruleset.h"
#include "script/script.h"

/* What was found, in the form asked for. */
struct report {
    json_t *list; /* NULL: text on standard output */
    size_t n;
    bool cost;    /* --cost */
    char **paths; /* of --cost: the sample, ended by NULL */
    json_t *costs;
    bool failed; /* to judge the sample */
};

static void found(struct report *r, const char *about, const char *text)
{
    r->n++;
    if (!r->list) {
        printf("%s\n", text);
        return;
    }
    json_t *o = json_object(), *t = json_string(text);
    json_object_set_new(o, "about", json_string(about));
    json_object_set_new(o, "text", t ? t : json_string("(not UTF-8)"));
    json_array_append_new(r->list, o);
}

static struct settings *check_settings(struct report *r, const char *file)
{
    struct settings_problems problems = {0};
    struct settings *s = settings_load_all(file, &problems);
    if (s)
        settings_check_files(s, &problems);
    for (size_t i = 0; i < problems.n; i++)
        found(r, "settings", problems.v[i].text);
    settings_problems_free(&problems);
    return s;
}

struct lint {
    struct report *r;
    const struct settings *s;
};

static void policy_problem(void *ctx, const char *setting, const char *text)
{
    struct lint *l = ctx;
    unsigned line, column;
    char *said = settings_place(l->s, setting, &line, &column)
                     ? xasprintf("%s:%u:%u: %s", l->s->file, line, column, text)
                     : xasprintf("%s: %s", setting, text);
    found(l->r, "policies", said);
    free(said);
}

/* Whether any rule that is defined has a name like that. */
static bool some_rule(const struct conf *c, const struct patterns *p)
{
    for (size_t i = 0; i < c->nrules; i++)
        if (c->rules[i]->kind != RULE_NONE && patterns_match(p, span_str(c->rules[i]->name)))
            return true;
    return false;
}

/* A policy that asks for the hits of rules that there are not. */
static void check_rule_names(struct report *r, const struct settings *s, const struct conf *c)
{
    struct arena *a = arena_new(0);
    const char **names = arena_array(a, c->nrules, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < c->nrules; i++)
        if (c->rules[i]->kind != RULE_NONE)
            names[n++] = c->rules[i]->name;
    for (size_t i = 0; i < s->policies.n; i++) {
        const struct strings *list = &s->policies.v[i].rules;
        for (size_t k = 0; k < list->n; k++) {
            const char *name = list->v[k] + (list->v[k][0] == '!');
            struct patterns p = patterns_new(a, (struct strings){&name, 1}, false);
            if (some_rule(c, &p))
                continue;
            const char *near = nearest(span_str(name), names, n);
            struct span at = arena_printf(a, "policies[%zu].rules[%zu]", i, k);
            struct span text =
                arena_printf(a, "no rule is named '%s'%s%s%s", name, near ? " (did you mean '" : "",
                             near ? near : "", near ? "'?)" : "");
            policy_problem(&(struct lint){r, s}, at.p, text.p);
        }
    }
    arena_free(a);
}

/* Returns how many rules are in force. */
static size_t check_rules(struct report *r, struct settings *s)
{
    struct err e = {0};
    if (!s->rules.enabled)
        return 0;
    struct ruleset *rs = cli_ruleset(s, !s->rules.network, true, &e);
    if (!rs) {
        found(r, "rules", e.text);
        return 0;
    }
    size_t n, count = ruleset_count(rs);
    const struct rule_problem *p = ruleset_problems(rs, &n);
    for (size_t i = 0; i < n; i++) {
        char *text = xasprintf("%s:%u: %s", p[i].file, p[i].line, p[i].text);
        found(r, "rules", text);
        free(text);
    }
    check_rule_names(r, s, ruleset_conf(rs));
    if (r->cost)
        r->costs = check_cost(s, rs, r->paths, r->list != NULL, &r->failed);
    ruleset_free(rs);
    return count;
}

static void map_problem(void *ctx, const char *text)
{
    found(ctx, "maps", text);
}

static void secret_problem(void *ctx, const char *text)
{
    found(ctx, "secrets", text);
}

static void check_return_paths(struct report *r, const struct settings *s)
{
    returnpath_free(returnpath_open(s, secret_problem, r));
}

static void check_httpcrypt(struct report *r, const struct settings *s)
{
    for (size_t i = 0; i < s->listeners.n; i++) {
        const char *file = s->listeners.v[i].httpcrypt_file;
        struct sealed_key *keys = NULL;
        if (file)
            httpcrypt_keys(file, &keys, secret_problem, r);
        free(keys);
    }
}

static void check_script(struct report *r, const struct settings *s)
{
    struct err e;
    const struct script_settings *set = settings_script(s);
    struct script *script = set->file ? script_new(set, NULL, &e) : NULL;
    if (set->file && !script)
        found(r, "script", e.text);
    bool maps = script && script_calls(script) & CALL_MAP;
    for (size_t i = 0; i < s->listeners.n; i++)
        if (s->listeners.v[i].protocol == LISTEN_SOCKETMAP && !maps && (script || !set->file))
            found(r, "script",
                  set->file ? "a listener of protocol socketmap, and no map() to ask"
                            : "a listener of protocol socketmap, and no script.file");
    script_free(script);
}

static int conclude(struct report *r, const struct settings *s, size_t rules)
{
    const char *file = s && s->file ? s->file : NULL;
    if (r->list) {
        json_t *o = json_object();
        json_object_set_new(o, "file", file ? json_string(file) : json_null());
        json_object_set_new(o, "rules", json_integer((json_int_t)rules));
        json_object_set_new(o, "problems", r->list);
        if (r->costs)
            json_object_set_new(o, "cost", r->costs);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else if (r->n) {
        fprintf(stderr, "%zu problem%s\n", r->n, r->n == 1 ? "" : "s");
    } else {
        printf("%s: fine", file ? file : "built-in defaults");
        if (rules)
            printf(", %zu rules in force", rules);
        putchar('\n');
    }
    return r->failed ? EXIT_NOINPUT : r->n ? EXIT_BAD : EXIT_OK;
}

int cmd_check(int argc, char **argv)
{
    enum { DEFAULTS = 256, SETTINGS, COST };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},        {"json", no_argument, NULL, 'j'},
        {"settings", no_argument, NULL, SETTINGS},       {"cost", no_argument, NULL, COST},
        {"print-defaults", no_argument, NULL, DEFAULTS}, {0},
    };
    struct report r = {0};
    const char *config = NULL;
    int c;
    bool json = false, settings_only = false;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c == DEFAULTS) {
            settings_print_defaults(stdout);
            return fflush(stdout) == 0 ? EXIT_OK : EXIT_TEMPFAIL;
        }
        if (c == 'c')
            config = optarg;
        else if (c == 'j')
            json = true;
        else if (c == SETTINGS)
            settings_only = true;
        else if (c == COST)
            r.cost = true;
        else
            return cli_wrong_option("check");
    }
    if (optind < argc && !r.cost)
        return cli_usage("check", "unexpected '%s'", argv[optind]);
    if (r.cost && settings_only)
        return cli_usage("check", "--settings leaves the rules out, and --cost is about them");
    r.paths = argv + optind;
    r.list = json ? json_array() : NULL;
    size_t rules = 0;
    struct settings *s = check_settings(&r, cli_settings_file(config));
    if (s) {
        check_maps(s, map_problem, &r);
        check_script(&r, s);
        check_return_paths(&r, s);
        check_httpcrypt(&r, s);
        policy_lint(s, policy_problem, &(struct lint){&r, s});
        rules = settings_only ? 0 : check_rules(&r, s);
    }
    int result = conclude(&r, s, rules);
    settings_free(s);
    return result;
}
