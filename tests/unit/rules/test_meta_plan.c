/* The plan of metas leaves none out: whatever hits, a message's metas are those that computing all
 * of them gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "rules/ruleset_private.h"

enum { HITS = 6, METAS = 12, RULES = HITS + METAS };

struct fixture {
    struct arena *a;
    struct ruleset rs;
    struct rule rules[RULES];
    struct rule *metas[METAS];
    double value[RULES];
};

static double value(void *ctx, uint32_t index)
{
    return ((struct fixture *)ctx)->value[index];
}

static double base(void *ctx, uint32_t index)
{
    return ((struct fixture *)ctx)->rules[index].base;
}

static double counted(double v)
{
    return v == 0 ? 0 : v > 0 ? v : 1;
}

/* Names are R0..; those from HITS on are metas. */
static void add_meta(struct fixture *f, size_t i, const char *text)
{
    struct rule *r = &f->rules[HITS + i];
    struct err e;
    bool division = false;
    r->meta = ARENA_NEW(f->a, struct meta);
    if (meta_compile(f->a, span_str(text), true, r->meta, &e) != 0)
        fail_msg("%s: %s", text, e.text);
    for (size_t k = 0; k < r->meta->nops; k++)
        if (r->meta->ops[k].code == META_RULE)
            r->meta->ops[k].index =
                (uint32_t)strtoul(r->meta->names[r->meta->ops[k].index].p + 1, NULL, 10);
    r->base = counted(meta_eval(r->meta, base, f, &division));
    f->metas[i] = r;
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.a = arena_new(0)};
    for (uint32_t i = 0; i < RULES; i++)
        f->rules[i].index = i;
    f->rs =
        (struct ruleset){.rules = f->rules, .nrules = RULES, .metas = f->metas, .nmetas = METAS};
}

/* All metas under one choice of hits, by the plan and without it. Returns how many were computed.
 */
static size_t compare(struct fixture *f, struct meta_run *run, unsigned hits)
{
    double want[METAS];
    bool compute, division = false;
    size_t computed = 0;
    for (size_t i = 0; i < HITS; i++)
        f->value[i] = hits >> i & 1 ? (double)(1 + i % 3) : 0;
    for (size_t i = 0; i < METAS; i++)
        want[i] = f->value[HITS + i] = counted(meta_eval(f->metas[i]->meta, value, f, &division));
    meta_run_begin(run);
    memset(f->value + HITS, 0, METAS * sizeof *f->value);
    for (uint32_t i = 0; i < HITS; i++)
        if (f->value[i] != 0)
            meta_run_changed(run, i);
    for (size_t i = 0; (i = meta_run_next(run, i, &compute)) != SIZE_MAX; i++) {
        struct rule *r = f->metas[i];
        computed += compute;
        f->value[r->index] = compute ? counted(meta_eval(r->meta, value, f, &division)) : r->base;
        if (f->value[r->index] != r->base)
            meta_run_changed(run, r->index);
    }
    for (size_t i = 0; i < METAS; i++)
        if (f->value[HITS + i] != want[i])
            fail_msg("meta %zu under hits %#x: %g instead of %g", i, hits, f->value[HITS + i],
                     want[i]);
    return computed;
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void expression(struct buf *b, uint32_t *seed, size_t operands, unsigned depth)
{
    static const char *const ops[] = {" && ", " && ", " || ", " || ", " + ",  " - ",  " * ",
                                      " > ",  " < ",  " >= ", " <= ", " == ", " != ", " ^ "};
    uint32_t what = draw(seed, depth ? 12 : 4);
    if (what < 3) {
        buf_printf(b, "%sR%u", what == 2 ? "!" : "", draw(seed, (uint32_t)operands));
    } else if (what == 3) {
        buf_printf(b, "%u", draw(seed, 3));
    } else if (what == 4) {
        buf_str(b, "(");
        expression(b, seed, operands, depth - 1);
        buf_str(b, " ? ");
        expression(b, seed, operands, depth - 1);
        buf_str(b, " : ");
        expression(b, seed, operands, depth - 1);
        buf_str(b, ")");
    } else {
        buf_str(b, what == 5 ? "-(" : what == 6 ? "!(" : "(");
        expression(b, seed, operands, depth - 1);
        buf_str(b, ops[draw(seed, sizeof ops / sizeof *ops)]);
        expression(b, seed, operands, depth - 1);
        buf_str(b, ")");
    }
}

static void none_is_left_out(void **state)
{
    (void)state;
    enum { ROUNDS = 400 };
    uint32_t seed = 7;
    struct buf b = {0};
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture f;
        begin(&f);
        for (size_t i = 0; i < METAS; i++) {
            buf_clear(&b);
            expression(&b, &seed, HITS + i, 4);
            buf_char(&b, '\0');
            add_meta(&f, i, b.p);
        }
        struct meta_run *run = meta_run_new(f.a, meta_plan_new(f.a, &f.rs));
        for (unsigned hits = 0; hits < 1u << HITS; hits++)
            compare(&f, run, hits);
        arena_free(f.a);
    }
    buf_free(&b);
}

static void what_can_not_hold_is_not_computed(void **state)
{
    (void)state;
    static const char *const texts[METAS] = {
        "R0 && R1",      "R0 && (R1 || R2) && !R3",
        "(R0 + R1) > 1", "R0 && 0",
        "!R0",           "R0 * R1 >= 1",
        "R6 && R5",      "(R0 && R1) || (R2 && R3)",
        "R0 ? R1 : R2",  "1",
        "R0 == 2",       "!R1 && R2",
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < METAS; i++)
        add_meta(&f, i, texts[i]);
    struct meta_run *run = meta_run_new(f.a, meta_plan_new(f.a, &f.rs));
    assert_int_equal(compare(&f, run, 0), 0);
    assert_int_equal(compare(&f, run, 1 << 4), 0);
    assert_int_equal(compare(&f, run, 1 << 3), 0);
    /* R0: the sum, the negation, the comparison */
    assert_int_equal(compare(&f, run, 1 << 0), 3);
    arena_free(f.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_left_out),
        cmocka_unit_test(what_can_not_hold_is_not_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
