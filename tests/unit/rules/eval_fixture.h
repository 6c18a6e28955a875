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
    f->m = (struct message){.arena = f->arena};
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    f->c = (struct rules_ctx){.conf = f->conf, .m = &f->m, .a = f->arena};
    f->c.mime = mime_parse(f->arena, message, &limits);
    f->c.relays = relays_parse(f->c.mime, &f->conf->relays, NULL);
}

/* The same with body and URIs. */
static inline void fixture_message(struct fixture *f, struct span message)
{
    static const struct text_limits limits = {50000, 500000, true};
    fixture_headers(f, message);
    f->c.text = text_make(f->c.mime, &f->conf->uri, &limits);
}

/* "name('arg', 2)": made ready as a ruleset does. -1: the function refuses its arguments. */
static inline int fixture_call(struct fixture *f, struct span text, enum eval_type type,
                               struct eval_call *out)
{
    struct err e;
    size_t open = span_find(text, '('), cap = 0;
    struct span rest = span_sub(text, open + 1, span_rfind(text, ')'));
    *out =
        (struct eval_call){.def = eval_find(span_sub(text, 0, open)), .rule = "TEST", .type = type};
    assert_non_null(out->def);
    while ((rest = span_trim(rest)).n) {
        bool quoted = rest.p[0] == '\'';
        size_t end = quoted ? span_find(span_from(rest, 1), '\'') + 1 : span_find(rest, ',');
        struct span arg = span_sub(rest, quoted, end);
        *ARENA_PUSH(f->conf_arena, out->args, out->nargs, cap) = span_trim(arg);
        rest = span_from(rest, end == SIZE_MAX ? rest.n : end + quoted);
        if (rest.n && rest.p[0] == ',')
            rest = span_from(rest, 1);
    }
    return out->def->prepare ? out->def->prepare(f->conf_arena, f->conf, out, &e) : 0;
}

static inline double fixture_eval(struct fixture *f, struct span text, enum eval_type type)
{
    struct eval_call call;
    assert_int_equal(fixture_call(f, text, type, &call), 0);
    return call.def->fn(&f->c, &call);
}

static inline void fixture_end(struct fixture *f)
{
    if (f->arena)
        arena_free(f->arena);
    arena_free(f->conf_arena);
}

#endif
