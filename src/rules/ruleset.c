/* Loading and describing a set of rules. */
#include "rules/plugin.h"
#include "rules/ruleset_private.h"

#include <stdio.h>
#include <unistd.h>

/* Where SpamAssassin looks: the first of these that exists (semantics 2.1). Channels are below the
 * first one as files that include their directories. */
static const char *const system_dirs[] = {
    "/var/lib/spamassassin/4.000001",
    "/usr/share/spamassassin",
    "/usr/local/share/spamassassin",
};

struct conf_options ruleset_conf_options(const struct ruleset_options *o)
{
    struct conf_options c = {.local_only = o->local_only, .settings = o->settings};
    const struct rules_settings *s = o->settings;
    c.site_dir = s && s->site_dir ? s->site_dir : NULL;
    if (s && s->dirs.n) {
        c.dirs = s->dirs.v;
        c.ndirs = s->dirs.n;
        return c;
    }
    for (size_t i = 0; i < sizeof system_dirs / sizeof *system_dirs && !c.ndirs; i++)
        if (access(system_dirs[i], R_OK | X_OK) == 0) {
            c.dirs = &system_dirs[i];
            c.ndirs = 1;
        }
    return c;
}

static void copy_problems(struct ruleset *rs)
{
    for (size_t i = 0; i < rs->conf->nproblems; i++) {
        const struct conf_problem *p = &rs->conf->problems[i];
        ruleset_problem(rs, p->at, "%s", p->text);
    }
}

struct text_limits ruleset_text_limits(const struct conf *c)
{
    return (struct text_limits){.body_part = c->body_part_scan_size,
                                .rawbody_part = c->rawbody_part_scan_size,
                                .parse_dkim_uris = c->parse_dkim_uris,
                                .keep_charset = !c->normalize_charset};
}

struct ruleset *ruleset_load(const struct ruleset_options *o, struct err *e)
{
    struct arena *a = arena_new(0);
    struct conf_options co = ruleset_conf_options(o);
    struct conf *c = conf_read(a, &co, e);
    if (!c) {
        arena_free(a);
        return NULL;
    }
    struct ruleset *rs = ARENA_NEW(a, struct ruleset);
    rs->arena = a;
    rs->conf = c;
    rs->local_only = o->local_only;
    rs->check = o->check;
    rs->network =
        !o->local_only && !span_eq(conf_value(c, "dns_available", SPAN("yes")), SPAN("no"));
    /* As SpamAssassin chooses: without Bayes, with or without the network. */
    rs->score_set = o->local_only ? 0 : 1;
    rs->text_limits = ruleset_text_limits(c);
    rs->required = c->required_score;
    if (o->settings) {
        rs->match_limit = (uint32_t)o->settings->match_limit;
        rs->depth_limit = (uint32_t)o->settings->depth_limit;
        rs->message_size = o->settings->message_size;
    }
    copy_problems(rs);
    plugins_prepare(rs);
    ruleset_compile(rs, o);
    if (o->check)
        ruleset_lint(rs, o);
    return rs;
}

void ruleset_free(struct ruleset *rs)
{
    if (rs)
        arena_free(rs->arena);
}

void ruleset_keep_bytes(struct ruleset *rs)
{
    rs->keep_bytes = true;
}

const struct rule_problem *ruleset_problems(const struct ruleset *rs, size_t *n)
{
    *n = rs->nproblems;
    return rs->problems;
}

const char *ruleset_hash(const struct ruleset *rs)
{
    return rs->hash;
}

struct span ruleset_value(const struct ruleset *rs, const char *directive, struct span dflt)
{
    return conf_value(rs->conf, directive, dflt);
}

bool ruleset_reads_virus(const struct ruleset *rs)
{
    return virus_rules(rs->conf);
}

const struct conf *ruleset_conf(const struct ruleset *rs)
{
    return rs->conf;
}

size_t ruleset_count(const struct ruleset *rs)
{
    size_t n = 0;
    for (size_t i = 0; i < rs->nrules; i++)
        n += rs->rules[i].state == RULE_RUNS;
    return n;
}
