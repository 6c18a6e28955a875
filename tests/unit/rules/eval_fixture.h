/* A message, rule-file lines, and what headers and eval functions say of them. */
#ifndef GATEHOUSE_TESTS_EVAL_FIXTURE_H
#define GATEHOUSE_TESTS_EVAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "rules/eval.h"
#include "rules/eval_state.h"

static const char tables[] = "util_rb_tld com net org example de uk fr test info\n"
                             "util_rb_2tld co.uk\n"
                             "util_rb_3tld demon.co.uk\n";

struct fixture {
    struct arena *conf_arena, *arena;
    struct conf *conf;
    struct message m;
    struct rules_ctx c;
};

/* conf: lines of a rule file, besides the tables above. */
static inline void fixture_conf(struct fixture *f, const char *conf)
{
    static const struct conf_options options = {.local_only = true};
    memset(f, 0, sizeof *f);
    f->conf_arena = arena_new(0);
    f->conf = conf_new(f->conf_arena, &options);
    conf_text(f->conf, "tables.cf", span_str(tables));
    conf_text(f->conf, "test.cf", span_str(conf));
    conf_finish(f->conf);
}

static inline void fixture_headers(struct fixture *f, struct span message)
{
    if (f->arena)
        arena_free(f->arena);
    f->arena = arena_new(0);
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    f->c = (struct rules_ctx){.conf = f->conf, .m = &f->m, .a = f->arena};
    f->c.mime = mime_parse(f->arena, message, &limits);
    f->c.relays = relays_parse(f->c.mime, &f->conf->relays);
}

static inline void fixture_end(struct fixture *f)
{
    if (f->arena)
        arena_free(f->arena);
    arena_free(f->conf_arena);
}

#endif
