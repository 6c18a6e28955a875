#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "record/record.h"
#include "rules/ruleset.h"

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"rules", required_argument, NULL, 'r'},
    {0},
};

struct request {
    const char *config;
    struct strings dirs;
    bool json;
};

static int parse(struct request *q, int argc, char **argv)
{
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c == 'c') {
            q->config = optarg;
        } else if (c == 'j') {
            q->json = true;
        } else if (c == 'r') {
            q->dirs.v = xrealloc(q->dirs.v, (q->dirs.n + 1) * sizeof *q->dirs.v);
            q->dirs.v[q->dirs.n++] = optarg;
        } else {
            return cli_wrong_option("rules");
        }
    }
    if (optind == argc)
        return cli_usage("rules", "say list, explain or coverage");
    const char *verb = argv[optind];
    int names = argc - optind - 1;
    if (strcmp(verb, "explain") == 0)
        return names > 0 ? 0 : cli_usage("rules", "explain what? Give the name of a rule");
    if (strcmp(verb, "list") != 0 && strcmp(verb, "coverage") != 0)
        return cli_usage("rules", "unknown '%s': say list, explain or coverage", verb);
    return names == 0 ? 0 : cli_usage("rules", "unexpected '%s'", argv[optind + 1]);
}

static bool count_row(void *ctx, const struct record_row *row)
{
    struct rule_history *h = ctx;
    h->messages++;
    h->last = row->received > h->last ? row->received : h->last;
    return true;
}

/* How often the gateway saw it hit, where there is a record and we may read it. */
static struct rule_history history_of(const struct settings *s, const char *name)
{
    enum { DAYS = 7 };
    struct err e = {0};
    struct rule_history h = {.days = DAYS};
    struct record_reader *r = record_read_open(s->paths.state, &e);
    const struct record_filter f = {.rule = span_str(name),
                                    .from = clock_wall() - DAYS * 86400 * USEC_PER_SEC};
    if (!r)
        return h;
    h.known = record_read_list(r, &f, count_row, &h, &e) == 0;
    record_read_close(r);
    return h;
}

static int answer(const struct settings *s, const struct ruleset *rs, bool json, char **words)
{
    int result = EXIT_OK;
    if (strcmp(words[0], "list") == 0)
        ruleset_list(rs, stdout, json);
    else if (strcmp(words[0], "coverage") == 0)
        ruleset_coverage(rs, stdout, json);
    for (char **name = words + 1; *name; name++) {
        struct rule_history h = history_of(s, *name);
        if (ruleset_explain(rs, *name, &h, stdout, json) != 0) {
            fprintf(stderr, "gatehouse rules: there is no rule '%s'\n", *name);
            result = EXIT_BAD;
        }
    }
    return fflush(stdout) == 0 ? result : EXIT_TEMPFAIL;
}

int cmd_rules(int argc, char **argv)
{
    struct request q = {0};
    struct err e = {0};
    struct ruleset *rs = NULL;
    struct settings *s = NULL;
    int result = parse(&q, argc, argv);
    if (result == 0 && !(s = cli_settings(q.config)))
        result = EXIT_CONFIG;
    if (result == 0 && q.dirs.n) {
        s->rules.dirs = q.dirs;
        s->rules.site_dir = NULL;
    }
    if (result == 0 &&
        !(rs = cli_ruleset(s, !s->rules.network, strcmp(argv[optind], "coverage") == 0, &e))) {
        fprintf(stderr, "gatehouse rules: %s\n", e.text);
        result = EXIT_CONFIG;
    }
    if (result == 0)
        result = answer(s, rs, q.json, argv + optind);
    if (rs)
        ruleset_free(rs);
    settings_free(s);
    free(q.dirs.v);
    return result;
}
